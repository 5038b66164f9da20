import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { compareUtf8 } from "../../base/bytes.ts";
import { digestOf } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { encodeManifest, encodeRoot, decodeRoot } from "../../format/manifest.ts";
import { cat } from "../cat.ts";
import { collect, gather, noise, testEngine } from "../testing/engine.ts";
import { bytesOf, entriesOf, type Tree, type TreeNode } from "../testing/tree.ts";
import { VersionBuilder, openMemoryStore } from "../testing/version-builder.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { chunks } from "./chunks.ts";
import { entries, findEntry, findEntryAt, listFolder, type PlacedEntry } from "./entries.ts";
import { openVersion, type Version } from "./version.ts";

const store = await openMemoryStore();
const engine = testEngine(store);
const builder = new VersionBuilder(store);
after(() => engine.pool.close());

/** 2,000 small files in 20 folders with awkward names among them, and two larger ones. */
function manyFiles(seed: number): Tree {
  const tree: Record<string, TreeNode> = {
    "big/a.bin": { bytes: noise(seed, 300_000) },
    "big/b.bin": { bytes: noise(7, 100_000) },
    empty: { folder: true, mode: 0o700 },
    "folder-1/x": { bytes: "" },
    "ünïcode/\u{1f600}": { target: "../nowhere" },
    "\uffee": { bytes: "after the surrogates by units, before them by bytes" },
  };
  for (let index = 0; index < 2000; index++) {
    const time = { seconds: 1_600_000_000 + index, nanos: index };
    tree[`folder/${index % 20}/file ${index}`] = {
      bytes: `content ${index * seed}\n`.repeat(index % 30),
      mtime: time,
    };
  }
  return tree;
}

async function allEntries(version: Version, from?: string): Promise<PlacedEntry[]> {
  return gather(entries(version, { from }));
}

function streamOf(expected: readonly Entry[], tree: Tree): Buffer {
  return Buffer.concat(expected.map((entry) => bytesOf(tree[entry.path])));
}

const before = manyFiles(1);
const after2 = {
  ...manyFiles(2),
  "big/b.bin": { bytes: Buffer.concat([noise(7, 50_000), noise(8, 9_000)]) },
};
const inline = await builder.build({ "a/b": { bytes: "hello" }, c: { bytes: noise(3, 20_000) } });
const paged = await builder.build(before, { paged: true });
const delta = await builder.build(after2, { paged: true, base: paged });

