import assert from "node:assert/strict";
import { hash } from "node:crypto";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import { MiB } from "../../base/limits.ts";
import { deleteDataset } from "../../dataset/deletion.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { FROM_START, PROCEDURES, type NfsClient } from "./testing/nfs-client.ts";
import { openNfsBed, tokensOf, type NfsBed } from "./testing/nfs-bed.ts";
import { XdrWriter } from "./xdr.ts";

const BIG_BYTES = 3 * MiB + 7;
const big = noise(4, BIG_BYTES);
const text = "line after line\n".repeat(20_000);

let bed: NfsBed;
let client: NfsClient;
let version: string;

before(async () => {
  bed = await openNfsBed();
  const { push } = bed;
  push.write("big.bin", big);
  push.write("text", text);
  push.write("empty", "");
  push.write("folder/inner/file", "inner");
  push.write("tool", "#!/bin/sh\n");
  fs.chmodSync(`${push.source}/tool`, 0o700);
  fs.utimesSync(`${push.source}/text`, 1_500_000_000, 1_500_000_000);
  fs.symlinkSync("folder/inner", `${push.source}/link`);
  for (let index = 0; index < 300; index++) push.write(`many/${index}`, `${index}`);
  version = await bed.publish("set:v1");
  await bed.publish("@team/set:v1");
  client = await bed.connect();
});
after(() => bed.close());

async function readAll(from: NfsClient, handle: Buffer, step: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0; ;) {
    const { bytes, isEnd } = await from.read(handle, offset, step);
    parts.push(bytes);
    offset += bytes.byteLength;
    if (isEnd) return Buffer.concat(parts);
  }
}

