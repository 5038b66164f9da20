/**
 * Removes from a store what nothing needs. Beside pushes, pulls and other prunes, with no lock over them: docs/format.md §9.1 says
 * why nothing is lost.
 */
import type { EpochRecord, ObjectName } from "../../format/prune-record.ts";
import type { LeaseRecord } from "../../format/record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { Lease } from "../ingest/lease.ts";
import type { PruneCount, PruneHolder, PruneOptions, PruneResult } from "./contract.ts";
import { dropOldEpochs, EpochWriter, readEpoch, setEpochState } from "./epochs.ts";
import type { LiveSet } from "./live-set.ts";
import { Repacker, type Repacked } from "./repack.ts";
import { listPartlyLive, surveyLive, takeInventory, type Inventory, type PartlyLive } from "./survey.ts";
import { sweepEpoch } from "./sweep.ts";
import { Throttle } from "./throttle.ts";

/** Who holds a pruner's lease. */
const HOLDER = "prune";
/** How often pushes that are waited for are looked at. */
const POLL_MS = 2000;
const NOTHING = { blocks: 0, blockBytes: 0, others: 0 } as const;
const NOTHING_REPACKED = { blocks: 0, blockBytes: 0, newBytes: 0 } as const;

/**
 * Removes what an earlier prune condemned, if it is time, and nothing needs it yet; repacks blocks of which little is
 * needed; condemns what nothing needs now. May be stopped at any time, and begun again.
 * Errors: those of reading a version that stays, since what it needs cannot be told then: nothing is removed. SESSION_LOST when the
 * process stood still for too long. Those of the store.
 */
export async function prune(engine: Engine, options: PruneOptions): Promise<PruneResult> {
  const startMs = engine.clock.elapsedMs();
  const run = new PruneRun(engine, options);
  const result = options.dryRun === true ? await run.look() : await run.work();
  return { ...result, seconds: (engine.clock.elapsedMs() - startMs) / 1000 };
}

type Outcome = Omit<PruneResult, "seconds">;

/** One call of prune. */
class PruneRun {
  readonly #engine: Engine;
  readonly #options: PruneOptions;
  readonly #call: CallOptions;
  readonly #lease: Lease;
  readonly #throttle: Throttle;
  /** The epoch that is swept was swept in part by somebody who died. */
  #isResumed = false;

  constructor(engine: Engine, options: PruneOptions) {
    const { store, clock, random } = engine;
    this.#engine = engine;
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
    this.#lease = new Lease(store.datasets, clock, random.id(), HOLDER);
    // Of what it moves, it claims the new blocks; the rest is what others need.
    this.#lease.epoch = null;
    this.#throttle = new Throttle(clock, options.bytesPerSecond);
  }

