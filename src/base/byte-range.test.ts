import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRange } from "./byte-range.ts";

test("checkRange, a range within the size, gives it back", () => {
  for (const range of [
    { start: 0, end: 0 },
    { start: 0, end: 10 },
    { start: 10, end: 10 },
  ]) {
    assert.equal(checkRange(range, 10), range);
  }
});

test("checkRange, a range that is reversed, outside or no whole number, fails with RANGE_INVALID", () => {
  const wrong = [
    [2, 1],
    [-1, 1],
    [0, 11],
    [11, 11],
    [0.5, 1],
    [0, Number.NaN],
    [0, 2 ** 53],
  ] as const;
  for (const [start, end] of wrong) {
    assert.throws(() => checkRange({ start, end }, 10), { code: "RANGE_INVALID" }, `${start}–${end}`);
  }
});