describe("NFS, looking up", () => {
  it("paths that are exported, lead to the same places, by MOUNT and by LOOKUP", async () => {
    const root = await client.mount("/");
    assert.deepEqual(await client.mount("/mount"), root);
    for (const names of [
      ["set", "v1", "folder", "inner"],
      ["@team", "set", "v1"],
      ["@team"],
      ["set", version],
    ]) {
      const mounted = await client.mount(`/${names.join("/")}`);
      assert.deepEqual(await client.lookup(root, ...names), mounted);
      assert.deepEqual(await client.mount(`/mount/${names.join("/")}/`), mounted);
      assert.equal((await client.getattr(mounted)).type, 2);
    }
    const inner = await client.mount("/set/v1/folder/inner");
    const folder = await client.lookup(inner, "..");
    assert.deepEqual(folder, await client.mount("/set/v1/folder"));
    assert.deepEqual(await client.lookup(folder, "..", ".."), await client.mount("/set"));
    assert.deepEqual(await client.lookup(await client.mount("/@team/set"), "..", ".."), root);
    assert.deepEqual(await client.lookup(root, ".."), root);
  });

  it("what is not there or no directory, is refused by the name that the protocol has for it", async () => {
    const root = await client.mount("/");
    const top = await client.mount("/set/v1");
    const file = await client.lookup(top, "text");
    for (const path of ["/nope", "/set/v2", "/set/v1/nope", "/@nope", "/@team/nope", "/set/sha256:00"])
      await assert.rejects(client.mount(path), /NFS 2$/, path);
    await assert.rejects(client.mount("/set/v1/text"), /NFS 20$/);
    await assert.rejects(client.lookup(file, "x"), /NFS 20$/);
    await assert.rejects(client.lookup(root, "x".repeat(256)), /NFS 63$/);
    await assert.rejects(client.lookup(root, "set/v1"), /NFS 2$/);
    await assert.rejects(client.read(top, 0, 10), /NFS 21$/);
    await assert.rejects(client.nfs(PROCEDURES.readlink, new XdrWriter().opaque(file)), /NFS 22$/);
    await assert.rejects(client.getattr(Buffer.alloc(0)), /NFS 10001$/);
  });

  it("attributes, are root's, read-only, and as the version has them", async () => {
    const top = await client.mount("/set/v1");
    const of = async (name: string) => client.getattr(await client.lookup(top, name));
    const { type, mode, size, mtime } = await of("text");
    assert.deepEqual([type, mode, size, mtime], [1, 0o444, text.length, "1500000000.0"]);
    assert.equal((await of("tool")).mode, 0o555);
    assert.deepEqual([(await of("link")).type, (await of("folder")).type], [5, 2]);
    const link = await client.nfs(
      PROCEDURES.readlink,
      new XdrWriter().opaque(await client.lookup(top, "link")),
    );
    link.fixed(4 + 84);
    assert.equal(link.string(100), "folder/inner");
    const access = await client.nfs(
      PROCEDURES.access,
      new XdrWriter().opaque(await client.lookup(top, "tool")).uint32(0x3f),
    );
    access.fixed(4 + 84);
    assert.equal(access.uint32(), 0x21);
  });

  it("READ, any part of a file, gives it, and says where it ends", async () => {
    const top = await client.mount("/set/v1");
    const file = await client.lookup(top, "big.bin");
    assert.ok((await readAll(client, file, MiB)).equals(big));
    assert.ok((await readAll(client, file, 2 ** 31)).equals(big));
    assert.ok((await readAll(client, file, 100_003)).equals(big));
    assert.equal((await readAll(client, await client.lookup(top, "text"), 4000)).toString(), text);
    assert.equal((await readAll(client, await client.lookup(top, "empty"), 4000)).byteLength, 0);
    for (const offset of [BIG_BYTES, BIG_BYTES + 1, Number.MAX_SAFE_INTEGER])
      assert.deepEqual(await client.read(file, offset, 10), { bytes: Buffer.alloc(0), isEnd: true });
    const part = await client.read(file, BIG_BYTES - 5, 5);
    assert.ok(part.isEnd && part.bytes.equals(big.subarray(-5)));
    assert.deepEqual(await client.read(file, 0, 0), { bytes: Buffer.alloc(0), isEnd: false });
  });

  it("what would change something, is refused: the file system is read-only", async () => {
    const handle = await client.mount("/set/v1");
    for (const [procedure, words] of [
      [2, 2],
      [7, 2],
      [8, 2],
      [9, 2],
      [10, 2],
      [11, 2],
      [12, 2],
      [13, 2],
      [14, 4],
      [15, 3],
      [21, 2],
    ] as const) {
      const { status, results } = await client.rpc.call(
        [100003, 3, procedure],
        new XdrWriter().opaque(handle).opaque(Buffer.alloc(procedure === 7 ? 2 * MiB : 10)),
      );
      assert.deepEqual([status, results.uint32()], [0, 30]);
      for (let word = 0; word < words; word++) assert.equal(results.uint32(), 0);
      assert.throws(() => results.uint32(), "nothing follows");
    }
  });

  it("FSINFO, PATHCONF and FSSTAT, tell of reads of a MiB, names of 255 bytes, and the version's size", async () => {
    const handle = new XdrWriter().opaque(await client.mount("/set/v1"));
    const info = await client.nfs(PROCEDURES.fsinfo, handle);
    info.fixed(88);
    assert.deepEqual([info.uint32(), info.uint32()], [MiB, MiB]);
    const conf = await client.nfs(PROCEDURES.pathconf, handle);
    conf.fixed(92);
    assert.equal(conf.uint32(), 255);
    const stat = await client.nfs(PROCEDURES.fsstat, handle);
    stat.fixed(88);
    assert.ok(Number(stat.uint64()) > BIG_BYTES + text.length);
  });
});