for (const [name, tree, built] of [
  ["inline", { "a/b": { bytes: "hello" }, c: { bytes: noise(3, 20_000) } } as Tree, inline],
  ["paged", before, paged],
  ["delta", after2 as Tree, delta],
] as const) {
  describe(`version, ${name}`, () => {
    const expected = entriesOf(tree);

    it("entries, all, are those of the tree with times and stream offsets", async () => {
      const found = await allEntries(await openVersion(engine, built.digest));
      assert.deepEqual(
        found.map(({ entry }) => entry),
        expected,
      );
      let start = 0;
      for (const placed of found) {
        assert.equal(placed.start, start);
        if (placed.entry.kind === "file") start += placed.entry.size;
      }
    });

    it("entries from any path, are those at and after it", async () => {
      const version = await openVersion(engine, built.digest);
      for (const from of ["a", "folder/7", "folder/7/file 1207", "folder/7/file 1207\0", "zzz", "\uffee"]) {
        const found = await allEntries(version, from);
        const wanted = expected.filter((entry) => compareUtf8(entry.path, from) >= 0);
        assert.deepEqual(
          found.map(({ entry }) => entry),
          wanted,
        );
      }
    });

    it("findEntry, each path and some that are not there, finds the entry or nothing", async () => {
      const version = await openVersion(engine, built.digest);
      for (const entry of expected.filter((_, index) => index % 37 === 0)) {
        assert.deepEqual((await findEntry(version, entry.path))?.entry, entry);
        assert.equal(await findEntry(version, `${entry.path}\u0001`), undefined);
      }
      assert.equal(await findEntry(version, ""), undefined);
    });

    it("findEntryAt, each number and some beyond, finds what stands there", async () => {
      const version = await openVersion(engine, built.digest);
      const placed = await allEntries(version);
      for (const [index, one] of placed.entries()) {
        assert.equal(one.index, index);
        if (index % 41 === 0 || index > placed.length - 3)
          assert.deepEqual(await findEntryAt(version, index), one);
      }
      for (const index of [-1, placed.length, 2 ** 40])
        assert.equal(await findEntryAt(version, index), undefined);
    });

    it("listFolder, each folder, gives what lies directly in it", async () => {
      const version = await openVersion(engine, built.digest);
      const folders = expected.filter((entry) => entry.kind === "directory").map((entry) => `${entry.path}/`);
      for (const prefix of ["", ...folders]) {
        const wanted = expected
          .map((entry) => entry.path)
          .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes("/"));
        const list = async (after?: string): Promise<string[]> => {
          const listed = await gather(listFolder(version, prefix.slice(0, -1), { after }));
          return listed.map(({ entry }) => entry.path);
        };
        assert.deepEqual(await list(), wanted);
        const middle = wanted[Math.floor(wanted.length / 2)];
        if (middle !== undefined)
          assert.deepEqual(await list(middle), wanted.slice(wanted.indexOf(middle) + 1));
      }
    });

    it("readRange, any range, equals the slice of the stream", async () => {
      const version = await openVersion(engine, built.digest);
      const reader = new ChunkReader(engine, version);
      const stream = streamOf(expected, tree);
      assert.equal(stream.byteLength, version.root.bytes);
      assert.ok(stream.equals(await collect(reader.readRange(0, stream.byteLength))));
      const range = fc
        .tuple(fc.nat(stream.byteLength), fc.nat(stream.byteLength))
        .map((ends) => ends.sort((a, b) => a - b));
      await fc.assert(
        fc.asyncProperty(range, async ([start, end]) => {
          assert.ok(stream.subarray(start, end).equals(await collect(reader.readRange(start, end))));
        }),
        { numRuns: 25 },
      );
    });

    it("cat, files, gives their bytes", async () => {
      const version = await openVersion(engine, built.digest);
      const files = expected.filter((entry) => entry.kind === "file");
      for (const entry of files.filter((_, index) => index % 97 === 0 || index === files.length - 1)) {
        assert.equal(digestOf(await collect(cat(engine, version, entry.path))), entry.digest);
      }
    });
  });
}

