/** A producer's claim on what it builds on. docs/format.md §8.5 */
import type { Clock } from "../../base/clock.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";
import { AetherError } from "../../base/errors.ts";
import { LEASE_BLOCKS_MAX } from "../../format/record.ts";

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
  #stored = -1;
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

  /** Claims a block with the next store(). Errors: LIMIT_EXCEEDED. */
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

  /** The blocks that are claimed. */
  get blocks(): ReadonlySet<Digest> {
    return this.#blocks;
  }

  /** Writes the claim when it has grown, or renews it. One write at a time. */
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
    };
    await this.#datasets.putLease(record, options);
    this.#stored = blocks.length + versions.length;
  }
}
