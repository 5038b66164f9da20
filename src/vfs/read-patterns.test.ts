import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ByteRange } from "../base/byte-range.ts";
import { KiB, MiB } from "../base/limits.ts";
import { ReadPatterns } from "./read-patterns.ts";

const ENDS = { fileEnd: 100 * MiB, streamEnd: 200 * MiB };

/** What is read ahead as one reader goes through the file in steps. */
function readOn(patterns: ReadPatterns, stepBytes: number, count: number, file = "a"): ByteRange[] {
  const all: ByteRange[] = [];
  for (let index = 0; index < count; index++) {
    const range = { start: index * stepBytes, end: (index + 1) * stepBytes };
    const ahead = patterns.note(file, range, ENDS);
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

  it("goes past a file's end a little, and never past the stream's", () => {
    const steps = fc.array(fc.integer({ min: 1, max: 3 * MiB }), { maxLength: 100 });
    fc.assert(
      fc.property(steps, fc.nat(2 * MiB), (all, restBytes) => {
        const patterns = new ReadPatterns();
        const fileEnd = 20 * MiB;
        const streamEnd = fileEnd + restBytes;
        let start = 0;
        for (const step of all) {
          const end = Math.min(start + step, fileEnd);
          const ahead = patterns.note("a", { start, end }, { fileEnd, streamEnd });
          const last = Math.min(streamEnd, fileEnd + MiB);
          assert.ok(
            ahead === undefined || (ahead.start >= end && ahead.end <= last && ahead.start < ahead.end),
          );
          start = end === fileEnd ? 0 : end;
        }
      }),
    );
  });

  it("of who reads many small files in order, lies in those that follow, and is asked for a few times", () => {
    const patterns = new ReadPatterns();
    let aheadEnd = 0;
    let asked = 0;
    for (let start = 0; start < 16 * MiB; start += 4 * KiB) {
      const fileEnd = start + 4 * KiB;
      if (start > 2 * MiB) assert.ok(aheadEnd >= fileEnd, "before it is wanted");
      const ahead = patterns.note("a", { start, end: fileEnd }, { fileEnd, streamEnd: 16 * MiB });
      if (ahead === undefined) continue;
      asked++;
      aheadEnd = ahead.end;
    }
    assert.ok(asked < 40, `${asked} times for 4096 files`);
  });

  it("of readers who leap, is nothing", () => {
    const patterns = new ReadPatterns();
    for (let index = 0; index < 1000; index++) {
      const start = ((index * 7919) % 1000) * 100 * KiB;
      assert.equal(patterns.note("a", { start, end: start + 4 * KiB }, ENDS), undefined);
    }
  });

  it("of many who read on at once, is told for each by itself, also where they read the same file", () => {
    const patterns = new ReadPatterns();
    for (let index = 0; index < 100; index++) {
      for (const reader of [0, 1, 2]) {
        const start = reader * 30 * MiB + index * 64 * KiB;
        const ahead = patterns.note("a", { start, end: start + 64 * KiB }, ENDS);
        if (index === 1) assert.ok(ahead !== undefined && ahead.start >= start);
      }
    }
  });
});
