/** Processes that stand still at the worst moment, beside prunes that go on. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";
import { systemRandom } from "../../base/random.ts";
import type { Engine } from "../engine.ts";
import { Lease } from "../ingest/lease.ts";
import { removeTag, rollback } from "../tag-changes.ts";
import { readHead } from "../tag-head.ts";
import { noise } from "../testing/engine.ts";
import { SAYS, tagged } from "../testing/prune-bed.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { halted, movableClock, OUTLIVED_MS } from "../testing/halted.ts";
import type { PruneOptions, PruneResult } from "./contract.ts";
import { isBelow, takenEntries } from "./floors.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { prune } from "./prune.ts";

const pool = new WorkerPool(1);
after(() => pool.close());

const onBed = (work: (bed: PushBed) => Promise<void>) => (): Promise<void> => withPushBed(pool, work);

/** Another process that prunes, and has seen everybody's leases for as long as they are silent. */
class Pruner {
  readonly engine: Engine;
  readonly clock = movableClock();
  readonly watch = new LeaseWatch(this.clock);

  constructor(bed: PushBed) {
    this.engine = { ...bed.engine, clock: this.clock };
  }

  /** Sees leases, and that they are not renewed for long. */
  async outlive(): Promise<void> {
    await this.watch.living(this.engine.store.datasets, {});
    this.clock.aheadMs += OUTLIVED_MS;
  }

  run(options: Partial<PruneOptions> = {}): Promise<PruneResult> {
    return prune(this.engine, { graceMs: 0, repackBelow: 0, watch: this.watch, ...options });
  }
}

async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error) => codeOf(error) === code || assert.fail(String(error)));
}

describe("a lease", () => {
  for (const method of ["replaceLease", "removeLease"]) {
    it(
      `is renewed when it is taken for dead, before ${method}: it stays, or its holder is told`,
      onBed(async (bed) => {
        const pruner = new Pruner(bed);
        const lease = new Lease(bed.store.datasets, systemClock, systemRandom.id(), "slow");
        try {
          await lease.store();
          await pruner.outlive();
          const holder = { isRenewed: false };
          const { datasets } = halted(bed.store, "datasets", method, async () => {
            try {
              await lease.store();
              holder.isRenewed = true;
            } catch (error) {
              assert.equal(codeOf(error), "SESSION_LOST");
            }
          });
          const living = await pruner.watch.living(datasets, {});
          const { isRenewed } = holder;
          assert.equal(living.length, isRenewed ? 1 : 0);
          assert.equal((await bed.store.datasets.getLease(lease.id)) !== undefined, isRenewed);
        } finally {
          await lease.release();
        }
      }),
    );
  }

  it(
    "of who is silent for too long stays when a prune only looks",
    onBed(async (bed) => {
      const pruner = new Pruner(bed);
      const lease = new Lease(bed.store.datasets, systemClock, systemRandom.id(), "slow");
      try {
        await lease.store();
        await pruner.outlive();
        await pruner.run({ dryRun: true });
        await lease.store();
      } finally {
        await lease.release();
      }
    }),
  );

  it(
    "whose renewal was made, though its answer was lost, is renewed by the next",
    onBed(async (bed) => {
      const lost = new Error("lost");
      const { datasets } = bed.store;
      const state = { isLost: false };
      const replaceLease: typeof datasets.replaceLease = async (...parameters) => {
        const revision = await datasets.replaceLease(...parameters);
        if (state.isLost) throw lost;
        return revision;
      };
      const losing = new Proxy(datasets, {
        get: (object, name) => {
          const member: unknown = name === "replaceLease" ? replaceLease : Reflect.get(object, name);
          return typeof member === "function" ? (member.bind(object) as unknown) : member;
        },
      });
      const lease = new Lease(losing, systemClock, systemRandom.id(), "far");
      try {
        await lease.store();
        state.isLost = true;
        for (let tries = 0; tries < 2; tries++) await assert.rejects(lease.store(), lost);
        state.isLost = false;
        await lease.store();
        await datasets.removeLease(lease.id);
        await fails(lease.store(), "SESSION_LOST");
      } finally {
        await lease.release();
      }
    }),
  );

  it(
    "is not fresh after the machine slept, though its monotonic clock stood still",
    onBed(async (bed) => {
      const clock = movableClock();
      const lease = new Lease(bed.store.datasets, clock, systemRandom.id(), "laptop");
      try {
        await lease.store();
        assert.equal(lease.isFresh, true);
        clock.asleepMs += OUTLIVED_MS;
        assert.equal(lease.isFresh, false);
        await lease.store();
        assert.equal(lease.isFresh, true);
      } finally {
        await lease.release();
      }
    }),
  );
});

