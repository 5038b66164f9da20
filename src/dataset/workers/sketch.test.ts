import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KiB } from "../../base/limits.ts";
import { noise } from "../testing/engine.ts";
import { SKETCH_FEATURES, packSketches, sketchOf, unpackSketches } from "./sketch.ts";

const CHUNK = noise(3, 64 * KiB);

function areAlike(one: Uint8Array, other: Uint8Array): boolean {
  const [first, second] = [sketchOf(one), sketchOf(other)];
  return first.some((feature, index) => feature === second[index]);
}

describe("a sketch", () => {
  it("of a chunk with scattered edits, an insertion or a cut beginning, shares a feature with the chunk's", () => {
    const edited = new Uint8Array(CHUNK);
    for (let at = 1000; at < edited.length; at += 1024) edited[at] = 7;
    assert.ok(areAlike(CHUNK, edited));
    assert.ok(areAlike(CHUNK, Buffer.concat([noise(4, 500), CHUNK])));
    assert.ok(areAlike(CHUNK, CHUNK.subarray(1000)));
  });

  it("of another chunk shares none", () => {
    for (let seed = 10; seed < 60; seed++) assert.ok(!areAlike(CHUNK, noise(seed, 64 * KiB)));
  });

  it("of a chunk that is too short, is none", () => {
    assert.deepEqual(sketchOf(noise(1, 40)), []);
    assert.deepEqual(sketchOf(new Uint8Array(0)), []);
  });

  it("is whole numbers below 2^48, the same each time, and survives packing", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 6000 }), { maxLength: 4 }), (chunks) => {
        const sketches = chunks.map(sketchOf);
        for (const sketch of sketches) {
          assert.ok(sketch.length === 0 || sketch.length === SKETCH_FEATURES);
          assert.ok(sketch.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 48));
        }
        assert.deepEqual(chunks.map(sketchOf), sketches);
        assert.deepEqual(unpackSketches(packSketches(sketches)), sketches);
      }),
    );
  });
});