  /** What work() would condemn. */
  async look(): Promise<Outcome> {
    const { watch } = this.#options;
    const leases = await watch.living(this.#engine.store.datasets, this.#call);
    const { live, versions } = await surveyLive(this.#engine, leases, this.#options);
    const inventory = await this.#inventory(live, leases, () => Promise.resolve());
    return { ...outcomeOf(inventory, versions), condemned: inventory.dead };
  }

  async work(): Promise<Outcome> {
    try {
      await this.#lease.store(this.#call);
      const first = await this.#round();
      // Without a grace time what was condemned may go at once.
      if (this.#options.graceMs > 0 || first.condemned.blocks + first.condemned.others === 0) return first;
      const second = await this.#round();
      return { ...second, removed: added(first.removed, second.removed), repacked: first.repacked };
    } finally {
      await this.#lease.release();
    }
  }

  async #round(): Promise<Outcome> {
    const { datasets } = this.#engine.store;
    const { sweeping, next, ripeInMs, holders } = await this.#nextEpoch();
    const leases = await this.#others();
    const { live, versions } = await this.#surveyFor(sweeping, leases);
    let removed: PruneCount = NOTHING;
    if (sweeping !== undefined) {
      removed = await sweepEpoch(this.#engine, sweeping, live, this.#lease, this.#options);
      await datasets.flush(this.#call);
      await this.#lease.store(this.#call);
      await setEpochState(datasets, sweeping.number, isSweptBy(this.#lease.id), DONE, this.#call);
    }
    if (next === undefined) {
      const inventory = await this.#inventory(live, leases, () => Promise.resolve());
      return { ...outcomeOf(inventory, versions), removed, condemned: NOTHING, ripeInMs, holders };
    }
    await dropOldEpochs(datasets, this.#call);
    const repacked = await this.#repack(live);
    const writer = new EpochWriter(datasets, this.#lease.id, this.#call);
    const inventory = await this.#inventory(live, leases, (name) => writer.add(name));
    const isMarked = await writer.finish(next, await this.#storeTimeMs());
    return {
      ...outcomeOf(inventory, versions),
      removed,
      repacked,
      condemned: inventory.dead,
      ripeInMs: isMarked ? this.#options.graceMs : undefined,
    };
  }

  /** What is needed. When that cannot be told, the epoch may wait again: nothing of it is removed yet. */
  async #surveyFor(
    sweeping: EpochRecord | undefined,
    leases: readonly LeaseRecord[],
  ): Promise<{ readonly live: LiveSet; readonly versions: number }> {
    try {
      return await surveyLive(this.#engine, leases, this.#options);
    } catch (error) {
      const { datasets } = this.#engine.store;
      if (sweeping !== undefined && !this.#isResumed)
        await setEpochState(datasets, sweeping.number, isSweptBy(this.#lease.id), MARKED, {});
      throw error;
    }
  }

  /**
   * The epoch that is to be swept now, under this run's lease, and the number of the one that may be marked after it; or what
   * stands against it.
   */
  async #nextEpoch(): Promise<NextEpoch> {
    const { datasets } = this.#engine.store;
    const found = (await readEpoch(datasets, this.#call))?.value;
    if (found === undefined) return { next: 1, holders: [] };
    const next = found.number + 1;
    if (found.state === "done") return { next, holders: [] };
    const ripeInMs = Math.max(0, found.markedMs + this.#options.graceMs - (await this.#storeTimeMs()));
    if (found.state === "marked" && ripeInMs > 0) return { ripeInMs, holders: [] };
    const holders = await this.#waitFor(found);
    if (holders.length > 0) return { ripeInMs, holders };
    this.#isResumed = found.state === "sweeping";
    const isFree = (epoch: EpochRecord): boolean =>
      epoch.state === found.state && epoch.sweeper === found.sweeper;
    const sweeping = await setEpochState(
      datasets,
      found.number,
      isFree,
      { state: "sweeping", sweeper: this.#lease.id },
      this.#call,
    );
    // Somebody else was quicker: theirs to do.
    return sweeping === undefined ? { ripeInMs, holders: [] } : { sweeping, next, holders: [] };
  }

  /** Waits for whoever may build on what the epoch condemned without knowing of it; gives those that remain. */
  async #waitFor(epoch: EpochRecord): Promise<PruneHolder[]> {
    const { clock } = this.#engine;
    const endMs = clock.elapsedMs() + (this.#options.waitMs ?? 0);
    for (;;) {
      const leases = (await this.#others()).filter((lease) => holdsUp(lease, epoch));
      const leftMs = endMs - clock.elapsedMs();
      if (leases.length === 0 || leftMs <= 0)
        return leases.map(({ holder, created }) => ({ holder, since: created }));
      this.#options.onProgress?.({ phase: "wait", done: leases.length });
      await clock.sleep(Math.min(POLL_MS, leftMs), this.#options.signal);
    }
  }

  /** The living leases but for this run's own. */
  async #others(): Promise<LeaseRecord[]> {
    const { watch } = this.#options;
    const living = await watch.living(this.#engine.store.datasets, this.#call);
    return living.filter(({ id }) => id !== this.#lease.id);
  }

  async #inventory(
    live: LiveSet,
    leases: readonly LeaseRecord[],
    onDead: (name: ObjectName) => Promise<void>,
  ): Promise<Inventory> {
    return takeInventory(this.#engine, live, leases, onDead, this.#options);
  }

  async #repack(live: LiveSet): Promise<Repacked> {
    const { repackBelow, repackBytesMax = Infinity, onProgress } = this.#options;
    if (repackBelow <= 0) return NOTHING_REPACKED;
    const partly = await listPartlyLive(this.#engine, live, repackBelow, this.#options);
    const chosen: PartlyLive[] = [];
    let bytes = 0;
    // What frees most for what it costs goes first.
    for (const block of partly.toSorted((one, other) => shareOf(one) - shareOf(other))) {
      bytes += block.bytes;
      if (bytes > repackBytesMax) break;
      chosen.push(block);
    }
    if (chosen.length === 0) return NOTHING_REPACKED;
    const parts = { engine: this.#engine, live, lease: this.#lease, throttle: this.#throttle, onProgress };
    return await new Repacker(parts, this.#call).run(chosen);
  }

  /** What the store's clock says: the time of something that was just written. */
  async #storeTimeMs(): Promise<number> {
    await this.#lease.store(this.#call);
    const { datasets } = this.#engine.store;
    const timeMs = await datasets.leaseTimeMs(this.#lease.id, this.#call);
    return Math.floor(timeMs ?? this.#engine.clock.nowMs());
  }
}

interface NextEpoch {
  readonly sweeping?: EpochRecord;
  /** undefined: the newest epoch is not done, so none may be marked. */
  readonly next?: number;
  readonly ripeInMs?: number;
  readonly holders: readonly PruneHolder[];
}

const MARKED = { state: "marked", sweeper: null } as const;
const DONE = { state: "done", sweeper: null } as const;

function isSweptBy(lease: string): (epoch: EpochRecord) => boolean {
  return ({ state, sweeper }) => state === "sweeping" && sweeper === lease;
}

/** Whether the epoch must not be swept while the lease lives: its holder began before, or sweeps it. docs/format.md §9.1 */
function holdsUp({ id, epoch }: LeaseRecord, { number, sweeper }: EpochRecord): boolean {
  return id === sweeper || (epoch !== null && epoch < number);
}

function shareOf({ liveBytes, bytes }: PartlyLive): number {
  return liveBytes / bytes;
}

function outcomeOf({ kept, unusedBytes }: Inventory, versions: number): Outcome {
  const nothing = { removed: NOTHING, condemned: NOTHING, repacked: NOTHING_REPACKED };
  return { versions, kept, unusedBytes, ...nothing, ripeInMs: undefined, holders: [] };
}

function added(one: PruneCount, other: PruneCount): PruneCount {
  return {
    blocks: one.blocks + other.blocks,
    blockBytes: one.blockBytes + other.blockBytes,
    others: one.others + other.others,
  };
}
