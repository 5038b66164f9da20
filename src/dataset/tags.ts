/** Moving a tag: the commit of a publish. docs/format.md §8.3 */
import { AetherError } from "../base/errors.ts";
import { LABEL_LENGTH_MAX, LABELS_MAX, MESSAGE_LENGTH_MAX } from "../base/limits.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { DatasetRecord, HistoryRecord, TagOpening, TagState } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { makeDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { EXPIRES_LABEL, parseExpiry } from "./retention.ts";
import { announce } from "./tag-events.ts";
import { currentOf, NO_HEAD, readHead, type SeenTag, type TagHead } from "./tag-head.ts";
import { matchesPattern } from "./tag-pattern.ts";

/** Numbers that one commit may lose to others before it gives up. */
const ATTEMPTS_MAX = 256;
const PUBLISHER_LENGTH_MAX = 256;
/** Entries that are looked through for a change that was made already, and how many are read at once. */
const SINCE_MAX = 1024;
const BATCH_MAX = 32;

/** What people say about a change. */
export interface Annotations {
  /** Who made it. */
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a tag shall become. */
export interface TagChange extends Annotations {
  readonly state: TagState;
  /** The version; of a deletion, the one that the tag pointed at. */
  readonly digest: Digest;
  /** Totals of the version. */
  readonly files: number;
  readonly bytes: number;
  /** 32 hex digits of this attempt to publish: the same for its retries, whose answers may have been lost. */
  readonly writeId: string;
  /**
   * The number of an entry that was there before the first attempt, or 0: later ones are looked through for the write id, so that
   * a change whose answer was lost is not made twice, also when others moved the tag since. undefined: only the newest is.
   */
  readonly since?: number | undefined;
  /** The version that the tag must point at (null: at none) for the change to be made; undefined: any. */
  readonly expected?: Digest | null;
  /** The number that the tag's newest entry must have for the change to be made; undefined: any. */
  readonly expectedNumber?: number;
  /** For the tag's hint; undefined: readers of the version do without. */
  readonly opening?: TagOpening | undefined;
  /** How the tag was found a while ago, which spares looking again as long as that is how it stands; undefined: nobody looked. */
  readonly seen?: SeenTag | undefined;
}

/** What became of a change. */
export interface TagCommit {
  /** The tag's newest entry as this change left or found it. */
  readonly record: HistoryRecord;
  /** False when the tag was as wanted already. */
  readonly moved: boolean;
}

/** Checks the lengths that records allow, and that a label that says when the tag expires says a time. Errors: LIMIT_EXCEEDED, ARGUMENT_INVALID. */
export function checkAnnotations({ publisher, message, labels }: Annotations): void {
  checkLength("a publisher's name", publisher, PUBLISHER_LENGTH_MAX);
  checkLength("a message", message, MESSAGE_LENGTH_MAX);
  const pairs = Object.entries(labels);
  if (pairs.length > LABELS_MAX) {
    throw new AetherError("LIMIT_EXCEEDED", `${LABELS_MAX} labels are allowed, not ${pairs.length}`);
  }
  for (const [key, value] of pairs) {
    checkLength("a label's name", key, LABEL_LENGTH_MAX);
    checkLength(`the label ${key}`, value, LABEL_LENGTH_MAX);
    if (key !== EXPIRES_LABEL || parseExpiry(value) !== undefined) continue;
    throw new AetherError(
      "ARGUMENT_INVALID",
      `the label ${key} is "${value}": it says when the tag is removed, as in 2026-12-31 or 2026-12-31T10:00:00Z`,
    );
  }
}

/**
 * Moves a tag durably, and announces the move as exactly one event of the dataset. Everything that the version needs must
 * be durable before. A dataset that is not there is made. A tag that is as wanted is left alone. Without `expected`
 * the last of several who commit at once wins, and the history names them all, in order; also who died in between is
 * announced. A rejection after the commit itself (an event that could not be written) leaves the tag moved; the same
 * call again, or anyone's next, completes it.
 * Errors: TAG_CONFLICT when the tag is not at `expected` or `expectedNumber`; TAG_IMMUTABLE; those of checkAnnotations and
 * of the store.
 */
export async function commitTag(
  engine: Engine,
  name: DatasetName,
  tag: Tag,
  change: TagChange,
  options: CallOptions = {},
): Promise<TagCommit> {
  const { datasets } = engine.store;
  checkAnnotations(change);
  const { seen } = change;
  const opening = change.opening && { ...change.opening, version: change.digest };
  const wasAbsent = seen !== undefined && seen.incarnation === undefined;
  const { record: dataset, isNew } = await makeDataset(engine, name, { ...options, wasAbsent });
  let since = change.since ?? Infinity;
  // Whether it is the newest entry shows when the next one is created.
  let guess = isNew ? NO_HEAD : seen?.incarnation === dataset.incarnation ? seen.head : undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const isGuess = guess !== undefined && attempt === 0;
    const head = (isGuess ? guess : undefined) ?? (await headFrom(datasets, name, tag, guess, options));
    const present = head.record;
    const made = present && (await madeSince(datasets, name, tag, present, since, change, options));
    const isMade = present !== undefined && (made !== undefined || isAsWanted(present, change));
    const refusal = isMade ? undefined : refusalOf(dataset, tag, head, change);
    if (isGuess && (isMade || refusal !== undefined)) continue;
    if (isMade) {
      await announce(datasets, name, tag, { ...head.announced, opening }, present.number, options);
      return { record: made ?? present, moved: made !== undefined };
    }
    since = present?.number ?? 0;
    if (refusal !== undefined) throw refusal;
    // Nobody can have announced the next entry before it is there: its event comes after this one.
    const known = head.announced.event;
    const lastEvent = isNew && isGuess ? 0 : await datasets.lastEvent(name, { ...options, known });
    const record = recordAfter(present, change, engine.clock.nowMs());
    const created = await datasets.createHistory(name, tag, record, options);
    if (!created && !(await isOurs(engine, name, tag, record, options))) {
      guess = undefined;
      continue;
    }
    const settled = created && head.announced.number === record.number - 1;
    const from = settled ? { number: record.number - 1, event: lastEvent, entry: record } : head.announced;
    await announce(datasets, name, tag, { ...from, opening }, record.number, options);
    return { record, moved: true };
  }
  throw new AetherError("TAG_CONFLICT", `${name}:${tag} is being moved by too many at once: try again`, {
    data: { dataset: name, tag },
  });
}

