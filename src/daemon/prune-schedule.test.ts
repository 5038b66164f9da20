import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AetherError } from "../base/errors.ts";
import { SILENT_LOG } from "../base/log.ts";
import type { PruneResult } from "../dataset/prune/contract.ts";
import { VirtualWorld } from "../dataset/testing/virtual-world.ts";
import { runPruneSchedule, type PruneScheduleOptions } from "./prune-schedule.ts";

const HOUR_MS = 3_600_000;
const NOTHING = { blocks: 0, blockBytes: 0, others: 0 };
const DONE: PruneResult = {
  ...{
    versions: 0,
    incomplete: 0,
    expiredTags: 0,
    removedDatasets: 0,
    kept: NOTHING,
    unusedBytes: 0,
    removed: NOTHING,
    condemned: NOTHING,
  },
  ...{ repacked: { blocks: 0, blockBytes: 0, newBytes: 0 }, ripeInMs: undefined, holders: [], seconds: 0 },
};
const HELD: PruneResult = {
  ...DONE,
  ripeInMs: 0,
  holders: [{ holder: "ann", since: "2026-11-28T00:00:00Z" }],
};

/** Hours at which prunes begin, in virtual time, until `count` have; `answer` says what becomes of each, from 0. */
async function hoursOf(
  answer: (number: number) => PruneResult | Error,
  options: {
    readonly intervalHours: number;
    readonly count: number;
    readonly looks?: number;
    readonly seed?: number;
  },
): Promise<number[]> {
  const { intervalHours, count, seed = 1 } = options;
  const world = new VirtualWorld(seed);
  const stop = new AbortController();
  const startMs = world.nowMs;
  const hours: number[] = [];
  let looks = options.looks ?? 0;
  const pruner: PruneScheduleOptions["pruner"] = {
    run: async () => {
      const given = answer(hours.push((world.nowMs - startMs) / HOUR_MS) - 1);
      if (hours.length === count) stop.abort();
      if (given instanceof Error) throw given;
      return given;
    },
    isHeldUp: async () => looks-- > 0,
  };
  const { clock, id, fraction } = world;
  const schedule = { pruner, clock, random: { id, fraction }, log: SILENT_LOG };
  await world.run([runPruneSchedule({ ...schedule, intervalMs: intervalHours * HOUR_MS }, stop.signal)]);
  return hours;
}

function gapsOf(hours: readonly number[]): number[] {
  return hours.slice(1).map((hour, index) => hour - (hours[index] ?? 0));
}

describe("the prune schedule", () => {
  it("begins within the hour, goes on about every interval, and at other times on another hub", async () => {
    const hours = await hoursOf(() => DONE, { intervalHours: 24, count: 5 });
    assert.ok((hours[0] ?? 2) <= 1, String(hours[0]));
    for (const gap of gapsOf(hours)) assert.ok(gap >= 21.6 && gap <= 26.4, String(gap));
    const other = await hoursOf(() => DONE, { intervalHours: 24, count: 5, seed: 2 });
    assert.notDeepEqual(hours, other);
  });

  it("with an interval longer than a timer's, waits for it", async () => {
    const [gap = 0] = gapsOf(await hoursOf(() => DONE, { intervalHours: 24 * 60, count: 2 }));
    assert.ok(gap >= 24 * 54 && gap <= 24 * 66, String(gap));
  });

  it("does not come before what is condemned may be removed", async () => {
    const [gap = 0] = gapsOf(
      await hoursOf(() => ({ ...DONE, ripeInMs: 48 * HOUR_MS }), { intervalHours: 1, count: 2 }),
    );
    assert.ok(gap >= 48 && gap < 49, String(gap));
  });

  it("after a failure, tries again at the next interval", async () => {
    const hours = await hoursOf(() => new AetherError("OBJECT_MISSING", "gone"), {
      intervalHours: 1,
      count: 3,
    });
    for (const gap of gapsOf(hours)) assert.ok(gap >= 0.9 && gap <= 1.1, String(gap));
  });

  it("held up by pushes, looks at them every few minutes, and prunes when they have ended", async () => {
    const answer = (number: number): PruneResult => (number === 0 ? HELD : DONE);
    const [gap = 0] = gapsOf(await hoursOf(answer, { intervalHours: 24, count: 2, looks: 4 }));
    assert.ok(gap > 0.2 && gap < 0.5, String(gap));
  });

  it("held up by pushes that go on, tries all the same at the next interval", async () => {
    const [gap = 0] = gapsOf(await hoursOf(() => HELD, { intervalHours: 2, count: 2, looks: 1000 }));
    assert.ok(gap >= 1.8 && gap <= 2.3, String(gap));
  });

  it("of no interval, never prunes", async () => {
    assert.deepEqual(await hoursOf(() => DONE, { intervalHours: 0, count: 1 }), []);
  });
});
