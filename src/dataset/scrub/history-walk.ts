/** Everything that a store's histories name. docs/format.md §8 */
import type { AetherError } from "../../base/errors.ts";
import type { HistoryRecord, Retention } from "../../format/record.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";
import { RetentionRules } from "../retention.ts";
import { readHead } from "../tag-head.ts";
import { isFault } from "./is-fault.ts";

/** Entries that are read at once. */
const BATCH_MAX = 32;

/** What the walk comes by. */
export type HistoryStep =
  | { readonly kind: "dataset"; readonly name: DatasetName; readonly domain: string }
  | { readonly kind: "tag"; readonly name: DatasetName; readonly tag: Tag }
  | {
      readonly kind: "entry";
      readonly name: DatasetName;
      readonly tag: Tag;
      readonly record: HistoryRecord;
      readonly isCurrent: boolean;
      /** The number of the tag's newest entry. */
      readonly newest: number;
    }
  /** A record that cannot be read. */
  | { readonly kind: "fault"; readonly where: string; readonly error: AetherError };

/**
 * Every dataset and tag that is not deleted, and the entries whose versions stay by the dataset's retention at `nowMs`, newest first,
 * back to where the tag was deleted: a prune may have taken what was before. Errors: those of the store, but for damage.
 */
export async function* walkHistories(
  datasets: DatasetStore,
  nowMs: number,
  options: CallOptions,
): AsyncGenerator<HistoryStep> {
  for await (const name of datasets.listDatasets(options)) {
    const record = await guarded(name, () => datasets.getDataset(name, options));
    let retention: Retention | null = null;
    if ("kind" in record) yield record;
    else if (record.value !== undefined) {
      const { domain, deleted } = record.value.value;
      if (deleted !== null) continue;
      ({ retention } = record.value.value);
      yield { kind: "dataset", name, domain };
    }
    for await (const tag of datasets.listTags(name, options)) {
      yield { kind: "tag", name, tag };
      const rules = new RetentionRules(retention, tag, nowMs);
      for await (const step of walkHistory(datasets, name, tag, options)) {
        if (step.kind === "entry") {
          if (step.record.state === "deleted") break;
          if (!rules.keeps(step.record)) continue;
        }
        yield step;
      }
    }
  }
}

async function* walkHistory(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
): AsyncGenerator<HistoryStep> {
  const head = await guarded(`${name}:${tag}`, () => readHead(datasets, name, tag, options));
  if ("kind" in head) {
    yield head;
    return;
  }
  const newest = head.value.record;
  if (newest === undefined) return;
  yield { kind: "entry", name, tag, record: newest, isCurrent: true, newest: newest.number };
  for (let end = newest.number; end > 1; end -= BATCH_MAX) {
    const numbers = Array.from({ length: Math.min(BATCH_MAX, end - 1) }, (_, index) => end - 1 - index);
    const read = (number: number): ReturnType<typeof guarded<HistoryRecord | undefined>> =>
      guarded(`${name}:${tag} ${number}`, () => datasets.getHistory(name, tag, number, options));
    let isAtEnd = false;
    for (const entry of await Promise.all(numbers.map(read))) {
      if ("kind" in entry) yield entry;
      else if (entry.value === undefined) isAtEnd = true;
      else yield { kind: "entry", name, tag, record: entry.value, isCurrent: false, newest: newest.number };
    }
    if (isAtEnd) return;
  }
}

async function guarded<T>(
  where: string,
  read: () => Promise<T>,
): Promise<{ readonly value: T } | Extract<HistoryStep, { kind: "fault" }>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { kind: "fault", where, error };
  }
}
