import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import {
  asBuffer,
  compareBytes,
  compareUtf8,
  concatBytes,
  copyBytes,
  decodeUtf8,
  equalBytes,
  gatherBytes,
  totalBytes,
} from "./bytes.ts";

/** Text with many characters around the surrogates, where UTF-16 and UTF-8 disagree about order. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom("a", "/", "\0", "\ud7ff", "\ue000", "\uf800", "\uffff", "\u{10000}", "\u{10ffff}"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
});

test("compareUtf8, any two texts, agrees with the order of their UTF-8 bytes", () => {
  fc.assert(
    fc.property(text, text, text, (prefix, a, b) => {
      const [x, y] = [prefix + a, prefix + b];
      assert.equal(Math.sign(compareUtf8(x, y)), Buffer.compare(Buffer.from(x), Buffer.from(y)));
    }),
    { numRuns: 2000 },
  );
});

test("compareUtf8, characters on both sides of the surrogates, puts those beyond the BMP last", () => {
  for (const low of ["\ue000", "\uf800", "\uffff"]) {
    assert.ok(compareUtf8(low, "\u{10000}") < 0, low);
    assert.ok(compareUtf8("\u{10ffff}", low) > 0, low);
  }
});

test("decodeUtf8, any text, is the inverse of encoding, also with a byte order mark", () => {
  fc.assert(fc.property(text, (value) => decodeUtf8(Buffer.from(value)) === value));
  assert.equal(decodeUtf8(Buffer.from("\ufeffa")), "\ufeffa");
});

test("decodeUtf8, bytes that are not UTF-8, gives undefined", () => {
  for (const hex of ["ff", "c080", "eda080", "f4908080", "e282"]) {
    assert.equal(decodeUtf8(Buffer.from(hex, "hex")), undefined, hex);
  }
});

test("asBuffer, a view into a larger array, is over the same memory", () => {
  const whole = Uint8Array.of(1, 2, 3, 4);
  const buffer = asBuffer(whole.subarray(1, 3));
  assert.deepEqual([...buffer], [2, 3]);
  whole[1] = 9;
  assert.equal(buffer[0], 9);
});

test("equalBytes, compareBytes, concatBytes and totalBytes, any parts, agree with Buffer", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const same = Buffer.from(a).equals(b);
      assert.equal(equalBytes(a, b), same);
      assert.equal(compareBytes(a, b) === 0, same);
      assert.equal(totalBytes([a, b]), concatBytes([a, b]).byteLength);
      assert.deepEqual([...concatBytes([a, b])], [...a, ...b]);
    }),
  );
});

test("pieces, gathered, are one array of their own, as long as they are together", async () => {
  const pieces = [Buffer.from("one"), Buffer.alloc(0), Buffer.from("two")];
  const whole = await gatherBytes(Readable.from(pieces) as AsyncIterable<Uint8Array>, 10);
  assert.equal(Buffer.from(whole).toString(), "onetwo");
  assert.equal(whole.buffer.byteLength, 10);
  pieces[0]?.fill(0);
  assert.equal(Buffer.from(whole).toString(), "onetwo");
});

test("copyBytes, into memory that threads see or not, writes the bytes and no others, and none where there is no room", () => {
  const bytes = fc.uint8Array({ maxLength: 50 });
  fc.assert(
    fc.property(bytes, fc.nat(20), fc.nat(20), fc.boolean(), (source, before, after, isShared) => {
      const length = before + source.byteLength + after;
      const target = new Uint8Array(isShared ? new SharedArrayBuffer(length) : new ArrayBuffer(length));
      copyBytes(source, target, before);
      assert.deepEqual([...target], [...new Uint8Array(before), ...source, ...new Uint8Array(after)]);
      assert.throws(() => {
        copyBytes(new Uint8Array(after + 1).fill(1), target, before + source.byteLength);
      }, RangeError);
      assert.deepEqual([...target.subarray(before + source.byteLength)], [...new Uint8Array(after)]);
    }),
  );
});
