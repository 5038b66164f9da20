/** Epochs as who prunes writes them. docs/format.md §8.7, §9.1 */
import { AetherError, codeOf } from "../../base/errors.ts";
import {
  CONDEMNED_PART_NAMES_MAX,
  CONDEMNED_PARTS_MAX,
  type EpochRecord,
  type ObjectName,
} from "../../format/prune-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore, Revised } from "../../store/dataset-store.ts";
import { newestEpoch } from "../ingest/swept-names.ts";

/** Times that a state is set anew because somebody rescued something meanwhile. */
const TRIES_MAX = 64;

/** The newest epoch, or undefined. Errors: those of the store. */
export async function readEpoch(
  datasets: DatasetStore,
  options: CallOptions,
): Promise<Revised<EpochRecord> | undefined> {
  const newest = await newestEpoch(datasets, options);
  return newest === 0 ? undefined : await datasets.getEpoch(newest, options);
}

/**
 * Removes the epochs that nobody asks for any more, all but the two newest, and condemned names that became no epoch since
 * who wrote them died. To be called by who has just made the newest epoch: whoever stood still, and still means to make one of its
 * number of names that go here, cannot.
 */
export async function dropOldEpochs(datasets: DatasetStore, options: CallOptions): Promise<void> {
  const marks: string[] = [];
  for await (const mark of datasets.listMarks(options)) {
    if ((await datasets.getLease(mark, options)) === undefined) marks.push(mark);
  }
  const numbers: number[] = [];
  for await (const number of datasets.listEpochs(options)) numbers.push(number);
  for (const number of numbers.slice(0, -2)) await datasets.removeEpoch(number, options);
  const kept = await Promise.all(numbers.slice(-2).map((number) => datasets.getEpoch(number, options)));
  const needed = new Set(kept.map((epoch) => epoch?.value.mark));
  for (const mark of marks) if (!needed.has(mark)) await datasets.removeCondemned(mark, options);
}

/**
 * Sets an epoch's state from whatever `from` names. Gives the epoch as it is then, or undefined when it is in another state
 * already: somebody else prunes.
 */
export async function setEpochState(
  datasets: DatasetStore,
  number: number,
  from: (epoch: EpochRecord) => boolean,
  to: Pick<EpochRecord, "state" | "sweeper"> & Partial<Pick<EpochRecord, "floors">>,
  options: CallOptions,
): Promise<EpochRecord | undefined> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const found = await datasets.getEpoch(number, options);
    if (found === undefined || !from(found.value)) return undefined;
    const epoch = { ...found.value, ...to };
    try {
      await datasets.putEpoch(epoch, found.revision, options);
      await datasets.flush(options);
      return epoch;
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
    }
  }
  throw new AetherError("OBJECT_CONFLICT", "an epoch is being changed by too many at once: try again");
}

/** Writes down what is condemned, part by part as it is found, and then the epoch, which makes it so. */
export class EpochWriter {
  readonly #datasets: DatasetStore;
  readonly #mark: string;
  readonly #options: CallOptions;
  #names: ObjectName[] = [];
  #parts = 0;

  /** `mark` is the lease of who marks, under which no other was written. */
  constructor(datasets: DatasetStore, mark: string, options: CallOptions) {
    this.#datasets = datasets;
    this.#mark = mark;
    this.#options = options;
  }

  /** Adds a name while there is room: the rest waits for the next epoch. */
  async add(name: ObjectName): Promise<void> {
    if (this.#parts === CONDEMNED_PARTS_MAX) return;
    this.#names.push(name);
    if (this.#names.length === CONDEMNED_PART_NAMES_MAX) await this.#write();
  }

  /**
   * Makes it epoch `number`, the one after the newest, which must be done, and said `floors`: false when there was nothing to condemn, or somebody
   * else made this epoch meanwhile.
   */
  async finish(
    number: number,
    { markedMs, datasets, floors }: Pick<EpochRecord, "markedMs" | "datasets" | "floors">,
  ): Promise<boolean> {
    if (this.#names.length > 0) await this.#write();
    if (this.#parts === 0 && datasets.length === 0) return false;
    const record = {
      number,
      state: "marked",
      mark: this.#mark,
      parts: this.#parts,
      markedMs,
      sweeper: null,
      datasets,
      rescued: [],
      floors,
    } as const;
    await this.#datasets.flush(this.#options);
    try {
      await this.#datasets.putEpoch(record, undefined, this.#options);
      await this.#datasets.flush(this.#options);
      return true;
    } catch (error) {
      if (codeOf(error) === "OBJECT_CONFLICT") return false;
      throw error;
    }
  }

  async #write(): Promise<void> {
    this.#parts++;
    const names = this.#names;
    this.#names = [];
    await this.#datasets.putCondemned({ mark: this.#mark, part: this.#parts, names }, this.#options);
  }
}
