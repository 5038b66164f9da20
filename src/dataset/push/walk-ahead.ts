/** Walks ahead of the reading, so that totals are known soon. */
import { Channel } from "../../base/channel.ts";
import type { Source, SourceBatch, SourceEntry } from "./source.ts";

/** Batches of about 2,000 entries that wait at most. */
const BATCHES_MAX = 32;

/** The walk of one source, some batches ahead of who takes them. */
export class WalkAhead {
  readonly #source: Source;
  readonly #channel = new Channel<SourceBatch>(BATCHES_MAX);
  readonly #skipped: SourceBatch["skipped"][number][] = [];
  #bytes = 0;
  #done = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** What was left out so far. */
  get skipped(): SourceBatch["skipped"] {
    return this.#skipped;
  }

  /** Bytes of all files, once the walk is done. */
  get totalBytes(): number | undefined {
    return this.#done ? this.#bytes : undefined;
  }

  /** The entries in order. */
  async *batches(): AsyncGenerator<readonly SourceEntry[]> {
    this.#run().catch((error: unknown) => {
      this.#channel.fail(error);
    });
    for await (const batch of this.#channel) yield batch.entries;
  }

  /** Ends it: batches() rejects with `error`. */
  fail(error: unknown): void {
    this.#channel.fail(error);
  }

  async #run(): Promise<void> {
    while (!this.#done) {
      const batch = await this.#source.walk();
      for (const entry of batch.entries) this.#bytes += entry.size;
      this.#skipped.push(...batch.skipped);
      this.#done = batch.done;
      await this.#channel.send(batch);
    }
    this.#channel.close();
  }
}
