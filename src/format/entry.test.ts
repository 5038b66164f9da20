import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EntrySequence, pathFault } from "./entry.ts";
import { paths } from "./testing/arbitraries.ts";

interface Item {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** The rules of docs/format.md §6.1, word by word: the number of items before the first that breaks one. */
function soundItems(items: readonly Item[]): number {
  const directories = new Set<string>();
  let last: string | undefined;
  for (const [index, { path, isDirectory }] of items.entries()) {
    const ascends = last === undefined || Buffer.compare(Buffer.from(last), Buffer.from(path)) < 0;
    const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
    if (pathFault(path) !== undefined || !ascends || (path.includes("/") && !directories.has(parent)))
      return index;
    if (isDirectory) directories.add(path);
    last = path;
  }
  return items.length;
}

/** How many items the sequence takes before it refuses one. */
function takenItems(items: readonly Item[]): number {
  const sequence = new EntrySequence();
  for (const [index, { path, isDirectory }] of items.entries()) {
    try {
      sequence.next(path, isDirectory);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "MANIFEST_UNSAFE");
      return index;
    }
  }
  return items.length;
}

/** A path and all folders above it. */
function withParents(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** Lists in order, most of them whole trees, some with an item that is a file, missing, or out of place. */
const lists = fc
  .tuple(fc.array(paths, { maxLength: 12 }), fc.infiniteStream(fc.nat({ max: 30 })))
  .map(([some, stream]) => {
    const all = [...new Set(some.flatMap(withParents))].sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    const items = all.map((path) => ({ path, isDirectory: next(stream) !== 0 }));
    if (next(stream) < 5) items.splice(next(stream) % (items.length + 1), 1);
    if (next(stream) < 5) items.reverse();
    return items;
  });

function next(stream: Iterator<number, unknown>): number {
  return stream.next().value as number;
}

test("EntrySequence, any list, takes what the rules allow and refuses the first item that breaks one", () => {
  let whole = 0;
  fc.assert(
    fc.property(lists, (items) => {
      const sound = soundItems(items);
      if (sound === items.length && sound > 3) whole++;
      assert.equal(takenItems(items), sound);
    }),
    { numRuns: 2000 },
  );
  assert.ok(whole > 100, `${whole} lists were sound`);
});

test("EntrySequence, names that sort between a folder and what lies in it, keeps the folder open", () => {
  const items = ["a", "a!", "a!/x", "a-b", "a.txt", "a/b", "a/b.c", "a/b/c", "a0"];
  const folders = ["a", "a!", "a/b"];
  assert.equal(
    takenItems(items.map((path) => ({ path, isDirectory: folders.includes(path) }))),
    items.length,
  );
});

test("EntrySequence, a file as parent, a missing parent, a late parent, refuses", () => {
  const file = (path: string): Item => ({ path, isDirectory: false });
  const folder = (path: string): Item => ({ path, isDirectory: true });
  for (const items of [
    [file("a"), file("a/b")],
    [folder("b"), file("c/d")],
    [folder("a"), file("a/b/c")],
    [folder("a"), folder("a/b"), file("a/b!"), file("a/c/d")],
  ]) {
    assert.equal(takenItems(items), items.length - 1, items.map(({ path }) => path).join(" "));
  }
});

test("EntrySequence, folders nested as deep as a path can be, stays quick and takes them", () => {
  const items = Array.from({ length: 2048 }, (_, depth) => ({
    path: Array.from({ length: depth + 1 }, () => "a").join("/"),
    isDirectory: true,
  }));
  assert.equal(takenItems(items), items.length);
});