/** What the entry says that undoes the one before it, of a version that a prune took (ingest/confirm.ts). */
export const TAKEN_BACK = "taken back: a prune removed what this version needs";

/** Where the tag stands: one look where it stands as it did. */
async function headFrom(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  guess: TagHead | undefined,
  options: CallOptions,
): Promise<TagHead> {
  if (guess?.record !== undefined) {
    const { number } = guess.record;
    if ((await datasets.getHistory(name, tag, number + 1, options)) === undefined) return guess;
  }
  return await readHead(datasets, name, tag, options);
}

/** The entry that the change made already, unless it was taken back: the newest one, or one of those after `since`. */
async function madeSince(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  newest: HistoryRecord,
  since: number,
  change: TagChange,
  options: CallOptions,
): Promise<HistoryRecord | undefined> {
  if (isOf(newest, change)) return newest;
  const oldest = Math.max(since + 1, newest.number - SINCE_MAX);
  for (let end = newest.number; end > oldest; end -= BATCH_MAX) {
    const numbers = Array.from({ length: Math.min(BATCH_MAX, end - oldest) }, (_, index) => end - 1 - index);
    const batch = await Promise.all(numbers.map((number) => datasets.getHistory(name, tag, number, options)));
    const made = batch.find((record) => record !== undefined && isOf(record, change));
    if (made === undefined) continue;
    const next = await datasets.getHistory(name, tag, made.number + 1, options);
    return next?.message === TAKEN_BACK && next.previous === made.digest ? undefined : made;
  }
  return undefined;
}

/** Whether the entry is what the change makes: a push that began anew may have found something else in its folder. */
function isOf(record: HistoryRecord, { writeId, digest }: Pick<TagChange, "writeId" | "digest">): boolean {
  return record.writeId === writeId && record.digest === digest;
}

/** Whether the entry that is there is our own, whose creation was answered too late or not at all. */
async function isOurs(
  engine: Engine,
  name: DatasetName,
  tag: Tag,
  record: HistoryRecord,
  options: CallOptions,
): Promise<boolean> {
  const winner = await engine.store.datasets.getHistory(name, tag, record.number, options);
  return winner !== undefined && isOf(winner, record);
}

function isAsWanted(present: HistoryRecord, change: TagChange): boolean {
  if (present.state !== change.state) return false;
  if (change.state === "deleted") return true;
  // The same version for longer is a change: else it would go although somebody has just asked for it.
  return present.digest === change.digest && present.labels[EXPIRES_LABEL] === change.labels[EXPIRES_LABEL];
}

/** Why the tag may not be moved so, or undefined. */
function refusalOf(
  dataset: DatasetRecord,
  tag: Tag,
  head: TagHead,
  change: TagChange,
): AetherError | undefined {
  const where = `${dataset.name}:${tag}`;
  const current = currentOf(head.record);
  if (change.expected !== undefined && change.expected !== current) {
    const now = current === null ? "points at nothing" : `points at ${formatDigest(current)}`;
    return new AetherError("TAG_CONFLICT", `${where} ${now} now, not where you expected: look again`, {
      data: { dataset: dataset.name, tag },
    });
  }
  const present = head.record;
  if (change.expectedNumber !== undefined && change.expectedNumber !== present?.number) {
    return new AetherError("TAG_CONFLICT", `${where} was changed meanwhile: look again`, {
      data: { dataset: dataset.name, tag },
    });
  }
  if (present === undefined || present.digest === change.digest) return undefined;
  if (!dataset.immutableTags.some((pattern) => matchesPattern(pattern, tag))) return undefined;
  return new AetherError(
    "TAG_IMMUTABLE",
    `${where} may not be moved, since tags like it are immutable: choose another tag`,
    { data: { dataset: dataset.name, tag } },
  );
}

function recordAfter(present: HistoryRecord | undefined, change: TagChange, nowMs: number): HistoryRecord {
  const { state, digest, publisher, message, labels, writeId, files, bytes } = change;
  const time = new Date(nowMs).toISOString();
  const number = (present?.number ?? 0) + 1;
  const previous = currentOf(present);
  return { number, state, digest, previous, time, publisher, message, labels, writeId, files, bytes };
}

function checkLength(what: string, text: string, lengthMax: number): void {
  if (text.length <= lengthMax) return;
  throw new AetherError("LIMIT_EXCEEDED", `${what} has at most ${lengthMax} characters, not ${text.length}`);
}
