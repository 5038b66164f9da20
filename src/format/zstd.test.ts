import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { compressBound, compressInto, decompressInto } from "./zstd.ts";

function compressed(input: Uint8Array, level = 3): Uint8Array | undefined {
  const output = new Uint8Array(compressBound(input.byteLength));
  const length = compressInto(input, output, level);
  return length === undefined ? undefined : output.subarray(0, length);
}

const text = Buffer.from("a line of text, and one more of it\n".repeat(3000));

test("a context of zstd that is used again is at hand in the Node that AetherFS ships with", () => {
  assert.notEqual(compressed(text), undefined);
  assert.equal(decompressInto(zstdCompressSync(text), new Uint8Array(text.byteLength)), text.byteLength);
});

test("compression with a context that is used again gives the bytes of the documented function", () => {
  const inputs = [text, randomBytes(65_536), text.subarray(0, 10), Buffer.alloc(1 << 20), text];
  for (const level of [1, 3, 19]) {
    for (const input of inputs) {
      const params = { [constants.ZSTD_c_compressionLevel]: level };
      const expected = zstdCompressSync(input, { params, pledgedSrcSize: input.byteLength });
      assert.ok(expected.equals(compressed(input, level) ?? Buffer.alloc(0)), `level ${level}`);
    }
  }
});

test("compression into an output that is too small is an error of the program, and the next one is right", () => {
  assert.throws(() => compressInto(randomBytes(65_536), new Uint8Array(1000), 5), /assertion failed/);
  const next = compressed(text, 5);
  assert.ok(next !== undefined && zstdDecompressSync(next).equals(text));
});

test("decompression of what is wrong is refused or shorter, and the next frame is not touched by it", () => {
  const frame = zstdCompressSync(text);
  const wrong = [
    Buffer.alloc(0),
    randomBytes(1000),
    frame.subarray(0, frame.byteLength - 5),
    Buffer.concat([frame, frame]),
    Buffer.concat([frame, frame.subarray(0, 20)]),
    Buffer.concat([frame, Buffer.from("tail")]),
  ];
  for (const input of wrong) {
    const length = decompressInto(input, new Uint8Array(text.byteLength));
    assert.notEqual(length, text.byteLength);
    const output = Buffer.alloc(text.byteLength);
    assert.equal(decompressInto(frame, output), text.byteLength);
    assert.ok(output.equals(text));
  }
});

test("decompression of damaged frames never gives more than the output holds", () => {
  const frame = zstdCompressSync(text);
  fc.assert(
    fc.property(fc.nat(frame.byteLength - 1), fc.integer({ min: 1, max: 255 }), (position, flip) => {
      const damaged = Buffer.from(frame);
      damaged.writeUInt8((damaged[position] ?? 0) ^ flip, position);
      const length = decompressInto(damaged, new Uint8Array(text.byteLength));
      assert.ok(length === undefined || length <= text.byteLength);
    }),
  );
});
