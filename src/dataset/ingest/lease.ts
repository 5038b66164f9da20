/** A producer's claim on what it builds on. docs/format.md §8.5 */
import type { Clock } from "../../base/clock.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore, Revision } from "../../store/dataset-store.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { LEASE_BLOCKS_MAX, type LeaseRecord } from "../../format/record.ts";

/** How long a holder may be silent. */
const TTL_SECONDS = 15 * 60;
const RENEW_MS = (TTL_SECONDS * 1000) / 5;

/** Keeps one lease record up to date while its holder works. */
export class Lease {
  readonly #datasets: DatasetStore;
  readonly #id: string;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #created: string;
  readonly #blocks = new Set<Digest>();
  readonly #versions = new Set<Digest>();
  readonly #released = new AbortController();
  #beat = 0;
  /** The beat of the last write that succeeded. */
  #confirmedBeat = -1;
  #stored = -1;
  #epoch: number | null = 0;
  #revision: Revision | undefined;
  /** When the last write that succeeded was begun, by this process's clock, and by wall time. */
  #confirmedMs = -Infinity;
  #confirmedWallMs = -Infinity;
  #last: Promise<void> = Promise.resolve();
  #renewal: Promise<void> | undefined;

  /** Nothing is claimed before the first store(). */
  constructor(datasets: DatasetStore, clock: Clock, id: string, holder: string) {
    this.#datasets = datasets;
    this.#id = id;
    this.#holder = holder;
    this.#clock = clock;
    this.#created = new Date(clock.nowMs()).toISOString();
  }

  /**
   * Claims a block with the next store(), which need not be soon: what keeps blocks that nothing refers to yet is that the lease
   * lives (docs/format.md §9.1). Errors: LIMIT_EXCEEDED.
   */
  addBlock(block: Digest): void {
    this.#blocks.add(block);
    if (this.#blocks.size > LEASE_BLOCKS_MAX) {
      throw new AetherError(
        "LIMIT_EXCEEDED",
        `one push may use at most ${LEASE_BLOCKS_MAX} blocks: give larger --block-size`,
      );
    }
  }

  /** Claims everything that a version needs with the next store(). */
  addVersion(version: Digest): void {
    this.#versions.add(version);
  }

  /** Says which epoch the holder knows of, with the next store(); null: it names all that it needs. docs/format.md §9.1 */
  set epoch(number: number | null) {
    this.#epoch = number;
  }

  /**
   * Whether nobody can have taken the claim for dead: what is done now is done under it. For half the time that others wait,
   * so that the rest is for calls that are under way. By wall time too: the other clock may stand still while the machine
   * sleeps; one that is set forward only makes the holder look again.
   */
  get isFresh(): boolean {
    const ageMs = this.#clock.elapsedMs() - this.#confirmedMs;
    const wallAgeMs = this.#clock.nowMs() - this.#confirmedWallMs;
    return Math.max(ageMs, wallAgeMs) < (TTL_SECONDS * 1000) / 2;
  }

  /** The id of its record. */
  get id(): string {
    return this.#id;
  }

  /** The blocks that are claimed. */
  get blocks(): ReadonlySet<Digest> {
    return this.#blocks;
  }

  /**
   * Writes the claim when it has grown, or renews it. One write at a time. Errors: SESSION_LOST when others took it for dead
   * since it was silent too long, and so removed it; those of the store.
   */
  store(options?: CallOptions): Promise<void> {
    this.#renewal ??= this.#renew();
    this.#last = this.#last.catch(() => undefined).then(() => this.#write(options));
    return this.#last;
  }

  /** Writes the claim unless what it claims is written already. */
  async storeGrown(options?: CallOptions): Promise<void> {
    if (this.#stored !== this.#blocks.size + this.#versions.size) await this.store(options);
  }

  /** Gives everything up. Never rejects: a claim that cannot be removed expires by itself. */
  async release(): Promise<void> {
    this.#released.abort();
    await this.#renewal;
    await this.#last.catch(() => undefined);
    if (this.#beat > 0) await this.#datasets.removeLease(this.#id).catch(() => undefined);
  }

  /** Renews the claim now and then until it is given up. A write that fails is seen by the next store() that is awaited. */
  async #renew(): Promise<void> {
    const { signal } = this.#released;
    for (;;) {
      await this.#clock.sleep(RENEW_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.store().catch(() => undefined);
    }
  }

  async #write(options?: CallOptions): Promise<void> {
    const startMs = this.#clock.elapsedMs();
    const startWallMs = this.#clock.nowMs();
    const blocks = [...this.#blocks];
    const versions = [...this.#versions];
    const record = {
      id: this.#id,
      holder: this.#holder,
      created: this.#created,
      ttlSeconds: TTL_SECONDS,
      beat: this.#beat++,
      blocks,
      versions,
      epoch: this.#epoch,
    };
    try {
      this.#revision = await this.#replace(record, options);
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
      throw new AetherError(
        "SESSION_LOST",
        `${this.#holder} was silent for too long and lost its claim: begin again`,
        {
          cause: error,
        },
      );
    }
    this.#confirmedBeat = record.beat;
    this.#confirmedMs = startMs;
    this.#confirmedWallMs = startWallMs;
    this.#stored = blocks.length + versions.length;
  }

  /** Errors: OBJECT_CONFLICT when others took the claim away. */
  async #replace(record: LeaseRecord, options?: CallOptions): Promise<Revision> {
    try {
      return await this.#datasets.replaceLease(record, this.#revision, options);
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
      // A write that failed may have been made all the same. Who takes the claim away writes no beat of its own.
      const found = await this.#datasets.getLease(record.id, options);
      const isOurs = found?.value.ttlSeconds === TTL_SECONDS && found.value.beat > this.#confirmedBeat;
      if (found === undefined || !isOurs) throw error;
      return await this.#datasets.replaceLease(record, found.revision, options);
    }
  }
}
