/**
 * Removes from a store what nothing needs. Beside pushes, pulls and other prunes, with no lock over them: docs/format.md §9.1 says
 * why nothing is lost.
 */
import {
  DELETED_MAX,
  type DeletedName,
  type EpochRecord,
  type ObjectName,
} from "../../format/prune-record.ts";
import type { LeaseRecord } from "../../format/record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { deletedDatasets, removeDeleted } from "../deletion.ts";
import type { Engine } from "../engine.ts";
import { Lease } from "../ingest/lease.ts";
import { Pace } from "../pace.ts";
import type { PruneCount, PruneHolder, PruneOptions, PruneResult } from "./contract.ts";
import { dropOldEpochs, EpochWriter, readEpoch, setEpochState } from "./epochs.ts";
import type { LiveSet } from "./live-set.ts";
import { Repacker, type Repacked } from "./repack.ts";
import { expireTags } from "./roots.ts";
import {
  listPartlyLive,
  surveyLive,
  takeInventory,
  type Inventory,
  type PartlyLive,
  type Survey,
  type SurveyOptions,
} from "./survey.ts";
import { sweepEpoch } from "./sweep.ts";

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
  const result =
    options.dryRun === true ? await new PruneRound(engine, options).look() : await work(engine, options);
  return { ...result, seconds: (engine.clock.elapsedMs() - startMs) / 1000 };
}

type Outcome = Omit<PruneResult, "seconds">;

async function work(engine: Engine, options: PruneOptions): Promise<Outcome> {
  const expired = [];
  const call = options.signal === undefined ? {} : { signal: options.signal };
  for await (const tag of expireTags(engine, { ...call, publisher: HOLDER })) expired.push(tag);
  const first = { ...(await new PruneRound(engine, options).work()), expiredTags: expired.length };
  // Without a grace time what was condemned may go at once.
  if (options.graceMs > 0 || first.ripeInMs === undefined || first.holders.length > 0) return first;
  const second = await new PruneRound(engine, options).work();
  return {
    ...second,
    expiredTags: expired.length,
    removed: added(first.removed, second.removed),
    removedDatasets: first.removedDatasets + second.removedDatasets,
    repacked: first.repacked,
  };
}

/** One look through the store, with what comes of it; under a lease of its own, which names what it condemns. */
class PruneRound {
  readonly #engine: Engine;
  readonly #options: PruneOptions;
  readonly #call: CallOptions;
  readonly #lease: Lease;
  readonly #pace: Pace;
  /** The epoch that is swept was swept in part by somebody who died. */
  #isResumed = false;
  /** What is needed, as it was found last. */
  #live: LiveSet | undefined;

  constructor(engine: Engine, options: PruneOptions) {
    const { store, clock, random } = engine;
    this.#engine = engine;
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
    this.#lease = new Lease(store.datasets, clock, random.id(), HOLDER);
    // Of what it moves, it claims the new blocks; the rest is what others need.
    this.#lease.epoch = null;
    this.#pace = new Pace(clock, options.bytesPerSecond ?? Infinity);
  }

