/** Tells which leases are dead. docs/format.md §8.5 */
import type { Clock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import type { LeaseRecord } from "../../format/record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";

/** A holder cannot ask for longer: what a record says is not to be trusted with more. */
const TTL_SECONDS_MAX = 48 * 3600;
/** Leases that are remembered. */
const LEASES_MAX = 100_000;

interface Sighting {
  readonly beat: number;
  /** When this beat was seen first, by this process's clock. */
  readonly sinceMs: number;
  readonly ttlMs: number;
}

/** Watches leases by this process's own clock: no two clocks are compared. One for as long as the process lives. */
export class LeaseWatch {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Sighting>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The leases that are alive, as far as can be told; those of silent holders are removed first, so that these find out, unless
   * the caller `onlyLooks`. Errors: those of the store.
   */
  async living(
    datasets: DatasetStore,
    options: CallOptions,
    { onlyLooks = false }: { readonly onlyLooks?: boolean } = {},
  ): Promise<LeaseRecord[]> {
    const living: LeaseRecord[] = [];
    const there = new Set<string>();
    for await (const lease of datasets.listLeases(options)) {
      there.add(lease.id);
      if (!this.#isDead(lease)) living.push(lease);
      else if (!onlyLooks && !(await takeAway(datasets, lease, options))) living.push(lease);
    }
    for (const id of this.#seen.keys()) if (!there.has(id)) this.#seen.delete(id);
    return living;
  }

  #isDead({ id, beat, ttlSeconds }: LeaseRecord): boolean {
    const nowMs = this.#clock.elapsedMs();
    const seen = this.#seen.get(id);
    if (seen?.beat === beat) return nowMs - seen.sinceMs >= seen.ttlMs;
    if (this.#seen.size < LEASES_MAX || seen !== undefined)
      this.#seen.set(id, { beat, sinceMs: nowMs, ttlMs: Math.min(ttlSeconds, TTL_SECONDS_MAX) * 1000 });
    return false;
  }
}

/**
 * Removes a silent holder's lease: false when it was renewed since the list. By compare-and-set first, and with a record that the
 * holder never writes: one that wakes up at this moment either renews before and is seen, or finds out.
 */
async function takeAway(
  datasets: DatasetStore,
  { id, beat }: LeaseRecord,
  options: CallOptions,
): Promise<boolean> {
  const found = await datasets.getLease(id, options);
  if (found === undefined) return true;
  if (found.value.beat !== beat) return false;
  const ttlSeconds = found.value.ttlSeconds === 1 ? 2 : 1;
  try {
    await datasets.replaceLease({ ...found.value, ttlSeconds }, found.revision, options);
  } catch (error) {
    if (codeOf(error) === "OBJECT_CONFLICT") return false;
    throw error;
  }
  await datasets.removeLease(id, options);
  return true;
}
