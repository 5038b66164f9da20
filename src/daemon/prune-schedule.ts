/** Prunes that a hub makes by itself. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { PruneResult } from "../dataset/prune/contract.ts";
import type { Pruner } from "../dataset/prune/pruner.ts";

/** When a hub prunes. */
export interface PruneScheduleOptions {
  readonly pruner: Pick<Pruner, "run" | "isHeldUp">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Between two prunes, in milliseconds; 0: it never prunes. */
  readonly intervalMs: number;
}

/** A hub that is started anew every day still prunes. */
const FIRST_MS_MAX = 3600 * 1000;
/** How often pushes that hold a prune up are looked at. */
const LOOK_MS = 3 * 60 * 1000;
/** Timers take no longer. */
const SLEEP_MS_MAX = 24 * 3600 * 1000;
/** What is condemned is ripe by the store's clock, which may be read a little later. */
const SLACK_MS = 1000;

/**
 * Prunes every now and then until the signal aborts: first within an interval (or an hour), then after 0.9 to 1.1 of it each
 * time, so that hubs that share a store do so at different times; not before what is condemned may be removed, and as soon as
 * pushes that held it up have ended. Never rejects: a prune that failed is in the log, and is tried again.
 */
export async function runPruneSchedule(options: PruneScheduleOptions, signal: AbortSignal): Promise<void> {
  const { pruner, random, intervalMs } = options;
  if (intervalMs === 0) return;
  try {
    await pause(options, random.fraction() * Math.min(intervalMs, FIRST_MS_MAX), signal);
    for (;;) {
      const nextMs = intervalMs * (0.9 + random.fraction() / 5);
      const result = await pruner.run("schedule", { signal }).catch(() => undefined);
      signal.throwIfAborted();
      if (result !== undefined && result.holders.length > 0)
        await pauseWhileHeldUp(options, result, nextMs, signal);
      else await pause(options, Math.max(nextMs, (result?.ripeInMs ?? -SLACK_MS) + SLACK_MS), signal);
    }
  } catch (error) {
    if (!signal.aborted) options.log.error({ err: error }, "the prune schedule ended");
  }
}

/** At most `ms`, and until the pushes have ended. */
async function pauseWhileHeldUp(
  options: PruneScheduleOptions,
  result: PruneResult,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= LOOK_MS) {
    await pause(options, Math.min(LOOK_MS, leftMs), signal);
    try {
      if (!(await options.pruner.isHeldUp(result, signal))) return;
    } catch (error) {
      signal.throwIfAborted();
      options.log.warn({ err: error }, "the pushes that hold a prune up could not be looked at");
    }
  }
}

async function pause({ clock }: PruneScheduleOptions, ms: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= SLEEP_MS_MAX)
    await clock.sleep(Math.min(leftMs, SLEEP_MS_MAX), signal);
}
