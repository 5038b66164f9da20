import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import { decodeIndex, type FrameInfo } from "../../format/block.ts";
import { digestOf } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { noise } from "../testing/engine.ts";
import { BlockPacker, joinDigests, type SealedBlock } from "./block-packer.ts";

function infoOf(bytes: Uint8Array): FrameInfo {
  const digests = joinDigests([digestOf(bytes)]);
  const rest = { base: undefined, depth: 0, decodeBytes: 0, isPage: false };
  return { codec: CODECS.raw, storedBytes: bytes.byteLength, digests, lengths: [bytes.byteLength], ...rest };
}

/** Packs frames as a session does; each block is checked when it is sealed, and its memory given back. */
function pack(packer: BlockPacker, frames: readonly Uint8Array[]): Uint8Array[] {
  const read: Uint8Array[] = [];
  const seal = (): void => {
    const sealed = packer.seal();
    if (sealed === undefined) return;
    read.push(...framesOf(sealed));
    packer.recycle(sealed);
  };
  for (const frame of frames) {
    if (packer.isFull(frame.byteLength)) seal();
    packer.add(infoOf(frame), frame);
  }
  seal();
  return read;
}

/** The frames of a block, as the format's decoder finds them. */
function framesOf(sealed: SealedBlock): Uint8Array[] {
  const bytes = concatBytes(sealed.parts);
  assert.equal(digestOf(bytes), sealed.digest);
  assert.equal(bytes.byteLength, sealed.bytes);
  const { domain, frames, offsets } = decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength);
  assert.equal(domain, "domain");
  assert.deepEqual(offsets, sealed.offsets);
  return frames.map((frame, index) => {
    const offset = offsets[index] ?? 0;
    return new Uint8Array(bytes.subarray(offset, offset + frame.storedBytes));
  });
}

test("packing of frames of any size gives blocks that the decoder takes apart into the same", () => {
  const sizes = [1, 100, 300_000, 16 * MiB, 5, 700_000, 2 * MiB, 3 * MiB, 16 * MiB, 1, 900_000, 900_000];
  const frames = sizes.map((size, index) => noise(index, size));
  assert.deepEqual(pack(new BlockPacker("domain", MiB), frames), frames);
});

test("packing of nothing gives no block", () => {
  assert.equal(new BlockPacker("domain", MiB).seal(), undefined);
});

test("packing of frames whose index grows large seals before readers would refuse it", () => {
  const packer = new BlockPacker("domain", 64 * MiB);
  const count = 500;
  const digests = joinDigests(
    Array.from({ length: count }, (_, index) => digestOf(Buffer.from([index & 255, index >> 8]))),
  );
  const lengths = Array.from({ length: count }, () => 1000);
  const base = { digests, lengths, offset: 0, bytes: 400_000 };
  const rest = { base, depth: 1, decodeBytes: 2_000_000, isPage: false };
  const info: FrameInfo = { codec: CODECS.delta, storedBytes: 10, digests, lengths, ...rest };
  let frames = 0;
  while (!packer.isFull(10)) {
    packer.add(info, noise(1, 10));
    frames++;
  }
  assert.ok(frames > 100 && frames < 1000);
  const sealed = packer.seal();
  assert.ok(sealed !== undefined);
  assert.equal(framesOf(sealed).length, frames);
});

test("packing of frames for the block's end puts them there by what they are, each kind in its order", () => {
  const packer = new BlockPacker("domain", MiB);
  const frame = (number: number): Uint8Array => noise(number, 100 + number);
  const kinds = [
    "reBased",
    "chunks",
    "entries",
    undefined,
    "times",
    "entries",
    "reBased",
    undefined,
  ] as const;
  for (const [number, kind] of kinds.entries()) {
    if (kind === undefined) packer.add(infoOf(frame(number)), frame(number));
    else packer.addLast(infoOf(frame(number)), frame(number), kind);
  }
  const sealed = packer.seal();
  assert.ok(sealed !== undefined);
  assert.deepEqual(framesOf(sealed), [3, 7, 2, 5, 4, 1, 0, 6].map(frame));
  packer.recycle(sealed);
  packer.add(infoOf(frame(9)), frame(9));
  const next = packer.seal();
  assert.deepEqual(next && framesOf(next), [frame(9)]);
});
