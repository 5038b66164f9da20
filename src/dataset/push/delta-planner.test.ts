import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KiB, MiB } from "../../base/limits.ts";
import { FRAME_CHUNKS_MAX, type FrameBase } from "../../format/block.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { DELTA_BASES_MAX, DELTA_BYTES_MAX } from "../../format/frame.ts";
import { splitDigests } from "../ingest/block-packer.ts";
import { DeltaPlanner, type NewChunk, type OldChunk } from "./delta-planner.ts";

function named(name: string | number): Digest {
  return digestOf(Buffer.from(String(name)));
}

function digestsOf(base: FrameBase | undefined): Digest[] {
  return base === undefined ? [] : splitDigests(base.digests);
}

/** Old chunks of one length that stand one after another from 1000 on. */
function oldOf(names: readonly (string | number)[], length = 100): OldChunk[] {
  return names.map((name, index) => ({ digest: named(name), length, start: 1000 + index * length }));
}

/** New chunks; those whose name begins with "+" are missing. */
function newOf(names: readonly string[], length = 100): NewChunk[] {
  return names.map((name) => ({ digest: named(name), length, isMissing: name.startsWith("+") }));
}

test("a run between two unchanged chunks is a delta on what stood between them", () => {
  const runs = new DeltaPlanner(oldOf(["a", "b", "c", "d"])).plan(newOf(["a", "+x", "+y", "d"]), true);
  assert.deepEqual(
    runs.map(({ from, to }) => [from, to]),
    [[1, 3]],
  );
  const base = runs[0]?.base;
  assert.deepEqual(digestsOf(base), [named("b"), named("c")]);
  assert.deepEqual([base?.offset, base?.bytes], [0, 200]);
});

test("the place is followed from span to span", () => {
  const planner = new DeltaPlanner(oldOf(["a", "b", "c", "d", "e"], 64 * KiB));
  assert.deepEqual(planner.plan(newOf(["a"], 64 * KiB), false), []);
  const [run] = planner.plan(newOf(["+x"], 64 * KiB), false);
  assert.deepEqual(digestsOf(run?.base), [named("b"), named("c")]);
  const [last] = planner.plan(newOf(["+y"], 64 * KiB), true);
  assert.deepEqual(digestsOf(last?.base), [named("c"), named("d"), named("e")]);
});

test("a run where nothing stood has no base", () => {
  const [alone] = new DeltaPlanner([]).plan(newOf(["+x"]), true);
  assert.deepEqual([alone?.from, alone?.to, alone?.base], [0, 1, undefined]);
  const [run] = new DeltaPlanner(oldOf(["a", "b"])).plan(newOf(["a", "+x", "b"]), true);
  assert.equal(run?.base, undefined);
});

test("halves of a run stand each where its part most likely stood; one chunk has none", () => {
  const names = Array.from({ length: 30 }, (_, index) => `old ${index}`);
  const planner = new DeltaPlanner(oldOf(["a", ...names, "z"], 64 * KiB));
  const chunks = newOf(["a", ...names.slice(0, 4).map((name) => `+${name}`), "z"], 64 * KiB);
  const [run] = planner.plan(chunks, true);
  assert.ok(run !== undefined);
  const halves = planner.halves(chunks, run);
  assert.deepEqual(
    halves.map(({ from, to, base }) => [from, to, base?.bytes]),
    [
      [1, 3, 256 * KiB],
      [3, 5, 256 * KiB],
    ],
  );
  const [first = NaN, second = NaN] = halves.map(({ base }) =>
    names.findIndex((name) => named(name) === digestsOf(base)[0]),
  );
  assert.ok(first < second, `${first}, ${second}`);
  const single = { ...run, to: run.from + 1 };
  assert.equal(planner.halves(chunks, single).length, 1);
});

test("a chunk of more than a delta may decode to has no base", () => {
  const [run] = new DeltaPlanner(oldOf(["a"], MiB)).plan(newOf(["+x"], MiB + 1), true);
  assert.equal(run?.base, undefined);
});

test("very many equal old chunks are searched quickly", () => {
  const names = Array.from({ length: 200_000 }, () => "zeros");
  const runs = new DeltaPlanner(oldOf(names)).plan(newOf([...names, "+x"]), true);
  assert.deepEqual(
    runs.map(({ from, to }) => [from, to]),
    [[200_000, 200_001]],
  );
});

test("any plan covers each missing chunk once, in order, within every limit", () => {
  const length = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 900 * KiB }));
  const name = fc.integer({ min: 0, max: 20 });
  const old = fc.array(fc.tuple(name, length), { maxLength: 700 });
  const fresh = fc.array(fc.tuple(name, length, fc.boolean()), { maxLength: 700 });
  fc.assert(
    fc.property(old, fresh, fc.nat({ max: 700 }), (before, after, cut) => {
      let start = 77;
      const olds = before.map(([number, bytes]) => {
        const chunk = { digest: named(number), length: bytes, start };
        start += bytes;
        return chunk;
      });
      const news = after.map(([number, bytes, isMissing]) => ({
        digest: named(number),
        length: bytes,
        isMissing,
      }));
      const planner = new DeltaPlanner(olds);
      for (const [span, isLast] of [
        [news.slice(0, cut), false],
        [news.slice(cut), true],
      ] as const) {
        const covered: number[] = [];
        for (const { from, to, base } of planner.plan(span, isLast)) {
          assert.ok(to > from && to - from <= FRAME_CHUNKS_MAX);
          for (let index = from; index < to; index++) covered.push(index);
          if (base === undefined) continue;
          const runBytes = span.slice(from, to).reduce((sum, chunk) => sum + chunk.length, 0);
          const baseBytes = base.lengths.reduce((sum, each) => sum + each, 0);
          assert.ok(runBytes <= DELTA_BYTES_MAX && base.lengths.length <= DELTA_BASES_MAX);
          assert.ok(base.bytes > 0 && base.bytes <= DELTA_BYTES_MAX && base.offset >= 0);
          assert.ok(base.offset < (base.lengths[0] ?? 0) && base.offset + base.bytes <= baseBytes);
          const named = digestsOf(base);
          const areNeighbours = olds.some((_, at) =>
            named.every((digest, index) => {
              const chunk = olds[at + index];
              return chunk?.digest === digest && chunk.length === base.lengths[index];
            }),
          );
          assert.ok(areNeighbours, "bases are neighbours");
        }
        assert.deepEqual(
          covered,
          span.flatMap((chunk, index) => (chunk.isMissing ? [index] : [])),
        );
      }
    }),
    { numRuns: 60 },
  );
});