  /** What work() would condemn. */
  async look(): Promise<Outcome> {
    const { watch } = this.#options;
    const leases = await watch.living(this.#engine.store.datasets, this.#call, { onlyLooks: true });
    const survey = await surveyLive(this.#engine, leases, this.#options);
    const inventory = await this.#inventory(survey.live, leases, () => Promise.resolve());
    return { ...outcomeOf(inventory, survey), condemned: inventory.dead };
  }

  async work(): Promise<Outcome> {
    try {
      await this.#lease.store(this.#call);
      return await this.#round();
    } finally {
      this.#live?.clear();
      await this.#lease.release();
    }
  }

  async #round(): Promise<Outcome> {
    const { datasets } = this.#engine.store;
    const { sweeping, next, floors, ripeInMs, holders } = await this.#nextEpoch();
    const swept = sweeping === undefined ? undefined : await this.#sweep(sweeping);
    if (next === undefined) {
      const { survey, leases } = await this.#survey([]);
      const inventory = await this.#inventory(survey.live, leases, () => Promise.resolve());
      return { ...outcomeOf(inventory, survey), ripeInMs, holders };
    }
    const deleted = await listDeleted(this.#engine, this.#call);
    // What was marked for the sweep will do, unless datasets were deleted since, which were not to go with it.
    const { survey, leases } =
      swept === undefined || deleted.length > 0 ? await this.#survey(deleted) : swept;
    const repacked = await this.#repack(survey.live, next);
    const writer = new EpochWriter(datasets, this.#lease.id, this.#call);
    const inventory = await this.#inventory(survey.live, leases, (name) => writer.add(name));
    const markedMs = await this.#storeTimeMs();
    const isMarked = await writer.finish(next, { markedMs, datasets: deleted, floors });
    if (isMarked) await dropOldEpochs(datasets, this.#call);
    return {
      ...outcomeOf(inventory, survey),
      removed: swept?.removed ?? NOTHING,
      removedDatasets: swept?.removedDatasets ?? 0,
      repacked,
      condemned: inventory.dead,
      ripeInMs: isMarked ? this.#options.graceMs : undefined,
    };
  }

  /** Removes what the epoch, which is being swept under this run's lease, condemned. */
  async #sweep(epoch: EpochRecord): Promise<Swept> {
    const { datasets } = this.#engine.store;
    let removedDatasets = 0;
    // Before anything of theirs is taken: from now on nobody brings them back, or they came back and are seen below.
    for (const { name, incarnation, time } of epoch.datasets) {
      const check = (): Promise<void> => this.#keepFresh();
      if (await removeDeleted(this.#engine, name, incarnation, { ...this.#call, check, time }))
        removedDatasets++;
    }
    const { survey, leases } = await this.#surveyFor(epoch);
    // What is let go is told for good before it is taken.
    await datasets.flush(this.#call);
    const removed = await sweepEpoch(this.#engine, epoch, survey.live, this.#lease, this.#options);
    await datasets.flush(this.#call);
    await this.#lease.store(this.#call);
    await setEpochState(datasets, epoch.number, isSweptBy(this.#lease.id), DONE, this.#call);
    return { survey, leases, removed, removedDatasets };
  }

  async #keepFresh(): Promise<void> {
    if (!this.#lease.isFresh) await this.#lease.store(this.#call);
  }

  /** Leases, then what is needed; `deleted` datasets need nothing. */
  async #survey(deleted: readonly DeletedName[], floors?: SurveyOptions["floors"]): Promise<Surveyed> {
    const gone = new Set(deleted.map(({ incarnation }) => incarnation));
    const leases = await this.#others();
    // Of millions of frames there is room for one set.
    this.#live?.clear();
    const survey = await surveyLive(this.#engine, leases, { ...this.#options, gone, floors });
    this.#live = survey.live;
    return { leases, survey };
  }

  /** What is needed while an epoch is swept. When that cannot be told, it may wait again: nothing of it is removed yet. */
  async #surveyFor(epoch: EpochRecord): Promise<Surveyed> {
    try {
      return await this.#survey([], epoch.floors ? "released" : "all");
    } catch (error) {
      const { datasets } = this.#engine.store;
      if (!this.#isResumed)
        await setEpochState(datasets, epoch.number, isSweptBy(this.#lease.id), MARKED, {});
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
    if (found === undefined) return { next: 1, floors: true, holders: [] };
    const next = found.number + 1;
    if (found.state === "done") return { next, floors: found.floors, holders: [] };
    const ripeInMs = Math.max(0, found.markedMs + this.#options.graceMs - (await this.#storeTimeMs()));
    if (found.state === "marked" && ripeInMs > 0) return { ripeInMs, floors: false, holders: [] };
    const holders = await this.#waitFor(found);
    if (holders.length > 0) return { ripeInMs, floors: false, holders };
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
    return sweeping === undefined
      ? { ripeInMs, floors: false, holders: [] }
      : { sweeping, next, floors: true, holders: [] };
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

  async #repack(live: LiveSet, epoch: number): Promise<Repacked> {
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
    const [engine, lease, pace] = [this.#engine, this.#lease, this.#pace];
    const parts = { engine, live, lease, epoch, pace, onProgress };
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

interface Surveyed {
  readonly survey: Survey;
  readonly leases: readonly LeaseRecord[];
}

interface Swept extends Surveyed {
  readonly removed: PruneCount;
  readonly removedDatasets: number;
}

interface NextEpoch {
  readonly sweeping?: EpochRecord;
  /** undefined: the newest epoch is not done, so none may be marked. */
  readonly next?: number;
  /** Whether floors will say of all that was removed before the next one is marked. */
  readonly floors: boolean;
  readonly ripeInMs?: number;
  readonly holders: readonly PruneHolder[];
}

const MARKED = { state: "marked", sweeper: null } as const;
const DONE = { state: "done", sweeper: null, floors: true } as const;

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

function outcomeOf({ kept, unusedBytes }: Inventory, { versions, incomplete }: Survey): Outcome {
  const nothing = { removed: NOTHING, condemned: NOTHING, repacked: NOTHING_REPACKED };
  const counts = { expiredTags: 0, removedDatasets: 0, holders: [], ripeInMs: undefined };
  return { versions, incomplete, kept, unusedBytes, ...nothing, ...counts };
}

/** The deleted datasets that may come back still, as many as an epoch takes. */
async function listDeleted(engine: Engine, options: CallOptions): Promise<DeletedName[]> {
  const found: DeletedName[] = [];
  for await (const { name, incarnation, time } of deletedDatasets(engine, options)) {
    found.push({ name, incarnation, time });
    if (found.length === DELETED_MAX) break;
  }
  return found;
}

function added(one: PruneCount, other: PruneCount): PruneCount {
  return {
    blocks: one.blocks + other.blocks,
    blockBytes: one.blockBytes + other.blockBytes,
    others: one.others + other.others,
  };
}
