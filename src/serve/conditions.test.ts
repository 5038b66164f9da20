import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseRanges } from "./byte-ranges.ts";
import { checkConditions, holdsIfRange } from "./conditions.ts";

const STRONG = { etag: '"a,b"', modifiedSeconds: 1_000_000_000 };
const WEAK = { etag: 'W/"x"', modifiedSeconds: undefined };
const THEN = "Sun, 09 Sep 2001 01:46:40 GMT";

describe("conditions of a request", () => {
  it("that name entity tags, compare them strongly for If-Match and If-Range, weakly for If-None-Match", () => {
    assert.equal(checkConditions({ "if-match": '"z" , "a,b"' }, STRONG), 200);
    assert.equal(checkConditions({ "if-match": 'W/"a,b"' }, STRONG), 412);
    assert.equal(checkConditions({ "if-match": 'W/"x"' }, WEAK), 412);
    assert.equal(checkConditions({ "if-none-match": '"x"' }, WEAK), 304);
    assert.equal(checkConditions({ "if-none-match": "*" }, WEAK), 304);
    assert.equal(checkConditions({ "if-none-match": "a,b" }, STRONG), 200, "without quotes it is none");
    assert.equal(holdsIfRange({ "if-range": 'W/"x"' }, WEAK), false);
    assert.equal(holdsIfRange({ "if-range": '"a,b"' }, STRONG), true);
  });

  it("that name dates, count only where no entity tag does, and only when they are dates", () => {
    assert.equal(checkConditions({ "if-modified-since": THEN }, STRONG), 304);
    assert.equal(checkConditions({ "if-modified-since": THEN, "if-none-match": '"q"' }, STRONG), 200);
    assert.equal(checkConditions({ "if-modified-since": "yesterday" }, STRONG), 200);
    assert.equal(checkConditions({ "if-modified-since": THEN }, WEAK), 200, "nobody knows when");
    assert.equal(checkConditions({ "if-unmodified-since": THEN }, STRONG), 200);
    assert.equal(checkConditions({ "if-unmodified-since": "Sun, 09 Sep 2001 01:46:39 GMT" }, STRONG), 412);
    assert.equal(holdsIfRange({ "if-range": THEN }, STRONG), true);
    assert.equal(holdsIfRange({ "if-range": THEN }, WEAK), false);
  });
});

describe("a header Range", () => {
  it("of one range, gives what RFC 9110 says of a file of 100 bytes", () => {
    for (const [header, expected] of [
      ["bytes=0-9", [[0, 10]]],
      ["BYTES = 90-", [[90, 100]]],
      ["bytes=-1", [[99, 100]]],
      ["bytes=-1000", [[0, 100]]],
      ["bytes=99-1000", [[99, 100]]],
      ["bytes=100-", []],
      ["bytes=-0", []],
      [
        "bytes=0-1,100-101,5-6",
        [
          [0, 2],
          [5, 7],
        ],
      ],
    ] as const) {
      const ranges = parseRanges(header, 100)?.map(({ start, end }) => [start, end]);
      assert.deepEqual(ranges, expected, header);
    }
    for (const header of [
      "bytes",
      "bytes=",
      "bytes=1",
      "bytes=2-1",
      "items=0-1",
      "bytes=0-5,5-9",
      "bytes=1e1-20",
    ]) {
      assert.equal(parseRanges(header, 100), undefined, header);
    }
  });

  it("of any bytes, gives ranges within the file, or none", () => {
    const header = fc.oneof(fc.string(), fc.stringMatching(/^bytes=[0-9,\- ]{0,40}$/));
    fc.assert(
      fc.property(header, fc.nat(1000), (text, sizeBytes) => {
        for (const { start, end } of parseRanges(text, sizeBytes) ?? []) {
          assert.ok(0 <= start && start < end && end <= sizeBytes);
        }
      }),
    );
  });
});
