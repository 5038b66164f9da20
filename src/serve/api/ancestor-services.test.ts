import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ConnectError, Code, type Client } from "@connectrpc/connect";
import type { Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { formatSignature } from "../../dataset/view/signature.ts";
import { Views } from "../../dataset/view/views.ts";
import { digestFromBytes } from "../../format/digest.ts";
import { BlockAPI } from "../../gen/aetherfs/block/v1/api_pb.ts";
import { DatasetAPI } from "../../gen/aetherfs/dataset/v1/api_pb.ts";
import { blockService } from "./block-service.ts";
import { datasetService } from "./dataset-service.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";

/** Each scope is its owner's alone. */
const SCOPED: Access = {
  identify: async (headers) => ({ name: String(headers["x-user"] ?? "anonymous") }),
  check: async ({ name }, action, dataset) => {
    if (!dataset.startsWith("@") || dataset.startsWith(`@${name}/`)) return;
    throw new AetherError("ACCESS_DENIED", `${name} may not ${action} ${dataset}`);
  },
};

const BLOCK_BYTES = 100_000;

function sign(bytes: Uint8Array): string {
  return formatSignature(digestFromBytes(createHmac("sha256", "").update(bytes).digest()));
}

interface Caller {
  readonly blocks: Client<typeof BlockAPI>;
  readonly datasets: Client<typeof DatasetAPI>;
}

describe("the first AetherFS's services", () => {
  let bed: ApiBed;
  let ann: Caller;
  let bob: Caller;

  before(async () => {
    bed = await openApiBed(SCOPED);
    // Each has views of its own, as if it were another hub over the same store.
    const newViews = (): Views => new Views(bed.push.engine, bed.services.stopping);
    const caller = (name: string): Caller => ({
      blocks: clientOf(BlockAPI, blockService(bed.services, newViews()), { "x-user": name }),
      datasets: clientOf(DatasetAPI, datasetService(bed.services, newViews()), { "x-user": name }),
    });
    ann = caller("ann");
    bob = caller("bob");
  });
  after(() => bed.close());

  async function* partsOf(bytes: Uint8Array): AsyncGenerator<{ part: Uint8Array }> {
    for (let at = 0; at < bytes.byteLength; at += 65_536) yield { part: bytes.subarray(at, at + 65_536) };
  }

  function upload(caller: Caller, bytes: Uint8Array, said: { signature?: string; size?: string } = {}) {
    const { signature = sign(bytes), size = String(bytes.byteLength) } = said;
    const headers = { "x-afs-block-signature": signature, "x-afs-block-size": size };
    return caller.blocks.upload(partsOf(bytes), { headers });
  }

  async function download(caller: Caller, signature: string, offset = 0, size = 0): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    const range = { offset: BigInt(offset), size: BigInt(size) };
    for await (const { part } of caller.blocks.download({ signature, ...range })) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Cuts, uploads and publishes files in their order, as the first AetherFS's client does. */
  async function publish(caller: Caller, name: string, files: Readonly<Record<string, Uint8Array>>) {
    const stream = Buffer.concat(Object.values(files));
    const blocks: string[] = [];
    for (let at = 0; at < stream.byteLength; at += BLOCK_BYTES) {
      const block = stream.subarray(at, at + BLOCK_BYTES);
      blocks.push((await upload(caller, block)).signature);
    }
    const lastModified = { seconds: 1_700_000_000n, nanos: 123_456_789 };
    const listed = Object.entries(files).map(([file, bytes]) => ({
      name: file,
      size: BigInt(bytes.byteLength),
      lastModified,
    }));
    const dataset = { files: listed, blockSize: BLOCK_BYTES, blocks };
    await caller.datasets.publish({
      dataset,
      tags: [
        { name, version: "v1" },
        { name, version: "latest" },
      ],
    });
    return { dataset, stream, blocks };
  }

  it("blocks that are uploaded and published, come back as they were, also by parts", async () => {
    // In the order of a walk, which is not the order of bytes.
    const files = {
      "a/b": noise(1, 150_000),
      "a/empty": new Uint8Array(),
      "a.txt": noise(2, 70_001),
      z: Buffer.from("end"),
    };
    const { dataset, stream, blocks } = await publish(ann, "walked", files);
    assert.equal(blocks.length, 3);
    for (const version of ["v1", "latest"]) {
      const found = (await ann.datasets.lookup({ tag: { name: "walked", version } })).dataset;
      assert.deepEqual(found?.blocks, blocks);
      assert.equal(found.blockSize, BLOCK_BYTES);
      assert.deepEqual(
        found.files.map(({ name, size, lastModified }) => [
          name,
          size,
          lastModified?.seconds,
          lastModified?.nanos,
        ]),
        dataset.files.map(({ name, size, lastModified }) => [
          name,
          size,
          lastModified.seconds,
          lastModified.nanos,
        ]),
      );
    }
    const [first = "", second = "", third = ""] = blocks;
    assert.deepEqual(await download(ann, first), stream.subarray(0, BLOCK_BYTES));
    assert.deepEqual(await download(ann, second, 49_990, 70), stream.subarray(149_990, 150_060));
    assert.deepEqual(await download(ann, third, 7), stream.subarray(2 * BLOCK_BYTES + 7));
    assert.deepEqual(await download(bob, third, 7), stream.subarray(2 * BLOCK_BYTES + 7));
    assert.deepEqual(await download(ann, first, 99_999, 1000), stream.subarray(99_999, BLOCK_BYTES));
    assert.equal((await download(ann, first, BLOCK_BYTES)).byteLength, 0);
    await failsWith(download(ann, first, BLOCK_BYTES + 1), "RANGE_INVALID");
    await failsWith(download(ann, first, -1), "ARGUMENT_INVALID");
  });

  it("the same files published again, are the same version", async () => {
    const files = { "d/e/f": noise(3, 1000), g: noise(4, 10) };
    await publish(ann, "twice", files);
    const before = await bed.push.engine.store.datasets.lastEvent("twice" as never);
    await ann.datasets.publish({
      dataset: (await ann.datasets.lookup({ tag: { name: "twice", version: "v1" } })).dataset,
      tags: [{ name: "twice", version: "v1" }],
    });
    assert.equal(await bed.push.engine.store.datasets.lastEvent("twice" as never), before);
  });

  it("a dataset that was pushed, is seen as blocks whose bytes are its files", async () => {
    bed.push.write("one", noise(5, 200_000));
    bed.push.write("two/three", "3");
    await bed.push.push();
    const found = (await ann.datasets.lookup({ tag: { name: "test", version: "latest" } })).dataset;
    assert.deepEqual(
      found?.files.map(({ name, size }) => [name, size]),
      [
        ["one", 200_000n],
        ["two/three", 1n],
      ],
    );
    assert.equal(found.blockSize, 64 * 1024 * 1024);
    const [only = ""] = found.blocks;
    const bytes = await download(ann, only);
    assert.deepEqual(bytes, Buffer.concat([noise(5, 200_000), Buffer.from("3")]));
    assert.equal(sign(bytes), only);
    await ann.blocks.lookup({ signature: only });
  });

  it("a block that was uploaded, is there for its uploader, and for others once they may read a dataset that has it", async () => {
    const bytes = noise(6, 300_000);
    const { signature } = await upload(ann, bytes);
    assert.equal(signature, sign(bytes));
    await ann.blocks.lookup({ signature });
    assert.deepEqual(
      await download(ann, signature, 262_100, 100),
      Buffer.from(bytes.subarray(262_100, 262_200)),
    );
    await failsWith(bob.blocks.lookup({ signature }), "BLOCK_NOT_FOUND");
    const again = upload(ann, bytes).then(
      () => assert.fail("it is there"),
      (error: unknown) => ConnectError.from(error).code,
    );
    assert.equal(await again, Code.AlreadyExists);
    await upload(bob, bytes);
    await bob.blocks.lookup({ signature });
    await ann.blocks.lookup({ signature });
    const secret = { secret: noise(7, 1000) };
    const { blocks } = await publish(ann, "@ann/own", secret);
    const [hidden = ""] = blocks;
    await ann.blocks.lookup({ signature: hidden });
    await failsWith(bob.blocks.lookup({ signature: hidden }), "BLOCK_NOT_FOUND");
    const files = [{ name: "stolen", size: 300_000n }];
    const { blocks: theirs } = await publish(ann, "@ann/other", { other: noise(10, 300_000) });
    const stolen = { files, blockSize: BLOCK_BYTES, blocks: theirs };
    await failsWith(
      bob.datasets.publish({ dataset: stolen, tags: [{ name: "bobs", version: "v1" }] }),
      "BLOCK_NOT_FOUND",
    );
  });

  it("a block that two uploaded, published by one where the other may not read, is still the other's to publish", async () => {
    const bytes = noise(11, 5000);
    const claims = async (): Promise<number> => {
      const ids: string[] = [];
      for await (const { id } of bed.push.engine.store.datasets.listLeases()) ids.push(id);
      return ids.length;
    };
    const before = await claims();
    const { signature } = await upload(bob, bytes);
    await publish(ann, "@ann/shared", { bytes });
    await bob.blocks.lookup({ signature });
    const dataset = { files: [{ name: "mine", size: 5000n }], blockSize: 5000, blocks: [signature] };
    await bob.datasets.publish({ dataset, tags: [{ name: "@bob/shared", version: "v1" }] });
    assert.deepEqual(await download(bob, signature), Buffer.from(bytes));
    assert.deepEqual(await download(ann, signature), Buffer.from(bytes));
    assert.equal(await claims(), before);
  });

  it("an upload that is not what it declares, is refused and leaves nothing", async () => {
    const bytes = noise(8, 100_000);
    const signature = sign(bytes);
    await failsWith(upload(ann, bytes, { signature: sign(Buffer.from("x")) }), "ARGUMENT_INVALID");
    await failsWith(upload(ann, bytes, { size: "99999" }), "ARGUMENT_INVALID");
    await failsWith(upload(ann, bytes, { size: "100001" }), "ARGUMENT_INVALID");
    await failsWith(upload(ann, bytes, { size: "many" }), "ARGUMENT_INVALID");
    await failsWith(upload(ann, bytes, { size: String(2 ** 40) }), "LIMIT_EXCEEDED");
    await failsWith(upload(ann, bytes, { signature: "../../../etc" }), "ARGUMENT_INVALID");
    await failsWith(ann.blocks.upload(partsOf(bytes)), "ARGUMENT_INVALID");
    await failsWith(ann.blocks.lookup({ signature }), "BLOCK_NOT_FOUND");
  });

  it("a publish whose files and blocks disagree, or whose paths are none, is refused", async () => {
    const { signature } = await upload(ann, noise(9, 1000));
    const tags = [{ name: "bad", version: "v1" }];
    const file = { name: "f", size: 1000n };
    const published = (files: { name: string; size: bigint }[], blockSize = 1000, blocks = [signature]) =>
      ann.datasets.publish({ dataset: { files, blockSize, blocks }, tags });
    await failsWith(published([{ ...file, size: 999n }]), "ARGUMENT_INVALID");
    await failsWith(published([{ ...file, size: -1n }]), "ARGUMENT_INVALID");
    await failsWith(published([file], 0), "ARGUMENT_INVALID");
    await failsWith(published([file], 500), "ARGUMENT_INVALID");
    await failsWith(published([file], 1000, [sign(Buffer.from("none"))]), "BLOCK_NOT_FOUND");
    for (const name of ["../f", "/f", "a//b", "", "a/./b"])
      await failsWith(published([{ ...file, name }]), "PATH_INVALID");
    await failsWith(published([file, { name: "f/g", size: 0n }]), "PATH_INVALID");
    await failsWith(published([file, file], 1000, [signature, signature]), "PATH_INVALID");
    await failsWith(
      ann.datasets.publish({ dataset: {}, tags: [{ name: "@bob/x", version: "v1" }] }),
      "ACCESS_DENIED",
    );
    await failsWith(ann.datasets.lookup({ tag: tags[0] }), "DATASET_NOT_FOUND");
  });

  it("a dataset without a byte, published, is there", async () => {
    await publish(ann, "empty", { nothing: new Uint8Array() });
    const found = (await ann.datasets.lookup({ tag: { name: "empty", version: "v1" } })).dataset;
    assert.deepEqual([found?.files.length, found?.blocks], [1, []]);
  });

  it("datasets and tags, listed in pages, are those that the caller may see", async () => {
    const names: string[] = [];
    for (let pageToken = ""; ;) {
      const page = await bob.datasets.list({ pageToken, pageSize: 2 });
      assert.ok(page.datasets.length <= 2);
      names.push(...page.datasets.map(({ name }) => name));
      if (page.nextPageToken === "") break;
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(names, ["@bob/shared", "empty", "test", "twice", "walked"]);
    const first = await bob.datasets.listTags({ name: "walked", pageSize: 1 });
    const second = await bob.datasets.listTags({ name: "walked", pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.tags, ...second.tags].map(({ version }) => version),
      ["latest", "v1"],
    );
  });

  it("a tag that is subscribed to, is answered at once and after each move, until it is cancelled", async () => {
    const tag = { name: "followed", version: "latest" };
    await publish(ann, "followed", { f: Buffer.from("one") });
    let ask: (request: { tag: typeof tag; cancel: boolean } | undefined) => void = () => undefined;
    async function* requests() {
      yield { tag, cancel: false };
      for (;;) {
        const next = await new Promise<Parameters<typeof ask>[0]>((resolve) => (ask = resolve));
        if (next === undefined) return;
        yield next;
      }
    }
    const sizes: (bigint | undefined)[] = [];
    for await (const answer of ann.datasets.subscribe(requests())) {
      assert.deepEqual([answer.tag?.name, answer.tag?.version], ["followed", "latest"]);
      sizes.push(answer.dataset?.files[0]?.size);
      if (sizes.length === 1) await publish(ann, "followed", { f: Buffer.from("three") });
      if (sizes.length === 2) {
        ask({ tag, cancel: true });
        await new Promise(setImmediate);
        ask(undefined);
      }
    }
    assert.deepEqual(sizes, [3n, 5n]);
  });
});