describe("a sweep", () => {
  it(
    "that stood still before it removes something, and was taken for dead, removes nothing more",
    onBed(async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      const { digest } = await bed.push({ tags: [tagged("v1")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const [slow, other] = [new Pruner(bed), new Pruner(bed)];
      const store = halted(bed.store, "blocks", "stat", async () => {
        await other.outlive();
        await other.run();
        await bed.push({ tags: [tagged("v2")], rehash: true });
        slow.clock.aheadMs += OUTLIVED_MS;
      });
      const options = { graceMs: 0, repackBelow: 0, watch: slow.watch };
      await fails(prune({ ...slow.engine, store }, options), "SESSION_LOST");
      await bed.read(digest);
    }),
  );
});

describe("a tag that was pointed at a version by who stood still and was taken for dead", () => {
  it(
    "goes back when the version was pruned meanwhile: of a rollback",
    onBed(async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      await bed.push({ tags: [tagged("v1")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const [pruner, clock] = [new Pruner(bed), movableClock()];
      const store = halted(bed.store, "datasets", "createHistory", async () => {
        await pruner.outlive();
        assert.equal((await pruner.run()).removed.blocks, 1);
        clock.aheadMs += OUTLIVED_MS;
      });
      await fails(rollback({ ...bed.engine, store, clock }, tagged("v1"), SAYS), "VERSION_NOT_FOUND");
      const { record } = await readHead(bed.store.datasets, BED_TAG.name, tagged("v1").tag, {});
      assert.equal(record?.state, "deleted");
      await pruner.run();
    }),
  );

  it(
    "stays when it was not: of a rollback",
    onBed(async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      const { digest } = await bed.push({ tags: [tagged("v1")] });
      await bed.push({ tags: [tagged("v2")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const [pruner, clock] = [new Pruner(bed), movableClock()];
      const store = halted(bed.store, "datasets", "createHistory", async () => {
        await pruner.outlive();
        await pruner.run();
        clock.aheadMs += OUTLIVED_MS;
      });
      const { record } = await rollback({ ...bed.engine, store, clock }, tagged("v1"), SAYS);
      assert.equal(record.digest, digest);
      await bed.read(digest);
    }),
  );

  it(
    "goes back to what it pointed at, with what was said of that: of a push",
    onBed(async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      await bed.push({ labels: { note: "kept" } });
      const before = (await readHead(bed.store.datasets, BED_TAG.name, BED_TAG.tag, {})).record;
      bed.write("file", noise(2, 40 * KiB));
      const [pruner, clock] = [new Pruner(bed), movableClock()];
      const store = halted(bed.store, "datasets", "createHistory", async () => {
        await pruner.outlive();
        assert.ok((await pruner.run()).removed.blocks > 0);
        clock.aheadMs += OUTLIVED_MS;
      });
      // The push begins anew, and is published in the end.
      await bed.push({ labels: { expires: "2026-01-01" } }, { store, clock });
      const record = await bed.store.datasets.getHistory(BED_TAG.name, BED_TAG.tag, 3);
      assert.match(record?.message ?? "", /^taken back/);
      assert.deepEqual(
        [record?.digest, record?.labels, record?.files, record?.bytes],
        [before?.digest, before?.labels, before?.files, before?.bytes],
      );
      const { value } = (await bed.store.datasets.getDataset(BED_TAG.name)) ?? assert.fail();
      const taken = await takenEntries(bed.store.datasets, value, BED_TAG.tag, {});
      assert.deepEqual(
        [1, 2, 3, 4].map((number) => isBelow(taken, number)),
        [false, true, false, false],
      );
    }),
  );
});

describe("an epoch", () => {
  it(
    "is not made by who stood still while another removed its condemned names",
    onBed(async (bed) => {
      bed.write("file", noise(1, 20 * KiB));
      await bed.push({ tags: [tagged("v1")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const [slow, other] = [new Pruner(bed), new Pruner(bed)];
      const broken = new Error("stopped");
      const store = halted(bed.store, "datasets", "putEpoch", async () => {
        await other.outlive();
        const options = { graceMs: OUTLIVED_MS, repackBelow: 0, watch: other.watch };
        // It finds that the other is dead, and dies before it marks; the next one may look after what the dead left behind.
        for (let runs = 0; runs < 2; runs++) {
          const dying = halted(bed.store, "datasets", "putCondemned", () => Promise.reject(broken));
          await assert.rejects(prune({ ...other.engine, store: dying }, options), broken);
        }
        slow.clock.aheadMs += OUTLIVED_MS;
      });
      const options = { graceMs: OUTLIVED_MS, repackBelow: 0, watch: slow.watch };
      await prune({ ...slow.engine, store }, options).catch(() => undefined);
      assert.equal((await other.run()).removed.blocks, 1);
    }),
  );
});

describe("a prune that repacks", () => {
  it(
    "beside one that has marked since and sweeps, leads no plan to a block that lay there already",
    onBed(async (bed) => {
      for (let file = 0; file < 8; file++) bed.write(`f${file}`, noise(file, 20 * KiB));
      await bed.push({ tags: [tagged("v1")] });
      for (let file = 1; file < 8; file++) fs.rmSync(path.join(bed.source, `f${file}`));
      const { digest } = await bed.push({ tags: [tagged("v2")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const [dead, slow, other] = [new Pruner(bed), new Pruner(bed), new Pruner(bed)];
      const broken = new Error("stopped");
      const dying = halted(bed.store, "blocks", "flush", () => Promise.reject(broken));
      const repacking = { graceMs: 0, repackBelow: 0.5 };
      const options = { ...repacking, watch: dead.watch };
      await assert.rejects(prune({ ...dead.engine, store: dying }, options), broken);
      const removal = Promise.withResolvers<undefined>();
      const slowly = Promise.withResolvers<undefined>();
      const sweeping = halted(bed.store, "blocks", "remove", async () => {
        removal.resolve(undefined);
        await slowly.promise;
      });
      const sweep = async (): Promise<PruneResult> => {
        try {
          const swift = { graceMs: 0, repackBelow: 0, watch: other.watch };
          return await prune({ ...other.engine, store: sweeping }, swift);
        } finally {
          removal.resolve(undefined);
        }
      };
      let swept: Promise<PruneResult> | undefined;
      const store = halted(bed.store, "blocks", "read", async () => {
        swept = sweep();
        await removal.promise;
      });
      try {
        await prune({ ...slow.engine, store }, { ...repacking, watch: slow.watch });
      } finally {
        slowly.resolve(undefined);
      }
      assert.equal((await swept)?.removed.blocks, 1);
      await bed.read(digest);
    }),
  );
});