describe("NFS, listing", () => {
  it("directories, page by page, show everything once, with its handle", async () => {
    const root = await client.mount("/");
    assert.deepEqual(new Set((await client.list(root)).map(({ name }) => name)), new Set(["set", "@team"]));
    const many = await client.mount("/set/v1/many");
    const listed = await client.list(many, 1000);
    assert.deepEqual(
      listed.map(({ name }) => name).sort(),
      Array.from({ length: 300 }, (_, index) => String(index)).sort(),
    );
    assert.equal(new Set(listed.map(({ fileId }) => fileId)).size, 300);
    // What is kept of a list is right for who begins elsewhere, or takes less.
    assert.deepEqual(await client.list(many, 1000), listed);
    assert.deepEqual(await client.list(many, 777), listed);
    for (const { name, handle, attributes, fileId } of listed.slice(0, 20)) {
      assert.ok(handle !== undefined);
      assert.deepEqual(await client.lookup(many, name), handle);
      assert.deepEqual(await client.getattr(handle), attributes);
      assert.equal(attributes?.fileId, fileId);
    }
    const dots = (await client.page(many, FROM_START)).entries.slice(0, 2);
    assert.deepEqual(
      dots.map(({ name, handle }) => [name, handle]),
      [
        [".", many],
        ["..", await client.mount(`/set/${version}`)],
      ],
    );
  });

  it("answers, have no more bytes than the client takes, and at least one entry", async () => {
    const many = await client.mount("/set/v1/many");
    await assert.rejects(client.page(many, FROM_START, 150), /NFS 10005$/);
    const { entries } = await client.page(many, FROM_START, 64 * 1024, 100);
    assert.ok(entries.length >= 1 && entries.length <= 100 / 21);
    const args = new XdrWriter().opaque(many).uint64(0n).fixed(Buffer.alloc(8)).uint32(1024);
    const { results } = await client.rpc.call([100003, 3, PROCEDURES.readdir], args);
    assert.equal(results.uint32(), 0);
    let bytes = 0;
    assert.throws(() => {
      for (;;) bytes += results.fixed(4).byteLength;
    });
    assert.ok(bytes <= 1024 && bytes > 900, `${bytes} bytes`);
  });

  it("cookies, of another directory or beyond all, are refused", async () => {
    const many = await client.mount("/set/v1/many");
    const { verifier } = await client.page(many, FROM_START);
    for (const cookie of [3n, 2n ** 40n + 3n, 2n ** 64n - 1n])
      await assert.rejects(client.page(many, { cookie, verifier }), /NFS 10003$/);
  });

  it("tags, while others come and go, shows those that stay once each", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `set2:t${index}`);
    await bed.publish(...names);
    const handle = await client.mount("/set2");
    const seen: string[] = [];
    let after: { cookie: bigint; verifier: Buffer } = FROM_START;
    for (let round = 0, isEnd = false; !isEnd; round++) {
      const page = await client.page(handle, after, 700);
      seen.push(...page.entries.map(({ name }) => name).filter((name) => !name.startsWith(".")));
      after = { cookie: page.entries.at(-1)?.cookie ?? 0n, verifier: page.verifier };
      isEnd = page.isEnd;
      await bed.publish(`set2:new${round}`);
      // Another client begins meanwhile, and sees the directory as it is then.
      const shows = async (): Promise<boolean> =>
        (await client.list(handle, 64 * 1024)).some(({ name }) => name === `new${round}`);
      // A list is shared for a moment with those who begin one.
      while (!(await shows())) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const stayed = seen.filter((name) => name.startsWith("t")).sort();
    assert.deepEqual(stayed, names.map((name) => name.slice("set2:".length)).sort());
    assert.equal(new Set(seen).size, seen.length);
  });
});

describe("NFS, a tag that moves", () => {
  it("shows the new version to who looks anew, and the old one to who holds a handle or is listing", async () => {
    const first = await bed.publish("moving:latest");
    const tag = await client.mount("/moving/latest");
    const many = await client.lookup(tag, "many");
    const before = await client.getattr(tag);
    const text = await client.lookup(tag, "text");
    assert.deepEqual(await client.lookup(tag, "text"), text);
    const page = await client.page(tag, FROM_START, 1000);
    bed.push.write("text", "changed");
    bed.push.write("added", "new");
    assert.notEqual(await bed.publish("moving:latest"), first);
    // A look-up is remembered for a moment.
    while ((await client.getattr(tag)).mtime === before.mtime)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await client.getattr(tag)).fileId, before.fileId);
    const added = await client.lookup(tag, "added");
    assert.equal((await client.read(added, 0, 100)).bytes.toString(), "new");
    const changed = await client.lookup(tag, "text");
    assert.equal((await client.read(changed, 0, 100)).bytes.toString(), "changed");
    assert.equal((await client.read(text, 0, 16)).bytes.toString(), "line after line\n");
    assert.equal((await client.list(many)).length, 300);
    const rest = { cookie: page.entries.at(-1)?.cookie ?? 0n, verifier: page.verifier };
    const { entries } = await client.page(tag, rest, 64 * 1024);
    assert.ok(
      !entries.some(({ name }) => name === "added"),
      "the listing goes on in the version it began in",
    );
    const unknown = { ...rest, verifier: Buffer.alloc(8, 9) };
    await assert.rejects(client.page(tag, unknown), /NFS 10003$/);
  });
});

