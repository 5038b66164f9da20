/** Manifests that no writer of ours makes: every page is well formed by itself, and together they lie. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { digestOf, type Digest } from "../../format/digest.ts";
import { encodeManifest, encodeRoot, type ManifestRoot } from "../../format/manifest.ts";
import * as page from "../../format/page.ts";
import type { TreeRef } from "../../format/tree.ts";
import { gather, testEngine } from "../testing/engine.ts";
import { openMemoryStore } from "../testing/version-builder.ts";
import { chunks } from "./chunks.ts";
import { entries, findEntry } from "./entries.ts";
import { openVersion, type Version } from "./version.ts";

const store = await openMemoryStore();
const engine = testEngine(store);
after(() => engine.pool.close());

const CHUNKING = { kind: "cdc", averageBytes: 65536 } as const;
const digest = digestOf(Buffer.from("x"));

function file(path: string, size = 1): page.TimelessEntry {
  return { path, kind: "file", mode: 0o644, size, digest };
}

function folder(path: string): page.TimelessEntry {
  return { path, kind: "directory", mode: 0o755 };
}

/** Collects a version's pages; what a parent says of a child may be changed. */
class Forge {
  readonly pages: Uint8Array[] = [];

  leaf(list: readonly page.TimelessEntry[], lie: Partial<page.ChildItem> = {}): page.ChildItem {
    const bytes = list.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0);
    const firstPath = list[0]?.path ?? "";
    return { ...this.#add(page.encodeEntryPage(list), list.length, bytes), firstPath, ...lie };
  }

