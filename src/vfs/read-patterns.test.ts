import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ByteRange } from "../base/byte-range.ts";
import { KiB, MiB } from "../base/limits.ts";
import { ReadPatterns } from "./read-patterns.ts";

const SIZE = 100 * MiB;

/** What is read ahead as one reader goes through the file in steps. */
function readOn(patterns: ReadPatterns, stepBytes: number, count: number, file = "a"): ByteRange[] {
  const all: ByteRange[] = [];
  for (let index = 0; index < count; index++) {
    const range = { start: index * stepBytes, end: (index + 1) * stepBytes };
    const ahead = patterns.note(file, range, SIZE);
    if (ahead !== undefined) all.push(ahead);
  }
  return all;
}

describe("what is read ahead", () => {
  it("of a reader who reads on, grows, is asked for once, and has no holes", () => {
    const all = readOn(new ReadPatterns(), 64 * KiB, 800);
    assert.ok((all[0]?.start ?? 0) <= 128 * KiB, "from the second request on");
    for (const [index, { start, end }] of all.entries()) {
      assert.ok(start < end);
      if (index > 0) assert.equal(start, all[index - 1]?.end);
    }
    const longest = Math.max(...all.map(({ start, end }) => end - start));
    assert.ok(longest >= 4 * MiB && longest <= 8 * MiB, `${longest} bytes`);
    assert.ok(all.length < 60, `${all.length} times for 800 requests`);
  });

  it("never goes past the file's end", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 * MiB }), { maxLength: 100 }), (steps) => {
        const patterns = new ReadPatterns();
        let start = 0;
        for (const step of steps) {
          const end = Math.min(start + step, 20 * MiB);
          const ahead = patterns.note("a", { start, end }, 20 * MiB);
          assert.ok(
            ahead === undefined || (ahead.start >= end && ahead.end <= 20 * MiB && ahead.start < ahead.end),
          );
          start = end === 20 * MiB ? 0 : end;
        }
      }),
    );
  });

  it("of readers who leap, is nothing", () => {
    const patterns = new ReadPatterns();
    for (let index = 0; index < 1000; index++) {
      const start = ((index * 7919) % 1000) * 100 * KiB;
      assert.equal(patterns.note("a", { start, end: start + 4 * KiB }, SIZE), undefined);
    }
  });

  it("of many who read on at once, is told for each by itself, also where they read the same file", () => {
    const patterns = new ReadPatterns();
    for (let index = 0; index < 100; index++) {
      for (const reader of [0, 1, 2]) {
        const start = reader * 30 * MiB + index * 64 * KiB;
        const ahead = patterns.note("a", { start, end: start + 64 * KiB }, SIZE);
        if (index === 1) assert.ok(ahead !== undefined && ahead.start >= start);
      }
    }
  });
});
