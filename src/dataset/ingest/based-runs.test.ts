import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KiB, MiB } from "../../base/limits.ts";
import { FRAME_CHUNKS_MAX } from "../../format/block.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { DELTA_BYTES_MAX } from "../../format/frame.ts";
import { chooseBases, fitRun, isOnItself, plainRun, sumLengths, type BasedRun } from "./based-runs.ts";
import { joinDigests, splitDigests } from "./block-packer.ts";
import type { SimilarChunk } from "./ingest.ts";

function named(name: number): Digest {
  return digestOf(Buffer.from(String(name)));
}

function chunksOf(count: number, length = 64 * KiB): { digest: Digest; length: number }[] {
  return Array.from({ length: count }, (_, index) => ({ digest: named(index), length }));
}

/** What chunks resemble: a length of 64 KiB each. */
function like(...names: readonly (number | undefined)[]): SimilarChunk[][] {
  return names.map((name) =>
    name === undefined ? [] : [{ digest: named(name), length: 64 * KiB, isStrong: true }],
  );
}

function onPlace(from: number, to: number, ...names: readonly number[]): BasedRun {
  const digests = joinDigests(names.map(named));
  const bytes = names.length * 64 * KiB;
  const base = { digests, lengths: names.map(() => 64 * KiB), offset: 0, bytes };
  return { from, to, base, halves: () => [] };
}

function shapes(runs: readonly BasedRun[]): (readonly (number | Digest[] | undefined)[])[] {
  return runs.map(({ from, to, base }) => [from, to, base && splitDigests(base.digests)]);
}

describe("the bases of a run", () => {
  it("where nothing stood, are what its chunks resemble; the others stay plain", () => {
    const runs = chooseBases(chunksOf(5), plainRun(0, 5), like(undefined, 100, 101, 101, undefined));
    assert.deepEqual(shapes(runs), [
      [0, 1, undefined],
      [1, 4, [named(100), named(101)]],
      [4, 5, undefined],
    ]);
  });

  it("stay those of its place, where its chunks resemble these, or nothing", () => {
    const run = onPlace(0, 3, 100, 101);
    assert.deepEqual(chooseBases(chunksOf(3), run, like(100, undefined, 101)), [run]);
    assert.deepEqual(chooseBases(chunksOf(3), run, like(undefined, undefined, undefined)), [run]);
    assert.deepEqual(chooseBases(chunksOf(3), run, []), [run]);
  });

  it("are those of its place and what its chunks resemble elsewhere, while one dictionary may hold both", () => {
    const place = onPlace(0, 3, 100, 101);
    const [run = assert.fail()] = chooseBases(chunksOf(3), place, like(200, 101, undefined));
    assert.deepEqual(shapes([run]), [[0, 3, [named(100), named(101), named(200)]]]);
    assert.deepEqual([run.near, run.halves()], [place.base, [place]]);
    const wide = onPlace(0, 3, ...Array.from({ length: 15 }, (_, index) => 100 + index));
    assert.deepEqual(chooseBases(chunksOf(3), wide, like(200, 201, undefined)), [wide]);
  });

  it("count the likest of several, unless another of them stood there", () => {
    const [likest, other] = [like(200), like(100)].map(([first]) => first?.[0] ?? assert.fail());
    const both = [[likest ?? assert.fail(), other ?? assert.fail()]];
    assert.deepEqual(shapes(chooseBases(chunksOf(1), plainRun(0, 1), both)), [[0, 1, [named(200)]]]);
    const run = onPlace(0, 1, 100);
    assert.deepEqual(chooseBases(chunksOf(1), run, both), [run]);
  });

  it("are never the run's own chunks", () => {
    const run = plainRun(0, 2);
    assert.deepEqual(chooseBases(chunksOf(2), run, like(1, 0)), [run]);
    assert.equal(
      isOnItself(chunksOf(3), { from: 0, to: 2 }, onPlace(0, 1, 100, 1).base ?? assert.fail()),
      true,
    );
    assert.equal(
      isOnItself(chunksOf(3), { from: 0, to: 2 }, onPlace(0, 1, 100, 2).base ?? assert.fail()),
      false,
    );
  });

  it("that are like its chunks in part only, count where nothing stood", () => {
    const partly = like(200).map((likes) => likes.map((each) => ({ ...each, isStrong: false })));
    assert.deepEqual(shapes(chooseBases(chunksOf(1), plainRun(0, 1), partly)), [[0, 1, [named(200)]]]);
    const run = onPlace(0, 1, 100);
    assert.deepEqual(chooseBases(chunksOf(1), run, partly), [run]);
  });

  it("any, cover each chunk once, in order, within the limits of a delta; and so do halves", () => {
    const length = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 2 * MiB }));
    const name = fc.option(fc.nat(20), { nil: undefined });
    fc.assert(
      fc.property(fc.array(fc.tuple(length, name, length), { minLength: 1, maxLength: 300 }), (made) => {
        const chunks = made.map(([bytes], index) => ({ digest: named(1000 + index), length: bytes }));
        const lengths = new Map(made.map(([, each, bytes]) => [each, bytes]));
        const similar = made.map(([, each]) =>
          each === undefined ? [] : [{ digest: named(each), length: lengths.get(each) ?? 1, isStrong: true }],
        );
        const check = (runs: readonly BasedRun[], start: number, end: number): void => {
          let at = start;
          for (const { from, to, base, halves } of runs) {
            assert.ok(from === at && to > from);
            at = to;
            if (base === undefined) continue;
            assert.ok(to - from <= FRAME_CHUNKS_MAX);
            assert.ok(sumLengths(chunks.slice(from, to)) <= DELTA_BYTES_MAX && base.bytes <= DELTA_BYTES_MAX);
            assert.equal(
              base.bytes,
              base.lengths.reduce((sum, each) => sum + each, 0),
            );
            const parts = halves();
            if (to - from === 1) assert.deepEqual(parts, []);
            else check(parts, from, to);
          }
          assert.equal(at, end);
        };
        check(chooseBases(chunks, plainRun(0, chunks.length), similar), 0, chunks.length);
      }),
      { numRuns: 60 },
    );
  });
});

describe("a run that is fitted", () => {
  it("is halved until each part may be made, and what never may stays plain", async () => {
    const [run] = chooseBases(chunksOf(4), plainRun(0, 4), like(100, 101, 102, 103));
    assert.ok(run !== undefined);
    const parts = await fitRun(run, ({ from, to }) => Promise.resolve(to - from === 1 && from > 0));
    assert.deepEqual(shapes(parts), [
      [0, 1, undefined],
      [1, 2, [named(101)]],
      [2, 3, [named(102)]],
      [3, 4, [named(103)]],
    ]);
  });
});
