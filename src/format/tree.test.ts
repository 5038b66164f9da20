import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareUtf8 } from "../base/bytes.ts";
import { digestOf, type Digest } from "./digest.ts";
import { decodePage, type ChunkItem, type EncodedPage, type TimelessEntry } from "./page.ts";
import { ChunkTreeBuilder, EntryTreesBuilder, type TreeRef } from "./tree.ts";
import { entryLists } from "./testing/arbitraries.ts";

const MTIME = { seconds: 1_700_000_000, nanos: 5 };

function entry(index: number, content = ""): TimelessEntry {
  const digest = digestOf(Buffer.from(`${index}${content}`));
  return {
    path: `d/${String(index).padStart(6, "0")}${content}`,
    kind: "file",
    mode: 0o644,
    size: 10,
    digest,
  };
}

interface Built {
  readonly pages: ReadonlyMap<Digest, EncodedPage>;
  readonly top: TreeRef | undefined;
}

function buildEntries(entries: readonly TimelessEntry[]): Built & { readonly times: TreeRef | undefined } {
  const pages = new Map<Digest, EncodedPage>();
  const builder = new EntryTreesBuilder((page) => pages.set(page.digest, page));
  for (const one of entries) builder.add(one, MTIME);
  const { entries: top, times } = builder.finish();
  return { pages, top, times };
}

function buildChunks(chunks: readonly ChunkItem[]): Built {
  const pages = new Map<Digest, EncodedPage>();
  const builder = new ChunkTreeBuilder((page) => pages.set(page.digest, page));
  for (const chunk of chunks) builder.add(chunk);
  return { pages, top: builder.finish() };
}

/** The items of a tree, read from its pages; every inner row is held to what is below it. */
function readLeaves({ pages, top }: Built): unknown[] {
  const visit = (digest: Digest, level: number): { leaves: unknown[]; bytes: number; firstPath: string } => {
    const encoded = pages.get(digest);
    assert.ok(encoded);
    const page = decodePage(encoded.bytes, encoded.kind, level);
    if (!("children" in page)) {
      if (page.kind === "times") return { leaves: [...page.times], bytes: 0, firstPath: "" };
      if (page.kind === "chunks") {
        return {
          leaves: [...page.chunks],
          bytes: page.chunks.reduce((sum, { length }) => sum + length, 0),
          firstPath: "",
        };
      }
      const bytes = page.entries.reduce((sum, one) => sum + (one.kind === "file" ? one.size : 0), 0);
      return { leaves: [...page.entries], bytes, firstPath: page.entries[0]?.path ?? "" };
    }
    const below = page.children.map((child) => {
      const read = visit(child.digest, level - 1);
      assert.deepEqual(
        [child.items, child.bytes, child.firstPath],
        [read.leaves.length, read.bytes, read.firstPath],
      );
      return read;
    });
    const bytes = below.reduce((sum, one) => sum + one.bytes, 0);
    return { leaves: below.flatMap((one) => one.leaves), bytes, firstPath: below[0]?.firstPath ?? "" };
  };
  return top === undefined ? [] : visit(top.digest, top.level).leaves;
}

test("trees of any entries hold them in order", () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      assert.deepEqual(readLeaves(buildEntries(entries)), entries);
    }),
  );
});

test("trees of several levels hold what was added, with counts, bytes and first paths that agree", () => {
  const entries = Array.from({ length: 5000 }, (_, index) => entry(index));
  const built = buildEntries(entries);
  assert.equal(built.top?.items, entries.length);
  assert.ok(built.top.level >= 1);
  assert.deepEqual(readLeaves(built), entries);
  const chunks = Array.from({ length: 5000 }, (_, index) => ({
    digest: digestOf(Buffer.from(`${index}`)),
    length: 1 + index,
  }));
  assert.deepEqual(readLeaves(buildChunks(chunks)), chunks);
});

test("a tree of chunks that are all the same ends its pages by weight", () => {
  const chunk = { digest: `${"0".repeat(7)}1${"0".repeat(56)}` as Digest, length: 65_536 };
  const built = buildChunks(Array.from({ length: 100_000 }, () => chunk));
  assert.equal(built.top?.items, 100_000);
  assert.ok(built.pages.size < 10, "pages with the same content are one page");
  assert.equal(readLeaves(built).length, 100_000);
});

test("a tree whose paths are as long as paths may be has pages within the limit", () => {
  const long = "x".repeat(4000);
  const target = "t".repeat(4096);
  const links = Array.from({ length: 100 }, (_, index): TimelessEntry => {
    return { path: `${String(index).padStart(4, "0")}${long}`, kind: "symlink", mode: 0o777, target };
  });
  assert.deepEqual(readLeaves(buildEntries(links)), links);
});

/** Pages of `next` that `previous` has not: what an update stores. */
function newPages(previous: Built, next: Built): number {
  return [...next.pages.keys()].filter((digest) => !previous.pages.has(digest)).length;
}

test("trees after one entry was added, removed or changed differ in a few pages", () => {
  const entries = Array.from({ length: 6000 }, (_, index) => entry(index));
  const before = buildEntries(entries);
  fc.assert(
    fc.property(fc.nat({ max: entries.length - 1 }), (at) => {
      const added = [...entries, entry(at, "new")].sort((a, b) => compareUtf8(a.path, b.path));
      const removed = entries.filter((_, index) => index !== at);
      const changed = entries.map((one, index) => (index === at ? { ...one, mode: 0o600 } : one));
      assert.ok(before.pages.size > 70, `${before.pages.size} pages`);
      for (const after of [added, removed, changed]) {
        const count = newPages(before, buildEntries(after));
        assert.ok(count <= 12, `${count} new pages`);
      }
    }),
    { numRuns: 15 },
  );
});

test("trees of the same entries and chunks, added in turns or one after the other, have the same names", () => {
  const entries = Array.from({ length: 1000 }, (_, index) => entry(index));
  const chunks = entries.map((one, index) => ({
    digest: digestOf(Buffer.from(one.path)),
    length: 1 + index,
  }));
  const apart = { ...buildEntries(entries), chunks: buildChunks(chunks).top };
  const inTurns = new EntryTreesBuilder(() => undefined);
  const chunksInTurns = new ChunkTreeBuilder(() => undefined);
  for (const [index, one] of entries.entries()) {
    for (const chunk of chunks.slice(index, index + 1)) chunksInTurns.add(chunk);
    inTurns.add(one, MTIME);
  }
  assert.deepEqual(inTurns.finish(), { entries: apart.top, times: apart.times });
  assert.deepEqual(chunksInTurns.finish(), apart.chunks);
});

test("trees when only times change keep every page of entries", () => {
  const entries = Array.from({ length: 1000 }, (_, index) => entry(index));
  const builder = new EntryTreesBuilder(() => undefined);
  for (const [index, one] of entries.entries()) builder.add(one, { seconds: index, nanos: 0 });
  const after = builder.finish();
  const before = buildEntries(entries);
  assert.deepEqual(after.entries, before.top);
  assert.notDeepEqual(after.times, before.times);
});