  times(count: number, lie: Partial<page.ChildItem> = {}): page.ChildItem {
    const times = Array.from({ length: count }, () => ({ seconds: 1, nanos: 0 }));
    return { ...this.#add(page.encodeTimePage(times), count, 0), ...lie };
  }

  chunks(lengths: readonly number[], lie: Partial<page.ChildItem> = {}): page.ChildItem {
    const bytes = lengths.reduce((sum, length) => sum + length, 0);
    const items = lengths.map((length) => ({ digest, length }));
    return { ...this.#add(page.encodeChunkPage(items), lengths.length, bytes), ...lie };
  }

  inner(kind: page.TreeKind, level: number, children: readonly page.ChildItem[]): page.ChildItem {
    const items = children.reduce((sum, child) => sum + child.items, 0);
    const bytes = children.reduce((sum, child) => sum + child.bytes, 0);
    const made = this.#add(page.encodeInnerPage(kind, level, children), items, bytes);
    return { ...made, firstPath: children[0]?.firstPath ?? "" };
  }

  #add(bytes: Uint8Array, items: number, streamBytes: number): page.ChildItem {
    this.pages.push(bytes);
    return { digest: digestOf(bytes), items, bytes: streamBytes, firstPath: "" };
  }
}

interface Trees {
  readonly entries: page.ChildItem;
  readonly entriesLevel?: number;
  readonly times?: page.ChildItem;
  readonly timesLevel?: number;
  readonly chunks?: page.ChildItem;
  readonly chunksLevel?: number;
}

/** Stores a version with these trees, its root true to their tops, and opens it. */
async function forge(make: (forge: Forge) => Trees): Promise<Version> {
  const forged = new Forge();
  const trees = make(forged);
  const { items, bytes } = trees.entries;
  const ref = (top: page.ChildItem, level = 0): TreeRef => ({ digest: top.digest, level, items: top.items });
  const root: ManifestRoot = {
    chunking: CHUNKING,
    files: items,
    directories: 0,
    symlinks: 0,
    bytes,
    entries: ref(trees.entries, trees.entriesLevel),
    times: ref(trees.times ?? forged.times(items), trees.timesLevel),
    chunks: bytes === 0 ? undefined : ref(trees.chunks ?? forged.chunks([bytes]), trees.chunksLevel),
  };
  const rootBytes = encodeRoot(root);
  const version: Digest = digestOf(rootBytes);
  await store.datasets.putManifest(version, encodeManifest({ root: rootBytes, pages: forged.pages }));
  return openVersion(engine, version);
}

async function readAll(version: Version): Promise<number> {
  const all = await gather(entries(version));
  await gather(chunks(version));
  return all.length;
}

const LIES: readonly (readonly [string, string, (forge: Forge) => Trees])[] = [
  [
    "a root with an item more than the page has",
    "OBJECT_INVALID",
    (f) => ({ entries: f.leaf([file("a")], { items: 2 }) }),
  ],
  [
    "a root with a byte more than the files have",
    "OBJECT_INVALID",
    (f) => ({ entries: f.leaf([file("a")], { bytes: 2 }) }),
  ],
  [
    "an inner page with an item too many of one child and one too few of another",
    "OBJECT_INVALID",
    (f) => ({
      entries: f.inner("entries", 1, [
        f.leaf([file("a"), file("b")], { items: 1 }),
        f.leaf([file("c")], { items: 2 }),
      ]),
      entriesLevel: 1,
    }),
  ],
  [
    "an inner page with 2^50 items of a child",
    "OBJECT_INVALID",
    (f) => ({
      entries: f.inner("entries", 1, [f.leaf([file("a")], { items: 2 ** 50 })]),
      entriesLevel: 1,
      times: f.times(1, { items: 2 ** 50 }),
    }),
  ],
  [
    "an inner page with the bytes of two children exchanged",
    "OBJECT_INVALID",
    (f) => ({
      entries: f.inner("entries", 1, [
        f.leaf([file("a", 1)], { bytes: 9 }),
        f.leaf([file("b", 9)], { bytes: 1 }),
      ]),
      entriesLevel: 1,
    }),
  ],
  [
    "an inner page with another first path than its child",
    "OBJECT_INVALID",
    (f) => ({ entries: f.inner("entries", 1, [f.leaf([file("a")], { firstPath: "b" })]), entriesLevel: 1 }),
  ],
  [
    "a leaf where an inner page is named",
    "OBJECT_INVALID",
    (f) => ({ entries: f.leaf([file("a")]), entriesLevel: 1 }),
  ],
  [
    "an inner page of times with wrong counts",
    "OBJECT_INVALID",
    (f) => ({
      entries: f.leaf([file("a"), file("b"), file("c")]),
      times: f.inner("times", 1, [f.times(2, { items: 1 }), f.times(1, { items: 2 })]),
      timesLevel: 1,
    }),
  ],
  [
    "an inner page of chunks with wrong bytes",
    "OBJECT_INVALID",
    (f) => ({
      entries: f.leaf([file("a", 10)]),
      chunks: f.inner("chunks", 1, [f.chunks([3], { bytes: 7 }), f.chunks([7], { bytes: 3 })]),
      chunksLevel: 1,
    }),
  ],
  [
    "a root that counts a folder as a file",
    "OBJECT_INVALID",
    (f) => ({ entries: f.leaf([file("a"), folder("b")]) }),
  ],
  [
    "pages whose paths overlap",
    "MANIFEST_UNSAFE",
    (f) => ({
      entries: f.inner("entries", 1, [f.leaf([file("a"), file("c")]), f.leaf([file("b")])]),
      entriesLevel: 1,
    }),
  ],
  [
    "a path at the end of one page and the beginning of the next",
    "MANIFEST_UNSAFE",
    (f) => ({
      entries: f.inner("entries", 1, [f.leaf([file("a"), file("b")]), f.leaf([file("b")])]),
      entriesLevel: 1,
    }),
  ],
  [
    "a file that is a parent in the next page",
    "MANIFEST_UNSAFE",
    (f) => ({
      entries: f.inner("entries", 1, [f.leaf([file("a")]), f.leaf([file("a/b")])]),
      entriesLevel: 1,
    }),
  ],
  ["a parent that is missing", "MANIFEST_UNSAFE", (f) => ({ entries: f.leaf([folder("a"), file("a/b/c")]) })],
  ["a path out of the folder", "MANIFEST_UNSAFE", (f) => ({ entries: f.leaf([file("../a")]) })],
  ["an absolute path", "MANIFEST_UNSAFE", (f) => ({ entries: f.leaf([file("/a")]) })],
];

for (const [lie, code, make] of LIES) {
  test(`manifest with ${lie}, read, fails with ${code}`, async () => {
    const version = await forge(make);
    await assert.rejects(readAll(version), { name: "AetherError", code });
  });
}

test("manifest with wrong counts, one path looked up, fails with OBJECT_INVALID", async () => {
  const version = await forge((f) => ({
    entries: f.inner("entries", 1, [
      f.leaf([file("a"), file("b")], { items: 1 }),
      f.leaf([file("c")], { items: 2 }),
    ]),
    entriesLevel: 1,
  }));
  await assert.rejects(findEntry(version, "c"), { code: "OBJECT_INVALID" });
});

test("manifest of one entry below the deepest tree there may be, read, is read", async () => {
  const version = await forge((f) => {
    let top = f.leaf([file("a")]);
    for (let level = 1; level <= page.TREE_LEVELS_MAX; level++) top = f.inner("entries", level, [top]);
    return { entries: top, entriesLevel: page.TREE_LEVELS_MAX };
  });
  assert.equal(await readAll(version), 1);
});

test("manifest whose chunks are a million times the same page, one range read, reads that range", async () => {
  const version = await forge((f) => {
    let top = f.chunks(Array.from({ length: 100 }, () => 65_536));
    for (let level = 1; level <= 2; level++)
      top = f.inner(
        "chunks",
        level,
        Array.from({ length: 1000 }, () => top),
      );
    return { entries: f.leaf([file("a", top.bytes)]), chunks: top, chunksLevel: 2 };
  });
  const found = await gather(chunks(version, version.root.bytes - 65_537, version.root.bytes));
  assert.deepEqual(
    found.map(({ index }) => index),
    [99_999_998, 99_999_999],
  );
});
