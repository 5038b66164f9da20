import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { must } from "../../base/assert.ts";
import type { Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { parseDatasetName } from "../../format/reference.ts";
import type { BlockStore } from "../../store/block-store.ts";
import type { Store } from "../../store/dataset-store.ts";
import type { Progress, PullOptions, PullResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { noise, testEngine } from "../testing/engine.ts";
import { comparable, readFolder, temporaryFolder } from "../testing/folder.ts";
import { entriesOf, entryOf, type Tree } from "../testing/tree.ts";
import { VersionBuilder, openMemoryStore, type BuildOptions } from "../testing/version-builder.ts";
import { pull } from "./pull.ts";
import { STAGING_NAME, stagedName } from "./staging.ts";

const store = await openMemoryStore();
const builder = new VersionBuilder(store);
const shared = testEngine(store);
after(() => shared.pool.close());

let folder: ReturnType<typeof temporaryFolder>;
let engine: Engine;
let target: string;
beforeEach(() => {
  folder = temporaryFolder();
  engine = { ...shared, cacheDir: path.join(folder.path, "cache") };
  target = path.join(folder.path, "target");
});
afterEach(() => {
  folder.remove();
});

function pullVersion(
  version: Digest,
  options: Partial<PullOptions> = {},
  from = engine,
): Promise<PullResult> {
  return pull(from, { name: parseDatasetName("test"), version, target, ...options });
}

async function buildAndPull(
  tree: Tree,
  options: Partial<PullOptions> = {},
  how?: BuildOptions,
): Promise<PullResult> {
  return pullVersion((await builder.build(tree, how)).digest, options);
}

function assertHolds(entries: readonly Entry[]): void {
  assert.deepEqual(comparable(readFolder(target)), comparable(entries));
}

const MIXED: Tree = {
  "a/b/c.txt": { bytes: "hello", mode: 0o600, mtime: { seconds: 1_500_000_000, nanos: 123_000_000 } },
  "a-b": { bytes: "between a and a/b" },
  "a/link": { target: "../nowhere", mtime: { seconds: 1_400_000_000, nanos: 0 } },
  "big.bin": { bytes: noise(1, 6_000_000) },
  closed: { folder: true, mode: 0o555, mtime: { seconds: 1_300_000_000, nanos: 0 } },
  "closed/inner": { bytes: "in a folder that may not be written", mode: 0o444 },
  empty: { bytes: "" },
  "empty folder": { folder: true, mode: 0o700 },
  "old.txt": { bytes: "before 1970", mtime: { seconds: -5, nanos: 500_000_000 } },
  "spaces and ünïcode \u{1f600}%\n": { bytes: "x" },
};

describe("pull", () => {
  for (const paged of [false, true]) {
    it(`into an empty folder, ${paged ? "paged" : "inline"}, makes the version's tree`, async () => {
      const result = await buildAndPull(MIXED, { verify: true }, { paged });
      assertHolds(entriesOf(MIXED));
      assert.equal(result.files, 7);
      assert.equal(result.reusedBytes, 0);
      assert.ok(result.fetchedBytes > 6_000_000);
    });
  }

  it("again, unchanged, fetches next to nothing and reuses all", async () => {
    const first = await buildAndPull(MIXED, {}, { paged: true });
    const again = await buildAndPull(MIXED, {}, { paged: true });
    assert.equal(again.reusedBytes, first.bytes);
    assert.equal(again.fetchedBytes, 0);
    assertHolds(entriesOf(MIXED));
  });

  it("again without the cache folder, hashes the files and fetches the manifest only", async () => {
    await buildAndPull(MIXED);
    engine = { ...engine, cacheDir: undefined };
    const again = await buildAndPull(MIXED);
    assert.equal(again.reusedBytes, again.bytes);
    assert.equal(again.fetchedBytes, again.manifestBytes);
    assertHolds(entriesOf(MIXED));
  });

  for (const cached of [true, false]) {
    it(`of a successor stored as deltas, ${cached ? "with" : "without"} cache, fetches little more than the deltas`, async () => {
      const bytes = Buffer.from(noise(2, 2_000_000));
      const before: Tree = { ...MIXED, "data/big": { bytes } };
      const changed = Buffer.concat([
        bytes.subarray(0, 1_000_000),
        Buffer.from("changed"),
        bytes.subarray(1_000_100),
      ]);
      const next: Tree = { ...MIXED, "data/big": { bytes: changed } };
      const base = await builder.build(before, { paged: true });
      const successor = await builder.build(next, { paged: true, base });
      await pullVersion(base.digest);
      if (!cached) engine = { ...engine, cacheDir: undefined };
      const result = await pullVersion(successor.digest, { verify: true });
      assertHolds(entriesOf(next));
      assert.ok(result.fetchedBytes - result.manifestBytes < 20_000, `${result.fetchedBytes} bytes`);
      assert.ok(result.reusedBytes > result.bytes - 20_000);
    });
  }

  it("of a version with a renamed file, takes its bytes from the folder", async () => {
    const bytes = noise(5, 500_000);
    await buildAndPull({ "a/x": { bytes } });
    fs.utimesSync(path.join(target, "a"), 1, 1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await buildAndPull({ "a/x": { bytes } });
    const result = await buildAndPull({ "b/y": { bytes } }, { delete: true });
    assertHolds(entriesOf({ "b/y": { bytes } }));
    assert.equal(result.fetchedBytes, result.manifestBytes);
  });

  it("with what it remembers damaged or of another folder, hashes and mends", async () => {
    await buildAndPull(MIXED, {}, { paged: true });
    const memory = path.join(folder.path, "cache/pull");
    for (const damage of ["", "garbage".repeat(1000)]) {
      for (const name of fs.readdirSync(memory, { recursive: true, encoding: "utf8" })) {
        const file = path.join(memory, name);
        if (fs.statSync(file).isFile()) fs.writeFileSync(file, damage);
      }
      fs.writeFileSync(path.join(target, "a-b"), "other");
      const result = await buildAndPull(MIXED, {}, { paged: true });
      assertHolds(entriesOf(MIXED));
      assert.ok(result.reusedBytes >= result.bytes - 100);
    }
  });

  it("with progress wanted, reports numbers that only grow within a phase", async () => {
    const seen: Progress[] = [];
    await buildAndPull(MIXED, { verify: true, onProgress: (progress) => seen.push(progress) });
    assert.ok(seen.length > 0);
    for (const [index, progress] of seen.entries()) {
      const before = seen[index - 1];
      if (before?.phase === progress.phase)
        assert.ok(progress.bytes >= before.bytes && progress.files >= before.files);
    }
  });

  it("with a file changed behind its back, mends it", async () => {
    await buildAndPull(MIXED);
    const file = path.join(target, "a/b/c.txt");
    const stats = fs.statSync(file);
    fs.writeFileSync(file, "hEllo");
    fs.utimesSync(file, stats.atime, stats.mtime);
    await buildAndPull(MIXED);
    assertHolds(entriesOf(MIXED));
  });

  it("over paths of other kinds, replaces them and follows no symlink", async () => {
    const outside = path.join(folder.path, "outside");
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, "f"), "outside");
    fs.mkdirSync(target);
    fs.symlinkSync(outside, path.join(target, "dir"));
    fs.symlinkSync(path.join(outside, "f"), path.join(target, "file"));
    fs.mkdirSync(path.join(target, "link"));
    fs.writeFileSync(path.join(target, "folder"), "a file where a folder shall be");
    fs.linkSync(path.join(outside, "f"), path.join(target, "hard"));
    const tree: Tree = {
      "dir/f": { bytes: "inside" },
      file: { bytes: "new" },
      link: { target: "file" },
      "folder/deep/x": { bytes: "x" },
      "folder/link": { target: "x" },
      hard: { bytes: "own" },
    };
    await buildAndPull(tree);
    assertHolds(entriesOf(tree));
    assert.equal(fs.readFileSync(path.join(outside, "f"), "utf8"), "outside");
    assert.deepEqual(fs.readdirSync(outside), ["f"]);
  });

  it("over a folder that is not empty where a file shall be, is refused without delete and done with it", async () => {
    fs.mkdirSync(path.join(target, "x"), { recursive: true });
    fs.writeFileSync(path.join(target, "x/mine"), "precious");
    const tree: Tree = { a: { bytes: "1" }, x: { bytes: "2" } };
    await assert.rejects(buildAndPull(tree), { code: "TARGET_UNWRITABLE" });
    assert.deepEqual(
      readFolder(target).map((entry) => entry.path),
      ["x", "x/mine"],
    );
    await buildAndPull(tree, { delete: true });
    assertHolds(entriesOf(tree));
  });

  it("into a folder with files of its own, keeps them, and with delete removes them", async () => {
    fs.mkdirSync(path.join(target, "a/own"), { recursive: true });
    fs.writeFileSync(path.join(target, "a/own/x"), "mine");
    fs.symlinkSync("/", path.join(target, "root"));
    await buildAndPull({ "a/b": { bytes: "1" } });
    assert.deepEqual(
      readFolder(target).map((entry) => entry.path),
      ["a", "a/b", "a/own", "a/own/x", "root"],
    );
    await buildAndPull({ "a/b": { bytes: "1" } }, { delete: true });
    assertHolds(entriesOf({ "a/b": { bytes: "1" } }));
  });

  it("with include and exclude, pulls the chosen paths and the folders above them", async () => {
    await buildAndPull(MIXED, { include: ["*.txt", "closed"], exclude: ["old*"], verify: true });
    const paths = readFolder(target).map((entry) => entry.path);
    assert.deepEqual(paths, ["a", "a/b", "a/b/c.txt", "closed", "closed/inner"]);
  });

  it("of a version that the store lacks, fails and makes no folder", async () => {
    const missing = "0".repeat(64) as Digest;
    await assert.rejects(pullVersion(missing), { code: "VERSION_NOT_FOUND" });
    assert.equal(fs.existsSync(target), false);
  });

  it("into a file, fails with TARGET_UNWRITABLE", async () => {
    fs.writeFileSync(target, "a file");
    await assert.rejects(buildAndPull(MIXED), { code: "TARGET_UNWRITABLE" });
    assert.equal(fs.readFileSync(target, "utf8"), "a file");
  });

  it("while another pull works on the folder, fails and harms nothing", async () => {
    const { digest } = await builder.build(MIXED);
    const both = await Promise.allSettled([pullVersion(digest), pullVersion(digest)]);
    const failed = both.filter((outcome) => outcome.status === "rejected");
    assert.equal(failed.length, 1);
    assert.equal((must(failed[0], "one").reason as { code: string }).code, "TARGET_UNWRITABLE");
    assertHolds(entriesOf(MIXED));
  });

  it("with a signal aborted under way, stops, and the next one heals", async () => {
    const { digest } = await builder.build(MIXED);
    const controller = new AbortController();
    const blocks = reading(store, () => {
      controller.abort();
    });
    const from = { ...engine, store: { ...store, blocks } };
    await assert.rejects(pullVersion(digest, { signal: controller.signal }, from), { name: "AbortError" });
    await pullVersion(digest, { verify: true });
    assertHolds(entriesOf(MIXED));
  });

  it("whose store fails under way, keeps what arrived for the next one", async () => {
    const tree: Tree = { "big.bin": { bytes: noise(9, 30_000_000) }, small: { bytes: "s" } };
    const { digest } = await builder.build(tree, { paged: true });
    let reads = 0;
    const blocks = reading(store, (bytes) => {
      if (bytes > 100_000 && ++reads > 4) throw new Error("the network is gone");
    });
    await assert.rejects(
      pullVersion(digest, {}, { ...engine, store: { ...store, blocks } }),
      /network is gone/,
    );
    assert.deepEqual(fs.readdirSync(target), [STAGING_NAME]);
    const result = await pullVersion(digest, { verify: true });
    assertHolds(entriesOf(tree));
    assert.ok(result.reusedBytes > 10_000_000, `${result.reusedBytes} bytes reused`);
    assert.ok(result.fetchedBytes < 21_000_000, `${result.fetchedBytes} bytes fetched`);
  });

  it("that finds a file staged whole by a killed one, places it with its mode and time", async () => {
    const tree: Tree = { a: { bytes: "staged", mode: 0o640, mtime: { seconds: 1_000_000_000, nanos: 0 } } };
    const entry = must(entriesOf(tree)[0], "there is one");
    assert.ok(entry.kind === "file");
    fs.mkdirSync(path.join(target, STAGING_NAME), { recursive: true });
    fs.writeFileSync(path.join(target, stagedName(entry)), "staged", { mode: 0o600 });
    const { digest, chunks } = await builder.build(tree);
    assert.equal(chunks.length, 1);
    const result = await pullVersion(digest);
    assert.equal(result.fetchedBytes, result.manifestBytes);
    assertHolds([entry]);
  });

  it("of a damaged block, fails with OBJECT_CORRUPT and leaves the old files as they were", async () => {
    const before: Tree = { a: { bytes: "old a" }, b: { bytes: noise(11, 100_000) } };
    await buildAndPull(before);
    const next = await builder.build({ a: { bytes: "new a" }, b: { bytes: noise(12, 100_000) } });
    const blocks = reading(store, (_, bytes) => {
      const middle = bytes.byteLength >>> 1;
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    });
    await assert.rejects(pullVersion(next.digest, {}, { ...engine, store: { ...store, blocks } }), {
      code: "OBJECT_CORRUPT",
    });
    fs.rmSync(path.join(target, STAGING_NAME), { recursive: true, force: true });
    assertHolds(entriesOf(before));
  });

  const file = { bytes: "x" };
  const hostile: readonly (readonly [string, readonly Entry[]])[] = [
    ["a parent that is a file", [entryOf("a", file), entryOf("a/b", file)]],
    ["a parent that is a symlink", [entryOf("a", { target: "/tmp" }), entryOf("a/b", file)]],
    ["no parent", [entryOf("a/b", file)]],
    ["a path twice", [entryOf("a", file), entryOf("a", file)]],
    ["paths out of order", [entryOf("b", file), entryOf("a", file)]],
    ["a path that climbs", [entryOf("../a", file)]],
    ["an absolute path", [entryOf("/tmp/a", file)]],
    ["a path with a dot segment", [entryOf("a", { folder: true }), entryOf("a/./b", file)]],
    ["the staging folder's name", [entryOf(STAGING_NAME, { folder: true })]],
  ];
  for (const [what, entries] of hostile) {
    for (const paged of [true, false]) {
      it(`of a manifest with ${what}, ${paged ? "paged" : "inline"}, fails with MANIFEST_UNSAFE and writes nothing`, async () => {
        const { digest } = await builder.build(Object.fromEntries(entries.map(({ path }) => [path, file])), {
          entries,
          paged,
        });
        await assert.rejects(pullVersion(digest), { code: "MANIFEST_UNSAFE" });
        assert.equal(fs.existsSync(target), false);
      });
    }
  }

  it("of random trees one after another, makes each", async () => {
    const segment = fc.constantFrom("a", "b", "a-b", "ü", " ", "c.txt");
    const paths = fc.array(
      fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
      { maxLength: 12 },
    );
    const node = fc.oneof(
      fc.record({
        bytes: fc.uint8Array({ maxLength: 40_000, size: "max" }),
        mode: fc.constantFrom(0o644, 0o755, 0o400),
      }),
      fc.record({ target: fc.constantFrom("a", "../x", "/etc") }),
      fc.record({ folder: fc.constant(true as const), mode: fc.constantFrom(0o755, 0o500) }),
    );
    const trees = fc.array(fc.tuple(paths, fc.array(node, { minLength: 12, maxLength: 12 })), {
      minLength: 2,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(trees, async (steps) => {
        for (const [names, nodes] of steps) {
          const tree: Record<string, Tree[string]> = {};
          for (const [index, name] of [...new Set(names)].sort().entries()) {
            const isBelowFile = Object.keys(tree).some(
              (other) => name.startsWith(`${other}/`) && !("folder" in must(tree[other], "a key")),
            );
            if (!isBelowFile) tree[name] = must(nodes[index], "as many nodes as names");
          }
          await buildAndPull(tree, { delete: true, verify: true });
          assertHolds(entriesOf(tree));
        }
        fs.rmSync(target, { recursive: true, force: true });
      }),
      { numRuns: 25 },
    );
  });
});

/** The store's blocks; `onRead` sees the bytes of each read and may change them, or throw. */
function reading(from: Store, onRead: (byteLength: number, bytes: Uint8Array) => void): BlockStore {
  const read: BlockStore["read"] = async (block, range, options) => {
    const bytes = await from.blocks.read(block, range, options);
    onRead(bytes.byteLength, bytes);
    return bytes;
  };
  return Object.assign(Object.create(from.blocks) as BlockStore, { read });
}
