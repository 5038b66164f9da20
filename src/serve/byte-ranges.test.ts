import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseRanges } from "./byte-ranges.ts";

/** As `start-end` each, the end exclusive. */
function parsed(header: string, sizeBytes: number): string | undefined {
  return parseRanges(header, sizeBytes)
    ?.map(({ start, end }) => `${start}-${end}`)
    .join();
}

describe("a header Range", () => {
  it("of bytes, is held to the size", () => {
    for (const [header, expected] of [
      ["bytes=0-0", "0-1"],
      ["bytes=0-", "0-1000"],
      ["bytes=-1", "999-1000"],
      ["bytes=-99999999999999999999999999", "0-1000"],
      ["bytes=999-99999999999999999999999999", "999-1000"],
      [`bytes=0-${"9".repeat(400)}`, "0-1000"],
      ["BYTES=1-2", "1-3"],
      ["bytes= 1-2 ,\t300-300", "1-3,300-301"],
      ["bytes=,1-2,,500-501,", "1-3,500-502"],
      ["bytes=1000-", ""],
      ["bytes=-0", ""],
      ["bytes=-0,5000-6000,2-3", "2-4"],
    ] as const) {
      assert.equal(parsed(header, 1000), expected, header);
    }
  });

  it("that is none, counts as absent", () => {
    for (const header of [
      ...["", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5", "bytes=5-1", "bytes=a-b", "bytes=1-2-3"],
      ...["lines=0-1", "bytes=0-1;2-3", "bytes=+1-2", "bytes=0x1-2", "bytes=1 -2", "bytes=1-2, bytes=3-4"],
      ...["bytes=−1", `bytes=${",".repeat(1000)}1-2`],
      `bytes=${Array.from({ length: 65 }, (_, index) => `${index * 200}-${index * 200}`).join()}`,
    ]) {
      assert.equal(parsed(header, 100_000), undefined, header);
    }
    assert.equal(parsed("bytes=-5", 0), undefined);
    assert.equal(parsed("bytes=0-", 0), "");
  });

  it("whose ranges overlap or touch, gives them as one, where the first of them stood", () => {
    for (const [header, expected] of [
      ["bytes=0-9,5-20", "0-21"],
      ["bytes=0-9,10-20", "0-21"],
      ["bytes=5000-5009,0-9,5005-", "5000-10000,0-10"],
      ["bytes=0-,0-,0-,-10000", "0-10000"],
      ["bytes=0-9,11-19", "0-10,11-20"],
      ["bytes=0-9,1000-1009", "0-10,1000-1010"],
    ] as const) {
      assert.equal(parsed(header, 10_000), expected, header);
    }
  });

  it("of any text, gives ranges within the size that are apart, or nothing", () => {
    const edge = fc.oneof(fc.nat(3000), fc.bigInt(0n, 2n ** 80n), fc.constant(""));
    const spec = fc.oneof(
      fc.tuple(edge, edge).map(([first, last]) => `${first}-${last}`),
      fc.string(),
    );
    const header = fc.array(spec, { maxLength: 80 }).map((specs) => `bytes=${specs.join()}`);
    fc.assert(
      fc.property(fc.oneof(header, fc.string()), fc.nat(2000), (text, size) => {
        const ranges = parseRanges(text, size) ?? [];
        const sorted = ranges.toSorted((one, other) => one.start - other.start);
        for (const [index, { start, end }] of sorted.entries()) {
          assert.ok(start < end && end <= size && start > (sorted[index - 1]?.end ?? -1));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("of valid ranges, covers every byte that was asked for", () => {
    const range = fc.tuple(fc.nat(500), fc.nat(500)).map(([start, more]) => [start, start + more] as const);
    fc.assert(
      fc.property(
        fc.array(range, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 600 }),
        (asked, size) => {
          const ranges = parseRanges(`bytes=${asked.map((pair) => pair.join("-")).join()}`, size) ?? [];
          for (const [first, last] of asked) {
            for (let at = first; at <= Math.min(last, size - 1); at++) {
              assert.ok(
                ranges.some(({ start, end }) => start <= at && at < end),
                String(at),
              );
            }
          }
        },
      ),
    );
  });
});
