import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { XdrError, XdrReader, XdrWriter, zerosAfter } from "./xdr.ts";

describe("XDR", () => {
  it("values written, read again, are the same, and fill whole units", () => {
    const value = fc.record({
      number: fc.integer({ min: 0, max: 0xffff_ffff }),
      size: fc.maxSafeNat(),
      long: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      bytes: fc.uint8Array({ maxLength: 2000 }),
      text: fc.string({ unit: "grapheme", maxLength: 50 }),
    });
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const writer = new XdrWriter();
        for (const { number, size, long, bytes, text } of values)
          writer.uint32(number).uint53(size).uint64(long).opaque(bytes).string(text);
        assert.equal(writer.length % 4, 0);
        const reader = new XdrReader(writer.bytes);
        for (const { number, size, long, bytes, text } of values) {
          assert.equal(reader.uint32(), number);
          assert.equal(reader.uint64(), BigInt(size));
          assert.equal(reader.uint64(), long);
          assert.deepEqual(new Uint8Array(reader.opaque(2000)), bytes);
          assert.equal(reader.string(1000), text);
        }
        assert.throws(() => reader.uint32(), XdrError);
      }),
    );
  });

  it("opaque data, is padded with zeros, as RFC 4506 §4.10 has it", () => {
    assert.equal(
      new XdrWriter().string("sillyprog").bytes.toString("hex"),
      "0000000973696c6c7970726f67000000",
    );
    assert.deepEqual([...zerosAfter(9)], [0, 0, 0]);
    assert.deepEqual([...zerosAfter(8)], []);
  });

  it("lengths beyond the limit or the message, are refused before anything is made", () => {
    const long = new XdrWriter().uint32(0xffff_ffff).uint32(0).bytes;
    assert.throws(() => new XdrReader(long).opaque(0xffff_ffff), XdrError);
    assert.throws(() => new XdrReader(long).opaque(64), XdrError);
    // Its padding is missing.
    assert.throws(() => new XdrReader(Buffer.from([0, 0, 0, 1, 65])).opaque(64), XdrError);
  });
});
