/** Pushes on machines that are paused, their clocks with them, while others prune. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { KiB } from "../../base/limits.ts";
import { readHead } from "../tag-head.ts";
import { noise } from "../testing/engine.ts";
import { halted, movableClock, OUTLIVED_MS } from "../testing/halted.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { prune } from "./prune.ts";

const pool = new WorkerPool(1);
after(() => pool.close());

/** Another machine, which sees nothing of the lease for that long, and prunes. */
async function pruneElsewhere({ engine, store }: PushBed): Promise<number> {
  const clock = movableClock();
  const watch = new LeaseWatch(clock);
  await watch.living(store.datasets, {});
  clock.aheadMs += OUTLIVED_MS;
  const { removed } = await prune({ ...engine, clock }, { graceMs: 0, repackBelow: 0, watch });
  return removed.blocks;
}

/** Pushes, paused before the first call of a method; what it says it published stands, and is whole. */
async function pushPaused(bed: PushBed, part: "blocks" | "datasets", method: string): Promise<void> {
  bed.write("file", noise(1, 20 * KiB));
  await bed.push();
  bed.write("file", noise(2, 40 * KiB));
  let removed = 0;
  const store = halted(bed.store, part, method, async () => {
    removed = await pruneElsewhere(bed);
  });
  const { digest } = await bed.push({}, { store });
  assert.ok(removed > 0, "the prune removed what the push had stored");
  const { record } = await readHead(bed.store.datasets, BED_TAG.name, BED_TAG.tag, {});
  assert.equal(record?.digest, digest);
  await bed.read(digest);
}

describe("a push on a machine that was paused for longer than its lease lives", () => {
  for (const [part, method] of [
    ["blocks", "flush"],
    ["datasets", "putPlan"],
  ] as const) {
    it(`before ${method}, publishes a version that is whole`, () =>
      withPushBed(pool, (bed) => pushPaused(bed, part, method)));
  }

  it("right before its commit, whose clocks went on: is taken back, begins anew, and what it says stands", () =>
    withPushBed(pool, async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      await bed.push();
      bed.write("file", noise(2, 40 * KiB));
      const clock = movableClock();
      const store = halted(bed.store, "datasets", "createHistory", async () => {
        assert.ok((await pruneElsewhere(bed)) > 0);
        clock.aheadMs += OUTLIVED_MS;
      });
      const { digest, moved } = await bed.push({}, { clock, store });
      const { record } = await readHead(bed.store.datasets, BED_TAG.name, BED_TAG.tag, {});
      assert.deepEqual([record?.digest, moved], [digest, [true]]);
      await bed.read(digest);
    }));
});
