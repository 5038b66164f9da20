/** Moving a tag: the commit of a publish. docs/format.md §8.3 */
import { AetherError } from "../base/errors.ts";
import { LABEL_LENGTH_MAX, LABELS_MAX, MESSAGE_LENGTH_MAX } from "../base/limits.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { DatasetRecord, HistoryRecord, TagState } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import { ensureDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { announce } from "./tag-events.ts";
import { currentOf, readHead, type TagHead } from "./tag-head.ts";

/** Numbers that one commit may lose to others before it gives up. */
const ATTEMPTS_MAX = 256;
const PUBLISHER_LENGTH_MAX = 256;

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
  /** The version that the tag must point at (null: at none) for the change to be made; undefined: any. */
  readonly expected?: Digest | null;
}

/** What became of a change. */
export interface TagCommit {
  /** The tag's newest entry as this change left or found it. */
  readonly record: HistoryRecord;
  /** False when the tag was as wanted already. */
  readonly moved: boolean;
}

/** Checks the lengths that records allow. Errors: LIMIT_EXCEEDED. */
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
  }
}

/**
 * Moves a tag durably, and announces the move as exactly one event of the dataset. Everything that the version needs must
 * be durable before. A dataset that is not there is made. A tag that is as wanted is left alone. Without `expected`
 * the last of several who commit at once wins, and the history names them all, in order; also who died in between is
 * announced. A rejection after the commit itself (an event that could not be written) leaves the tag moved; the same
 * call again, or anyone's next, completes it.
 * Errors: TAG_CONFLICT when the tag is not at `expected`; TAG_IMMUTABLE; LIMIT_EXCEEDED; those of the store.
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
  const dataset = await ensureDataset(engine, name, options);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const head = await readHead(datasets, name, tag, options);
    const present = head.record;
    const ours = present?.writeId === change.writeId;
    if (present !== undefined && (ours || isAsWanted(present, change))) {
      await announce(datasets, name, tag, head.announced, present.number, options);
      return { record: present, moved: ours };
    }
    checkMove(dataset, tag, head, change);
    // Nobody can have announced the next entry before it is there: its event comes after this one.
    const lastEvent = await datasets.lastEvent(name, { ...options, known: head.announced.event });
    const record = recordAfter(present, change, engine.clock.nowMs());
    const created = await datasets.createHistory(name, tag, record, options);
    if (!created && !(await isOurs(engine, name, tag, record, options))) continue;
    const settled = created && head.announced.number === record.number - 1;
    const from = settled ? { number: record.number - 1, event: lastEvent, entry: record } : head.announced;
    await announce(datasets, name, tag, from, record.number, options);
    return { record, moved: true };
  }
  throw new AetherError("TAG_CONFLICT", `${name}:${tag} is being moved by too many at once: try again`, {
    data: { dataset: name, tag },
  });
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
  return winner?.writeId === record.writeId;
}

function isAsWanted(present: HistoryRecord, change: TagChange): boolean {
  if (present.state !== change.state) return false;
  return change.state === "deleted" || present.digest === change.digest;
}

function checkMove(dataset: DatasetRecord, tag: Tag, head: TagHead, change: TagChange): void {
  const where = `${dataset.name}:${tag}`;
  const current = currentOf(head.record);
  if (change.expected !== undefined && change.expected !== current) {
    const now = current === null ? "points at nothing" : `points at ${formatDigest(current)}`;
    throw new AetherError("TAG_CONFLICT", `${where} ${now} now, not where you expected: look again`, {
      data: { dataset: dataset.name, tag },
    });
  }
  const present = head.record;
  if (present === undefined || present.digest === change.digest) return;
  if (dataset.immutableTags.some((pattern) => matchesPattern(pattern, tag))) {
    throw new AetherError(
      "TAG_IMMUTABLE",
      `${where} may not be moved, since tags like it are immutable: choose another tag`,
      { data: { dataset: dataset.name, tag } },
    );
  }
}

/** Whether the tag matches a pattern in which `*` stands for any run of characters. */
function matchesPattern(pattern: string, tag: Tag): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return tag === pattern;
  if (!tag.startsWith(head) || !tag.endsWith(tail) || tag.length < head.length + tail.length) return false;
  let position = head.length;
  for (const part of rest) {
    const found = tag.indexOf(part, position);
    if (found === -1) return false;
    position = found + part.length;
  }
  return position <= tag.length - tail.length;
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
