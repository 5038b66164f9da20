/** Prunes of one process: one at a time, and what became of them. */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Engine } from "../engine.ts";
import type { PruneOptions, PruneResult } from "./contract.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { prune } from "./prune.ts";

/** How long what nothing needs stays, when nobody says, in milliseconds. */
const PRUNE_GRACE_MS_DEFAULT = 24 * 3600 * 1000;
/** A block of which less than this share is needed is repacked, when nobody says. */
const REPACK_BELOW_DEFAULT = 0.5;

/** How to prune; what is not said is as the pruner has it. */
export interface PruneSettings extends Omit<PruneOptions, "watch" | "graceMs" | "repackBelow"> {
  readonly graceMs?: number | undefined;
  readonly repackBelow?: number | undefined;
}

/** What prunes came to since the process began; dry runs do not count. */
export interface PruneFigures {
  readonly runs: number;
  /** Interrupted ones are none. */
  readonly failures: number;
  readonly removedObjects: number;
  readonly removedBytes: number;
  readonly repackedBytes: number;
  readonly isUnderWay: boolean;
  /** The last one that succeeded, and when it ended, by wall time in milliseconds since 1970. */
  readonly last: { readonly result: PruneResult; readonly endedMs: number } | undefined;
}

/** What a pruner is made of. */
export interface PrunerParts {
  readonly engine: Engine;
  readonly log: Log;
  readonly graceMs?: number | undefined;
}

/** Prunes one store, one prune at a time. Lives as long as the process, and so does what it knows of leases. */
export class Pruner {
  readonly #parts: PrunerParts;
  readonly #watch: LeaseWatch;
  #figures: PruneFigures = {
    ...{ runs: 0, failures: 0, removedObjects: 0, removedBytes: 0, repackedBytes: 0 },
    ...{ isUnderWay: false, last: undefined },
  };

  constructor(parts: PrunerParts) {
    this.#parts = parts;
    this.#watch = new LeaseWatch(parts.engine.clock);
  }

  get figures(): PruneFigures {
    return this.#figures;
  }

  /**
   * Prunes; `who` asks for it, for the log. Errors: OBJECT_CONFLICT while another prune of this process is under way; those of
   * prune().
   */
  async run(who: string, settings: PruneSettings): Promise<PruneResult> {
    if (this.#figures.isUnderWay)
      throw new AetherError(
        "OBJECT_CONFLICT",
        "a prune is under way here already: try again when it is done",
      );
    this.#figures = { ...this.#figures, isUnderWay: true };
    try {
      const { engine } = this.#parts;
      const graceMs = settings.graceMs ?? this.#parts.graceMs ?? PRUNE_GRACE_MS_DEFAULT;
      const repackBelow = settings.repackBelow ?? REPACK_BELOW_DEFAULT;
      const result = await prune(engine, { ...settings, watch: this.#watch, graceMs, repackBelow });
      this.#tell(who, settings, result);
      return result;
    } catch (error) {
      this.#tellFailure(who, settings, error);
      throw error;
    } finally {
      this.#figures = { ...this.#figures, isUnderWay: false };
    }
  }

  /** Whether one of these pushes, which a prune waited for in vain, may still be under way. Errors: those of the store. */
  async isHeldUp({ holders }: PruneResult, signal: AbortSignal): Promise<boolean> {
    const living = await this.#watch.living(this.#parts.engine.store.datasets, { signal });
    return holders.some(({ holder, since }) =>
      living.some((lease) => lease.holder === holder && lease.created === since),
    );
  }

  #tell(who: string, { dryRun = false }: PruneSettings, result: PruneResult): void {
    this.#parts.log.info({ who, dryRun, ...factsOf(result) }, "pruned");
    if (dryRun) return;
    const { removed, repacked } = result;
    const before = this.#figures;
    this.#figures = {
      ...before,
      runs: before.runs + 1,
      removedObjects: before.removedObjects + removed.blocks + removed.others,
      removedBytes: before.removedBytes + removed.blockBytes,
      repackedBytes: before.repackedBytes + repacked.blockBytes,
      last: { result, endedMs: this.#parts.engine.clock.nowMs() },
    };
  }

  #tellFailure(who: string, { dryRun = false, signal }: PruneSettings, error: unknown): void {
    const { log } = this.#parts;
    if (signal?.aborted === true || codeOf(error) === "CANCELLED") {
      log.info({ who, dryRun }, "a prune was interrupted: the next one goes on");
      return;
    }
    log.error({ who, dryRun, code: codeOf(error), err: error }, "a prune failed");
    if (dryRun) return;
    const { runs, failures } = this.#figures;
    this.#figures = { ...this.#figures, runs: runs + 1, failures: failures + 1 };
  }
}

/** A run's figures for a line of the log. */
function factsOf(result: PruneResult): Readonly<Record<string, unknown>> {
  const { versions, kept, unusedBytes, removed, condemned, repacked, ripeInMs, holders, seconds } = result;
  return {
    versions,
    keptBytes: kept.blockBytes,
    unusedBytes,
    removedBlocks: removed.blocks,
    removedBytes: removed.blockBytes,
    removedOthers: removed.others,
    condemnedBlocks: condemned.blocks,
    condemnedBytes: condemned.blockBytes,
    condemnedOthers: condemned.others,
    repackedBlocks: repacked.blocks,
    repackedBytes: repacked.blockBytes,
    ripeInSeconds: ripeInMs === undefined ? undefined : Math.ceil(ripeInMs / 1000),
    heldUpBy: holders.length === 0 ? undefined : holders,
    seconds,
  };
}
