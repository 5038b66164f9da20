import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DecodedPieces } from "./decoded-pieces.ts";

const PIECE_BYTES = 1000;

/** Fills the piece with one byte, and tells of it. */
function filler(byte: number, told: number[] = []): (output: SharedArrayBuffer) => Promise<void> {
  return async (output) => {
    told.push(byte);
    new Uint8Array(output).fill(byte);
  };
}

describe("decoded pieces", () => {
  it("asked for by many at once and again, are decoded once, and stay while they are held", async () => {
    const pieces = new DecodedPieces(0, PIECE_BYTES);
    const told: number[] = [];
    const held = await Promise.all([1, 1, 1].map((byte) => pieces.hold("a", 10, filler(byte, told))));
    for (let other = 2; other < 40; other++) {
      const { bytes, release } = await pieces.hold(`other ${other}`, 10, filler(other));
      assert.deepEqual(bytes, new Uint8Array(10).fill(other));
      release(true);
    }
    for (const { bytes, release } of held) {
      assert.deepEqual(bytes, new Uint8Array(10).fill(1));
      release(true);
    }
    assert.deepEqual(told, [1]);
  });

  it("more than there is room for, all held, are each their own; afterwards the room is used again", async () => {
    const pieces = new DecodedPieces(6 * PIECE_BYTES, PIECE_BYTES);
    const holdAll = (): Promise<{ bytes: Uint8Array; release: (isFree: boolean) => void }[]> =>
      Promise.all(Array.from({ length: 20 }, (_, byte) => pieces.hold(String(byte), 5, filler(byte))));
    for (let turn = 0; turn < 3; turn++) {
      const held = await holdAll();
      assert.deepEqual(
        held.map(({ bytes }) => bytes[0]),
        held.map((_, index) => index),
      );
      for (const { release } of held) release(true);
    }
    const memory = new Set<ArrayBufferLike>();
    for (let index = 0; index < 30; index++) {
      const { bytes, release } = await pieces.hold(`again ${index}`, 5, filler(index));
      memory.add(bytes.buffer);
      release(true);
    }
    assert.equal(memory.size, 6);
  });

  it("given back by who may still be sending them, keep their bytes whatever comes next", async () => {
    const pieces = new DecodedPieces(0, PIECE_BYTES);
    const { bytes, release } = await pieces.hold("a", 10, filler(1));
    release(false);
    for (let other = 2; other < 40; other++)
      (await pieces.hold(String(other), 10, filler(other))).release(true);
    assert.deepEqual(bytes, new Uint8Array(10).fill(1));
  });

  it("that cannot be decoded, fail for all who wait, and are tried anew", async () => {
    const pieces = new DecodedPieces(0, PIECE_BYTES);
    const failing = async (): Promise<void> => {
      throw new Error("damaged");
    };
    const tries = await Promise.allSettled([1, 2].map(() => pieces.hold("a", 5, failing)));
    assert.deepEqual(
      tries.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.equal((await pieces.hold("a", 5, filler(7))).bytes[0], 7);
  });

  it("that all have left are begun anew in other memory, while the first may still be written to", async () => {
    const pieces = new DecodedPieces(0, PIECE_BYTES);
    const leaving = new AbortController();
    const begun: { readonly memory: SharedArrayBuffer; readonly signal: AbortSignal }[] = [];
    const end = Promise.withResolvers<undefined>();
    const slow = async (memory: SharedArrayBuffer, signal: AbortSignal): Promise<void> => {
      begun.push({ memory, signal });
      await end.promise;
    };
    const left = [1, 2].map(() => pieces.hold("a", 5, slow, leaving));
    leaving.abort();
    for (const each of left) await assert.rejects(each, { name: "AbortError" });
    assert.deepEqual([begun.length, begun[0]?.signal.aborted], [1, true]);
    const memory = new Set<ArrayBufferLike>();
    for (const key of ["a", ...Array.from({ length: 20 }, (_, index) => String(index))]) {
      const { bytes, release } = await pieces.hold(key, 5, filler(7));
      memory.add(bytes.buffer);
      release(true);
    }
    assert.equal(memory.has(begun[0]?.memory ?? assert.fail()), false);
    end.resolve(undefined);
  });

  it("that all have left, and are there all the same, are kept, and their memory is used again", async () => {
    const pieces = new DecodedPieces(0, PIECE_BYTES);
    const leaving = new AbortController();
    const end = Promise.withResolvers<undefined>();
    const told: number[] = [];
    const late = pieces.hold("a", 5, (output) => end.promise.then(() => filler(3, told)(output)), leaving);
    leaving.abort();
    await assert.rejects(late, { name: "AbortError" });
    end.resolve(undefined);
    await new Promise(setImmediate);
    const { bytes, release } = await pieces.hold("a", 5, filler(4, told));
    assert.deepEqual([...bytes, told.length], [3, 3, 3, 3, 3, 1]);
    release(true);
    for (let other = 0; other < 20; other++) (await pieces.hold(String(other), 5, filler(9))).release(true);
    assert.equal(bytes[0], 9);
  });
});
