import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import { must } from "../../base/assert.ts";
import { rollback, tagVersion } from "../../dataset/tag-changes.ts";
import { readBlockIndex } from "../../dataset/ingest/block-indexes.ts";
import { ChunkReader } from "../../dataset/version/chunk-reader.ts";
import { entries } from "../../dataset/version/entries.ts";
import { openVersion } from "../../dataset/version/version.ts";
import { collect, gather, noise } from "../../dataset/testing/engine.ts";
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import { decodeManifestObject } from "../../format/manifest.ts";
import { planBaseOf } from "../../format/plan.ts";
import { parseDatasetName, parseTag, scopeOf, type DatasetName } from "../../format/reference.ts";
import { VersionAPI } from "../../gen/aetherfs/hub/v1/version_pb.ts";
import type { RangeReader } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";
import { versionService } from "./version-service.ts";

const LATEST = parseTag("latest");
const SAID = { publisher: "ann", message: "", labels: {} };

describe("VersionAPI", () => {
  let bed: ApiBed;
  let client: Client<typeof VersionAPI>;
  before(async () => {
    bed = await openApiBed();
    client = clientOf(VersionAPI, versionService(bed.services));
  });
  after(() => bed.close());

  /** Pushes the source, of which one file is `label`, with more files than lie within a manifest object when `paged`. */
  async function push(name: string, label: string, paged = false): Promise<Digest> {
    bed.push.write("label", label);
    bed.push.write("data", noise(1, 100_000));
    if (paged) for (let index = 0; index < 2500; index++) bed.push.write(`many/${index}`, `${index}`);
    return (await bed.push.push({ tags: [{ name: parseDatasetName(name), tag: LATEST }] })).digest;
  }

  async function manifest(name: string, version: Digest): Promise<Uint8Array> {
    const { manifests } = await client.getManifests({ name, digests: [digestBytes(version)] });
    return must(manifests[0], "an answer for each digest");
  }

  async function plan(name: string, key: Digest): Promise<Uint8Array> {
    return must(
      (await client.getPlans({ name, keys: [digestBytes(key)] })).plans[0],
      "an answer for each key",
    );
  }

  /** What a reader far away sees of the store; every digest that it asks for is noted. */
  function reading(name: DatasetName, asked: Set<Digest> = new Set()): ManifestReader {
    return {
      getManifest: async (version) => {
        const bytes = await manifest(name, version);
        return bytes.byteLength === 0 ? undefined : bytes;
      },
      getPlan: async (key) => {
        asked.add(key);
        const value = await plan(name, key);
        return value.byteLength === 0 ? undefined : { value, revision: "" as never };
      },
    };
  }

  /** What a reader far away sees of the blocks: those of a domain. */
  function blocksOf(domain: string): RangeReader {
    const { blocks } = bed.push.store;
    return {
      stat: (block, options) => blocks.stat(block, options),
      read: async (block, range, options) => {
        assert.equal((await readBlockIndex(blocks, block)).domain, domain);
        return await blocks.read(block, range, options);
      },
    };
  }

  it("a version, read through it alone with its base and plans, is the one that was pushed", async () => {
    await push("line", "one");
    const version = await push("line", "two");
    assert.notEqual(decodeManifestObject(await manifest("line", version)).base, undefined);
    const store = { blocks: bed.push.store.blocks, datasets: reading(parseDatasetName("line")) };
    assert.equal((await openVersion({ store }, version)).digest, version);
    const all = await client.getManifests({
      name: "line",
      digests: [digestBytes(version), new Uint8Array(32)],
    });
    assert.deepEqual(
      all.manifests.map(({ byteLength }) => byteLength > 0),
      [true, false],
    );
  });

  it("a version of another dataset, and its plan, are not there, whatever dataset is named", async () => {
    const version = await push("secret", "whispered");
    await push("open", "said");
    assert.equal((await manifest("open", version)).byteLength, 0);
    assert.equal((await plan("open", version)).byteLength, 0);
    assert.ok((await manifest("secret", version)).byteLength > 0);
    assert.ok((await plan("secret", version)).byteLength > 0);
    await failsWith(client.getManifests({ name: "none", digests: [] }), "DATASET_NOT_FOUND");
  });

  it("a version that a tag was set to from another dataset, is read without that dataset's own", async () => {
    const { engine } = bed.push;
    const first = await push("origin", "one");
    const second = await push("origin", "two");
    const target = { name: parseDatasetName("copy"), tag: LATEST };
    const source = { host: undefined, name: parseDatasetName("origin"), tag: undefined, digest: second };
    await tagVersion(engine, source, target, SAID);
    assert.equal(decodeManifestObject(await manifest("origin", second)).base, first);
    assert.equal(decodeManifestObject(await manifest("copy", second)).base, undefined);
    assert.equal((await manifest("copy", first)).byteLength, 0);
    assert.equal(planBaseOf(await plan("origin", second))?.key, first);
    assert.equal(planBaseOf(await plan("copy", second)), undefined);
    for (const { name } of [target, source]) {
      const store = { blocks: bed.push.store.blocks, datasets: reading(name) };
      const version = await openVersion({ store }, second);
      const reader = new ChunkReader({ ...engine, store }, version);
      assert.equal((await collect(reader.readRange(0, version.root.bytes))).byteLength, version.root.bytes);
    }
  });

  it("a version whose tag moved on, was rolled back or removed, stays the dataset's", async () => {
    const first = await push("moving", "one");
    await push("moving", "two");
    assert.ok((await manifest("moving", first)).byteLength > 0);
    await rollback(bed.push.engine, { name: parseDatasetName("moving"), tag: LATEST }, SAID);
    assert.ok((await manifest("moving", first)).byteLength > 0);
  });

  it("a page's plan is there for readers of its domain, and for no other", async () => {
    const version = await push("paged", "one", true);
    await push("@elsewhere/other", "two");
    const asked = new Set<Digest>();
    const opened = await openVersion(
      { store: { blocks: bed.push.store.blocks, datasets: reading(parseDatasetName("paged"), asked) } },
      version,
    );
    const { entries } = opened.root;
    const page = must(entries, "the version has entries").digest;
    assert.ok((await plan("paged", page)).byteLength > 0);
    assert.equal((await plan("@elsewhere/other", page)).byteLength, 0);
    assert.equal((await plan("paged", digestOf(Buffer.from("nothing")))).byteLength, 0);
  });

  for (const paged of [false, true]) {
    it(`a version that two domains have, ${paged ? "in pages" : "inline"}, is read from each without the other's blocks`, async () => {
      const names = [`twin-${paged}`, `@s/twin-${paged}`, `@t/twin-${paged}`];
      const source = join(bed.push.source, `twin-${paged}`);
      bed.push.write(`twin-${paged}/data`, noise(paged ? 2 : 3, 100_000));
      for (let index = 0; index < (paged ? 2500 : 1); index++)
        bed.push.write(`twin-${paged}/${index}`, `${index}`);
      const pushed = [];
      for (const name of [...names, ...names]) {
        const tags = [{ name: parseDatasetName(name), tag: LATEST }];
        pushed.push((await bed.push.push({ source, tags })).digest);
      }
      assert.equal(new Set(pushed).size, 1);
      for (const name of names.map(parseDatasetName)) {
        const store = { blocks: blocksOf(scopeOf(name)), datasets: reading(name) };
        const version = await openVersion({ store }, must(pushed[0], "it was pushed"));
        const bytes = await collect(
          new ChunkReader({ ...bed.push.engine, store }, version).readRange(0, version.root.bytes),
        );
        assert.equal(bytes.byteLength, version.root.bytes);
        assert.ok((await gather(entries(version))).length >= 2);
      }
    });
  }

  it("too many digests, or one of a wrong length, are refused", async () => {
    const digests = Array.from({ length: 257 }, () => new Uint8Array(32));
    await failsWith(client.getManifests({ name: "line", digests }), "LIMIT_EXCEEDED");
    await failsWith(client.getPlans({ name: "line", keys: [new Uint8Array(31)] }), "ARGUMENT_INVALID");
  });
});