describe("NFS, its handles and who may", () => {
  it("are good on every port of the store, and none of another's", async () => {
    const second = await bed.listen();
    const other = await bed.connect(second);
    const keyed = await bed.connect(await bed.listen({ handleKey: Buffer.from("another") }));
    const places = ["/", "/@team", "/@team/set", "/set/v1", `/set/${version}`, "/set/v1/many"];
    for (const path of places) {
      const handle = await client.mount(path);
      assert.deepEqual(await other.getattr(handle), await client.getattr(handle), path);
      await assert.rejects(keyed.getattr(handle), /NFS 10001$/);
    }
    await second.close({ graceMs: 0 });
    await assert.rejects(other.getattr(await client.mount("/")), /closed/);
  });

  it("of what is gone, are stale", async () => {
    await bed.publish("gone:v1");
    const [dataset, tag] = [await client.mount("/gone"), await client.mount("/gone/v1")];
    const file = await client.lookup(tag, "text");
    await deleteDataset(bed.push.engine, parseDatasetName("gone"), { publisher: "test" });
    const fresh = await bed.connect(await bed.listen());
    for (const handle of [dataset, tag, file]) await assert.rejects(fresh.getattr(handle), /NFS 70$/);
    await assert.rejects(fresh.mount("/gone"), /NFS 2$/);
  });

  it("with tokens, let in who mounts with one, to the datasets that it covers, until it is taken away", async () => {
    const token = (name: string, secret: string, covers: (dataset: string) => boolean) => ({
      name,
      secret: hash("sha256", secret, "buffer"),
      covers,
    });
    const tokens = tokensOf([
      token("all", "secret-of-all", () => true),
      token("team", "secret-of-team", (dataset) => dataset.startsWith("@team/")),
    ]);
    const port = await bed.listen({ tokens });
    const guarded = await bed.connect(port);
    await assert.rejects(guarded.mount("/set/v1"), /NFS 13$/);
    await assert.rejects(guarded.mount("/~secret-of-nobody/set/v1"), /NFS 13$/);
    await assert.rejects(guarded.getattr(await client.mount("/set/v1")), /NFS 13$/);
    const all = await guarded.mount("/~secret-of-all/set/v1");
    assert.equal((await guarded.list(await guarded.mount("/~secret-of-all"))).length >= 2, true);
    const team = await guarded.mount("/~secret-of-team/mount");
    assert.deepEqual(
      (await guarded.list(team)).map(({ name }) => name),
      ["@team"],
    );
    await assert.rejects(guarded.lookup(team, "set"), /NFS 13$/);
    await assert.rejects(guarded.mount("/~secret-of-team/set/v1"), /NFS 13$/);
    // The same directory, with the handles of each.
    const listedBy = async (secret: string) => guarded.list(await guarded.mount(`/~${secret}/@team/set/v1`));
    const [byAll, byTeam] = [await listedBy("secret-of-all"), await listedBy("secret-of-team")];
    for (const [index, { name, handle }] of byTeam.entries()) {
      assert.equal(byAll[index]?.name, name);
      assert.notDeepEqual(byAll[index].handle, handle);
      assert.ok(handle !== undefined && (await guarded.getattr(handle)).type > 0);
    }
    const file = await guarded.lookup(team, "@team", "set", "v1", "text");
    assert.equal((await guarded.getattr(file)).size, text.length);
    await assert.rejects(client.getattr(file), /NFS 10001$/, "a port that knows no tokens");
    tokens.all = tokens.all.slice(0, 1);
    await assert.rejects(guarded.getattr(file), /NFS 13$/);
    await assert.rejects(guarded.getattr(team), /NFS 13$/);
    assert.equal((await guarded.getattr(all)).type, 2);
  });

  it("by addresses, let nobody in who is not named, and say so", async () => {
    const port = await bed.listen({ allowed: [{ address: "10.0.0.0", prefixBits: 8, family: "ipv4" }] });
    const stranger = await bed.connect(port);
    await assert.rejects(stranger.mount("/"), /RPC denied 1$/);
    await assert.rejects(stranger.mount("/"), /closed/);
  });
});
