/** Where a tag stands: the end of its history. docs/format.md §8.3 */
import { AetherError } from "../base/errors.ts";
import type { Digest } from "../format/digest.ts";
import type { HistoryRecord, TagHint, TagOpening } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";

/** A history entry, and the event that announced it. */
export interface Announced {
  readonly number: number;
  readonly event: number;
}

/** A tag as it was found. */
export interface TagHead {
  /** The newest entry, a deletion too; undefined when there never was one. */
  readonly record: HistoryRecord | undefined;
  /** An entry that is known to be announced, with its event; zeros when none is. Entries after it may be announced too. */
  readonly announced: Announced;
}

/** Takes a version, and what the tag's hint says of it. */
export type OnLikely = (version: Digest, opening?: TagOpening) => void;

/** Options of looking for a tag's newest entry. */
export interface HeadOptions extends CallOptions {
  /** Told, before it is certain, which version the tag most likely points at: for who can prepare something meanwhile. */
  readonly onLikely?: OnLikely | undefined;
}

/** A tag as it was found a while ago: by now it may stand elsewhere, and its dataset be another one. */
export interface SeenTag {
  /** Of the dataset that it was in; undefined: there was none. */
  readonly incarnation: string | undefined;
  /** With any entry of its history in place of the newest one. */
  readonly head: TagHead;
}

const NOTHING: Announced = { number: 0, event: 0 };

/** Of a tag that never was. */
export const NO_HEAD: TagHead = { record: undefined, announced: NOTHING };

/** The version that a tag with this newest entry points at, or null when it points at none. */
export function currentOf(record: HistoryRecord | undefined): Digest | null {
  return record === undefined || record.state === "deleted" ? null : record.digest;
}

/**
 * The end of a tag's history: from the hint on, entries are probed until there is none. Histories have no holes, so
 * doubling steps find the end of a long one whose hint was lost.
 */
export async function readHead(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: HeadOptions,
): Promise<TagHead> {
  const hint = await readHint(datasets, name, tag, options);
  if (hint !== undefined) options.onLikely?.(hint.digest, hint.opening);
  const read = (number: number): Promise<HistoryRecord | undefined> =>
    datasets.getHistory(name, tag, number, options);
  // Nearly always the hint is right: both together say so at the cost of one answer.
  const [hinted, later] =
    hint === undefined ? [] : await Promise.all([read(hint.number), read(hint.number + 1)]);
  // A hint may be ahead of the history where a store was restored from copies of different age.
  const announced = hint === undefined || hinted === undefined ? NOTHING : hint;
  const known = hinted === undefined ? await read(1) : later;
  const newest = known === undefined ? hinted : await lastEntryAfter(datasets, name, tag, known, options);
  return { record: newest, announced: { number: announced.number, event: announced.event } };
}

/**
 * Where a tag stands, as its hint says: nearly always its newest entry, and one that is there anyhow. One read less than readHead,
 * for who finds out by creating the next entry.
 */
export async function guessHead(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
): Promise<TagHead> {
  const hint = await readHint(datasets, name, tag, options);
  const record = await datasets.getHistory(name, tag, hint?.number ?? 1, options);
  if (hint === undefined && record === undefined) return NO_HEAD;
  if (hint === undefined || record === undefined) return await readHead(datasets, name, tag, options);
  return { record, announced: { number: hint.number, event: hint.event } };
}

/** The end of the history that `known` is an entry of. */
export async function lastEntryAfter(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  known: HistoryRecord,
  options: CallOptions,
): Promise<HistoryRecord> {
  let newest = known;
  for (let step = 1; ;) {
    const next = await datasets.getHistory(name, tag, newest.number + step, options);
    if (next !== undefined) {
      newest = next;
      step *= 2;
    } else if (step > 1) {
      step = 1;
    } else {
      return newest;
    }
  }
}

/** The hint; a torn one, which a power failure may leave since hints are not flushed, counts as none. */
async function readHint(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
): Promise<TagHint | undefined> {
  try {
    return await datasets.getHint(name, tag, options);
  } catch (error) {
    if (error instanceof AetherError && error.code === "OBJECT_INVALID") return undefined;
    throw error;
  }
}
