import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import { MiB } from "../base/limits.ts";
import { HeadMemory } from "../dataset/head-memory.ts";
import { collect, noise } from "../dataset/testing/engine.ts";
import { BED_TAG, withPushBed, type PushBed } from "../dataset/testing/push-bed.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import { parseReference } from "../format/reference.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { openStoreTree } from "./store-tree.ts";
import { RoundTrips } from "./testing/round-trips.ts";
import type { Caller, Tree } from "./tree.ts";

const ANYBODY: Caller = { check: async () => undefined };
const OTHER_TAG = tagOf(parseReference("other:latest"));
const START = 150 * MiB + 12_345;

let pool: WorkerPool;
before(() => {
  pool = new WorkerPool(2);
});
after(() => pool.close());

/** A file whose chunks take as many levels of pages as those of 10 GiB in chunks of the usual size. */
async function pushDeep(bed: PushBed): Promise<void> {
  const part = noise(9, 4 * MiB);
  bed.write("big/file.bin", part);
  for (let index = 1; index < 64; index++) {
    part.set(noise(100 + index, 1000), index * 4096);
    fs.appendFileSync(`${bed.source}/big/file.bin`, part);
  }
  await bed.push();
}

async function read(tree: Tree, start: number): Promise<Buffer> {
  const place = { kind: "version", ...BED_TAG, digest: undefined, path: "big/file.bin" } as const;
  const range = { start, end: start + 1000 };
  const node = await tree.look(ANYBODY, place, range);
  assert.ok(node.kind === "file");
  return collect(tree.read(node, range));
}

/** A pool that tells whether anything is under way in it. */
function watched(inner: WorkerPool): { readonly pool: WorkerPool; readonly isBusy: () => boolean } {
  let underWay = 0;
  const run: WorkerPool["run"] = async (...parameters) => {
    underWay++;
    try {
      return await inner.run(...parameters);
    } finally {
      underWay--;
    }
  };
  const proxy = new Proxy(inner, {
    get: (target, name): unknown => {
      if (name === "run") return run;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { pool: proxy, isBusy: () => underWay > 0 };
}

describe("the first bytes of a range, of a store that is far", () => {
  it("take at most five round trips, and one when the way to them is known", () =>
    withPushBed(pool, async (bed) => {
      await pushDeep(bed);
      const { pool: watchedPool, isBusy } = watched(pool);
      const far = new RoundTrips(bed.store, isBusy);
      const engine = { ...bed.engine, store: far.store, pool: watchedPool, heads: new HeadMemory(10) };
      const content = fs.readFileSync(`${bed.source}/big/file.bin`);
      const tree = openStoreTree(engine);
      assert.ok((await read(tree, START)).equals(content.subarray(START, START + 1000)));
      assert.ok(far.rounds.length <= 5, far.shown());
      const cold = far.rounds.length;
      const elsewhere = START + 1_500_000;
      assert.ok((await read(tree, elsewhere)).equals(content.subarray(elsewhere, elsewhere + 1000)));
      assert.equal(far.rounds.length - cold, 1, far.shown());
      assert.ok(
        far.rounds.at(-1)?.some((call) => call.startsWith("blocks.read")),
        "it was read from the store",
      );
    }));
});

describe("a version of another dataset, asked for by its digest", () => {
  it("is not there, and nothing of it is fetched", () =>
    withPushBed(pool, async (bed) => {
      bed.write("file.bin", noise(4, MiB));
      const { digest } = await bed.push();
      bed.write("file.bin", "other");
      await bed.push({ tags: [OTHER_TAG] });
      const { pool: watchedPool, isBusy } = watched(pool);
      const far = new RoundTrips(bed.store, isBusy);
      const tree = openStoreTree({ ...bed.engine, store: far.store, pool: watchedPool });
      const place = { kind: "version", ...OTHER_TAG, tag: undefined, digest, path: "file.bin" } as const;
      await assert.rejects(tree.look(ANYBODY, place, { start: 0, end: 1000 }), { code: "VERSION_NOT_FOUND" });
      assert.ok(!far.shown().includes("blocks."), far.shown());
      const own = await tree.look(ANYBODY, { ...place, ...BED_TAG, tag: undefined });
      assert.ok(own.kind === "file");
    }));
});
