import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KEPT_BYTES_MAX, recordMark, RecordReader } from "./record-reader.ts";

function fragment(bytes: Uint8Array, isLast: boolean): Buffer {
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(isLast ? recordMark(bytes.byteLength) : bytes.byteLength);
  return Buffer.concat([mark, bytes]);
}

describe("records of a stream", () => {
  it("in fragments of any lengths, however they arrive, are put together", () => {
    const record = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(record), fc.integer({ min: 1, max: 100 }), (records, step) => {
        const stream = Buffer.concat(
          records.flatMap((parts) => parts.map((part, index) => fragment(part, index === parts.length - 1))),
        );
        const reader = new RecordReader();
        const found: Buffer[] = [];
        for (let at = 0; at < stream.byteLength; at += step)
          assert.ok(reader.push(stream.subarray(at, at + step), found));
        assert.deepEqual(
          found,
          records.map((parts) => Buffer.concat(parts)),
        );
        assert.equal(reader.isWithin, false);
      }),
    );
  });

  it("longer than any call, are read over, and their beginning is kept", () => {
    const reader = new RecordReader();
    const found: Buffer[] = [];
    const body = Buffer.alloc(1_000_000, 7);
    assert.ok(reader.push(fragment(body, false), found));
    assert.ok(reader.isWithin);
    assert.ok(reader.push(fragment(body, true), found));
    assert.ok(reader.push(fragment(Buffer.from("next"), true), found));
    assert.deepEqual(
      found.map(({ byteLength }) => byteLength),
      [KEPT_BYTES_MAX, 4],
    );
  });

  it("that are too long, or in too many fragments, end the stream", () => {
    assert.equal(new RecordReader().push(Buffer.from("ffffffff", "hex"), []), false);
    const empty = Buffer.alloc(4 * 5000);
    assert.equal(new RecordReader().push(empty, []), false);
  });

  it("of arbitrary bytes, are found or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const found: Buffer[] = [];
        new RecordReader().push(Buffer.from(bytes), found);
        for (const record of found) assert.ok(record.byteLength <= bytes.byteLength);
      }),
    );
  });
});
