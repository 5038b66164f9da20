/** Which changes of tags a copy makes at the target, and in which order. docs/format.md §8.3 */
import { AetherError } from "../../base/errors.ts";
import { LABEL_LENGTH_MAX, LABELS_MAX, TAGS_PER_PUSH_MAX } from "../../base/limits.ts";
import { formatDigest } from "../../format/digest.ts";
import type { HistoryRecord } from "../../format/record.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { TagPointer } from "../datasets.ts";
import type { CopyEnd } from "./contract.ts";

/** Entries of one tag that are copied at once at most: each takes some 500 bytes of memory. */
const ENTRIES_MAX = 100_000;
/** The label that says where an entry was copied from. */
const ORIGIN_LABEL = "copied-from";

/** A tag at the target, and the entries that it lacks, oldest first. */
export interface TagEntries {
  readonly target: TagReference;
  /** Where it points now. */
  readonly current: HistoryRecord | undefined;
  readonly entries: readonly HistoryRecord[];
}

/** A version to be copied, and the tags to move to it. */
export interface CopyStep {
  readonly record: HistoryRecord;
  readonly targets: readonly TagReference[];
}

/** Options of missingEntries. */
export interface EntriesOptions extends CallOptions {
  readonly historyMax: number;
  readonly force: boolean;
  /** Gives the newest entry also when the target has it. */
  readonly repair: boolean;
}

/**
 * Of a tag's newest `historyMax` entries, up to the one it was found with, those that the target lacks: after the one at which
 * the target's tag points (`current`). Entries that removed the tag are left out. Errors: TAG_CONFLICT when the source's tag
 * never pointed there, unless `force`; LIMIT_EXCEEDED; those of the source.
 */
export async function missingEntries(
  from: CopyEnd,
  name: DatasetName,
  { tag, record: head }: TagPointer,
  current: HistoryRecord | undefined,
  { historyMax, force, repair, ...call }: EntriesOptions,
): Promise<readonly HistoryRecord[]> {
  if (current?.digest === head.digest) return repair ? [head] : [];
  const isFree = current === undefined || force;
  if (historyMax === 1 && isFree) return [head];
  const found: HistoryRecord[] = [];
  let isKnown = isFree;
  for await (const record of from.history(name, tag, call)) {
    if (record.number > head.number || record.state === "deleted") continue;
    if (record.digest === current?.digest) {
      isKnown = true;
      break;
    }
    if (found.at(-1)?.digest === record.digest) continue;
    if (found.length < historyMax) found.push(record);
    else if (isFree) break;
    if (found.length > ENTRIES_MAX) {
      const most = `${ENTRIES_MAX} entries of a tag are copied at once`;
      throw new AetherError("LIMIT_EXCEEDED", `${most}, and ${name}:${tag} has more: give --history N`);
    }
  }
  if (!isKnown && current !== undefined) throw conflict(`${name}:${tag}`, current);
  return found.reverse();
}

function conflict(where: string, { digest, publisher, time }: HistoryRecord): AetherError {
  const now = `${formatDigest(digest)} (by ${publisher === "" ? "nobody named" : publisher}, ${time})`;
  return new AetherError(
    "TAG_CONFLICT",
    `at the target the tag points at ${now}, where ${where} of the source never pointed: somebody else moved it. ` +
      "--force moves it all the same",
    { data: { reference: where, digest: formatDigest(digest) } },
  );
}

/**
 * The steps of all these tags: each tag's entries in their order, those of several tags by their times, since a version that was
 * made later most likely builds on earlier ones. What was published at once is so again.
 */
export function stepsOf(tags: readonly TagEntries[]): CopyStep[] {
  const all = tags.flatMap(({ target, entries }) => {
    let time = "";
    return entries.map((record) => {
      if (record.time > time) ({ time } = record);
      return { time, record, target };
    });
  });
  all.sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
  const steps: { readonly record: HistoryRecord; readonly targets: TagReference[] }[] = [];
  for (const { record, target } of all) {
    const last = steps.at(-1);
    if (last !== undefined && joins(last, record, target)) last.targets.push(target);
    else steps.push({ record, targets: [target] });
  }
  return steps;
}

function joins({ record, targets }: CopyStep, next: HistoryRecord, target: TagReference): boolean {
  return (
    targets.length < TAGS_PER_PUSH_MAX &&
    targets.every(({ name, tag }) => name === target.name && tag !== target.tag) &&
    record.digest === next.digest &&
    record.publisher === next.publisher &&
    record.message === next.message &&
    JSON.stringify(record.labels) === JSON.stringify(next.labels)
  );
}

/** An entry's labels, and where it comes from: that stays what it was when a copy is copied. */
export function labelsAt(
  origin: string | undefined,
  name: DatasetName,
  { labels, time }: Pick<HistoryRecord, "labels" | "time">,
): Readonly<Record<string, string>> {
  if (origin === undefined || ORIGIN_LABEL in labels || Object.keys(labels).length >= LABELS_MAX)
    return labels;
  return { ...labels, [ORIGIN_LABEL]: `${origin}/${name} ${time}`.slice(-LABEL_LENGTH_MAX) };
}
