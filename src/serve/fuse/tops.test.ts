import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../base/clock.ts";
import type { DirectoryNode } from "../../vfs/tree.ts";
import { Tops } from "./tops.ts";

const CLOCK = { nowMs: () => 1_700_000_000_123 } as Clock;

/** As much of a top as is looked at: which one it is. */
function top(path: string): DirectoryNode {
  return { path } as DirectoryNode;
}

test("an offset leads to the list that gave it, and the beginning to the newest one", () => {
  const tops = new Tops(top("first"), CLOCK);
  const first = tops.partAt(0);
  assert.deepEqual(first, { folder: top("first"), place: 0, base: 0 });
  tops.move(top("second"));
  const second = tops.partAt(0);
  assert.equal(second?.folder.path, "second");
  assert.deepEqual(tops.partAt(7), { folder: top("first"), place: 7, base: 0 });
  const offset = second.base + 7;
  assert.deepEqual(tops.partAt(offset), { ...second, place: 7 });
  for (let move = 0; move < 15; move++) tops.move(top("later"));
  assert.equal(tops.partAt(offset)?.folder.path, "second");
  assert.equal(tops.partAt(7), undefined, "sixteen moves ago");
});

test("each top has a time of its own, also when the tag moves twice in a millisecond", () => {
  const tops = new Tops(top("first"), CLOCK);
  const before = tops.mtime;
  tops.move(top("second"));
  assert.equal(before.seconds, 1_700_000_000);
  assert.notDeepEqual(tops.mtime, before);
});

test("after a million moves the tops' lists are still told apart, and offsets are exact", () => {
  const tops = new Tops(top("first"), CLOCK);
  for (let move = 1; move < 2 ** 20; move++) tops.move(top("many"));
  const last = tops.partAt(0);
  assert.ok(last !== undefined && Number.isSafeInteger(last.base + 2 ** 32 - 1));
  tops.move(top("next"));
  assert.equal(tops.partAt(0)?.folder.path, "next");
  assert.equal(tops.partAt(last.base + 5)?.folder.path, "many");
});
