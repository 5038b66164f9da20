/** What prunes took of a tag's history, as the store remembers it. docs/format.md §8.8 */
import { isDeepStrictEqual } from "node:util";
import { AetherError, codeOf } from "../../base/errors.ts";
import { FLOOR_KEPT_MAX, type FloorRecord } from "../../format/prune-record.ts";
import type { DatasetRecord, Retention } from "../../format/record.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";

/** Times that a floor is written anew because somebody else changed it meanwhile. */
const TRIES_MAX = 64;

/** Entries of a history: all below a number but some. */
export interface EntriesBelow {
  readonly floor: number;
  readonly kept: ReadonlySet<number>;
}

const NONE: EntriesBelow = { floor: 1, kept: new Set() };

/** Whether the entry is one of them. */
export function isBelow({ floor, kept }: EntriesBelow, number: number): boolean {
  return number < floor && !kept.has(number);
}

function union(one: EntriesBelow, other: EntriesBelow): EntriesBelow {
  const [low, high] = one.floor <= other.floor ? [one, other] : [other, one];
  return { floor: high.floor, kept: new Set([...high.kept].filter((number) => !isBelow(low, number))) };
}

function isPart(part: EntriesBelow, whole: EntriesBelow): boolean {
  return part.floor <= whole.floor && ![...whole.kept].some((number) => isBelow(part, number));
}

/** `entries`, and those of `numbers` with them. */
function withNumbers(entries: EntriesBelow, numbers: ReadonlySet<number>): EntriesBelow {
  const floor = [...numbers].reduce((highest, number) => Math.max(highest, number + 1), entries.floor);
  const kept = new Set([...entries.kept].filter((number) => !numbers.has(number)));
  // Of very many the lowest are left out, as a record has them.
  for (let number = Math.max(entries.floor, floor - FLOOR_KEPT_MAX); number < floor; number++)
    if (!numbers.has(number)) kept.add(number);
  return { floor, kept };
}

function entriesOf(record: FloorRecord | undefined, incarnation: string): EntriesBelow {
  if (record?.incarnation !== incarnation) return NONE;
  return { floor: record.floor, kept: new Set(record.kept) };
}

/**
 * Which entries of a tag prunes took the versions of, or may have taken: of all others that retention keeps, but for those before the tag was last
 * deleted, everything is there, or the store is damaged. Errors: those of the store.
 */
export async function takenEntries(
  datasets: DatasetStore,
  { name, incarnation }: Pick<DatasetRecord, "name" | "incarnation">,
  tag: Tag,
  options: CallOptions,
): Promise<EntriesBelow> {
  return entriesOf((await datasets.getFloor(name, tag, options))?.value, incarnation);
}

/** What a walk through a tag's history finds that its retention lets go. */
export class FloorTally {
  readonly #datasets: DatasetStore;
  readonly #dataset: DatasetRecord;
  readonly #tag: Tag;
  readonly #passed: EntriesBelow;
  #floor: number;
  readonly #kept = new Set<number>();
  #isTruncated = false;
  readonly #lacking = new Set<number>();

  private constructor(datasets: DatasetStore, dataset: DatasetRecord, tag: Tag, passed: EntriesBelow) {
    this.#datasets = datasets;
    this.#dataset = dataset;
    this.#tag = tag;
    this.#passed = passed;
    this.#floor = passed.floor;
  }

  /** `keepsAll`: the retention lets nothing of the tag go, so that nothing can be passed over. Errors: those of the store. */
  static async open(
    datasets: DatasetStore,
    dataset: DatasetRecord,
    tag: Tag,
    keepsAll: boolean,
    options: CallOptions,
  ): Promise<FloorTally> {
    const { name, incarnation, retention } = dataset;
    const found = keepsAll ? undefined : (await datasets.getFloor(name, tag, options))?.value;
    const isSure = found !== undefined && isSame(found.retention, retention);
    return new FloorTally(datasets, dataset, tag, isSure ? entriesOf(found, incarnation) : NONE);
  }

  /** Entries of which the retention keeps none, as it kept none when they were let go: they need not be read. */
  get passed(): EntriesBelow {
    return this.#passed;
  }

  /** An entry that is not passed over, and whether it stays; newest first, without deletions of the tag. */
  note(number: number, stays: boolean): void {
    if (!stays) this.#floor = Math.max(this.#floor, number + 1);
    else if (number < this.#floor && this.#kept.size < FLOOR_KEPT_MAX) this.#kept.add(number);
    else if (number < this.#floor) this.#isTruncated = true;
  }

  /** An entry that stays, and of which a prune took something before there were floors. */
  lacks(number: number): void {
    this.#lacking.add(number);
  }

  /**
   * Records all this durably after the next flush. To be called before anything is removed that only entries need which were let go.
   * Errors: OBJECT_CONFLICT; those of the store.
   */
  async store(options: CallOptions): Promise<void> {
    const { name, incarnation, retention } = this.#dataset;
    const released = { floor: this.#floor, kept: this.#kept };
    if (this.#floor === 1 && this.#lacking.size === 0) return;
    await replaceFloor(this.#datasets, { name, tag: this.#tag }, incarnation, options, (entries) => {
      const all = withNumbers(union(entries, released), this.#lacking);
      const isSure = !this.#isTruncated && isPart(all, released);
      return { ...all, retention: isSure ? retention : undefined };
    });
  }
}

/**
 * Records that something of the version of one entry went, durably after the next flush. Errors: OBJECT_CONFLICT; those of the store.
 */
export async function recordTaken(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  number: number,
  options: CallOptions,
): Promise<void> {
  const dataset = await datasets.getDataset(name, options);
  if (dataset === undefined) return;
  const { incarnation } = dataset.value;
  await replaceFloor(datasets, { name, tag }, incarnation, options, (entries) => ({
    ...(isBelow(entries, number) ? entries : withNumbers(entries, new Set([number]))),
    retention: undefined,
  }));
}

/** Changes a floor by compare-and-set; a retention of undefined is what the record has while its entries stay the same. */
async function replaceFloor(
  datasets: DatasetStore,
  { name, tag }: { readonly name: DatasetName; readonly tag: Tag },
  incarnation: string,
  options: CallOptions,
  change: (entries: EntriesBelow) => EntriesBelow & { readonly retention: Retention | null | undefined },
): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const found = await datasets.getFloor(name, tag, options);
    const before = entriesOf(found?.value, incarnation);
    const { floor, kept, retention } = change(before);
    const isGrown = !isPart({ floor, kept }, before);
    const known = isGrown || found?.value.incarnation !== incarnation ? null : found.value.retention;
    const record = {
      ...{ incarnation, floor, retention: retention ?? known },
      kept: [...kept].sort((one, other) => one - other).slice(-FLOOR_KEPT_MAX),
    };
    if (floor === 1 || isDeepStrictEqual(record, found?.value)) return;
    try {
      await datasets.putFloor(name, tag, record, found?.revision, options);
      return;
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
    }
  }
  throw new AetherError("OBJECT_CONFLICT", `too many at once prune ${name}:${tag}: try again`);
}

/** No retention is the same as none: what lets nothing go lets nothing be passed over. */
function isSame(one: Retention | null, other: Retention | null): boolean {
  return one !== null && isDeepStrictEqual(one, other);
}