describe("version", () => {
  it("chunks of one range, paged, are read from few pages", async () => {
    const version = await openVersion(engine, paged.digest);
    const found = await gather(chunks(version, 250_000, 250_001));
    assert.equal(found.length, 1);
    const whole = await openVersion(engine, paged.digest);
    await allEntries(whole);
    assert.ok(
      version.traffic.manifestBytes > 0 && version.traffic.manifestBytes < whole.traffic.manifestBytes / 3,
    );
  });

  it("findEntry, paged, reads a handful of pages", async () => {
    const version = await openVersion(engine, paged.digest);
    await findEntry(version, "folder/7/file 1207");
    const whole = await openVersion(engine, paged.digest);
    await allEntries(whole);
    assert.ok(version.traffic.manifestBytes < whole.traffic.manifestBytes / 3);
  });

  it("cat of a range past the end, fails with RANGE_INVALID", async () => {
    const version = await openVersion(engine, inline.digest);
    await assert.rejects(collect(cat(engine, version, "a/b", { start: 0, end: 6 })), {
      code: "RANGE_INVALID",
    });
    assert.equal((await collect(cat(engine, version, "a/b", { start: 1, end: 4 }))).toString(), "ell");
  });

  it("cat of a folder or of nothing, fails with PATH_NOT_FOUND", async () => {
    const version = await openVersion(engine, inline.digest);
    for (const path of ["a", "nope"]) {
      await assert.rejects(collect(cat(engine, version, path)), { code: "PATH_NOT_FOUND" });
    }
  });

  it("open of a version that the store lacks, fails with VERSION_NOT_FOUND", async () => {
    await assert.rejects(openVersion(engine, digestOf(Buffer.from("nothing"))), {
      code: "VERSION_NOT_FOUND",
    });
  });

  it("manifest of another version under a version's name, open, fails with OBJECT_CORRUPT", async () => {
    const own = await openMemoryStore();
    const built = await new VersionBuilder(own).build({ a: { bytes: "1" } });
    await own.datasets.putManifest(built.digest, encodeManifest(inline.manifest.bundle));
    await assert.rejects(openVersion({ store: own }, built.digest), { code: "OBJECT_CORRUPT" });
  });

  it("manifest whose base is itself, open, fails and does not hang", async () => {
    const own = await openMemoryStore();
    const built = await new VersionBuilder(own).build(before);
    const other = decodeRoot(built.manifest.bundle.root);
    const root = encodeRoot({ ...other, chunking: { kind: "cdc", averageBytes: 8192 } });
    const bundle = { ...built.manifest.bundle, root };
    await own.datasets.putManifest(built.digest, encodeManifest(bundle, built.manifest));
    await assert.rejects(openVersion({ store: own }, built.digest), { code: "OBJECT_INVALID" });
  });

  it("block damaged, read, fails with OBJECT_CORRUPT", async () => {
    const own = await openMemoryStore();
    const built = await new VersionBuilder(own).build({ a: { bytes: noise(1, 9000) } }, { level: 0 });
    assert.ok(built.block !== undefined);
    const bytes = await own.blocks.read(built.block);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    const damaged = {
      ...own,
      blocks: Object.assign(Object.create(own.blocks) as typeof own.blocks, { read: readOf(bytes) }),
    };
    const version = await openVersion({ store: damaged }, built.digest);
    await assert.rejects(collect(cat({ ...engine, store: damaged }, version, "a")), {
      code: "OBJECT_CORRUPT",
    });
  });

  it("block that moved after the plan was read, read, finds it by the plan read anew", async () => {
    const own = await openMemoryStore();
    const tree = { a: { bytes: "compressible ".repeat(1000) } };
    const built = await new VersionBuilder(own).build(tree);
    const version = await openVersion({ store: own }, built.digest);
    await version.plans.get(built.digest);
    const moved = await new VersionBuilder(own).build(tree, { level: 0 });
    assert.equal(moved.digest, built.digest);
    assert.ok(built.block !== undefined && moved.block !== built.block);
    await own.blocks.remove(built.block);
    const bytes = await collect(cat({ ...engine, store: own }, version, "a"));
    assert.equal(bytes.toString(), tree.a.bytes);
  });

  it("block that is gone, read, fails with OBJECT_MISSING", async () => {
    const own = await openMemoryStore();
    const built = await new VersionBuilder(own).build({ a: { bytes: "1" } });
    assert.ok(built.block !== undefined);
    await own.blocks.remove(built.block);
    const version = await openVersion({ store: own }, built.digest);
    await assert.rejects(collect(cat({ ...engine, store: own }, version, "a")), { code: "OBJECT_MISSING" });
  });

  it("signal aborted, entries are read, fails with its reason", async () => {
    const controller = new AbortController();
    const version = await openVersion(engine, paged.digest, { signal: controller.signal });
    controller.abort();
    await assert.rejects(allEntries(version), { name: "AbortError" });
  });
});

function readOf(bytes: Uint8Array) {
  return async (_block: unknown, range?: { start: number; end: number }): Promise<Uint8Array> =>
    Uint8Array.from(range === undefined ? bytes : bytes.subarray(range.start, range.end));
}
