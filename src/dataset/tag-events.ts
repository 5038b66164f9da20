/** The announcement of tag changes in a dataset's event sequence. docs/format.md §8.4 */
import { AetherError } from "../base/errors.ts";
import type { EventRecord, HistoryRecord, TagOpening } from "../format/record.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { ringEvents } from "./event-bell.ts";
import type { Announced } from "./tag-head.ts";

/** Events that are read at once while the end of the sequence is looked for. */
const BATCH_MAX = 32;

/** Where announcing begins, and what is known of what is announced. */
export interface AnnounceFrom extends Announced {
  /** The entry after `number`, when it is at hand. */
  readonly entry?: HistoryRecord;
  /** For the hint, if it comes to name this version. */
  readonly opening?: (TagOpening & { readonly version: Digest }) | undefined;
}

/**
 * Appends the events that the tag's entries up to `upTo` lack, in order, then moves the hint. Entry `from.number` is
 * announced and no later entry is at or before event `from.event`. Each entry gets exactly one event whoever else
 * announces at the same time: an append at the end of the sequence is made knowing every event before it, is exclusive,
 * and who loses reads what won before it goes on.
 */
export async function announce(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  from: AnnounceFrom,
  upTo: number,
  options: CallOptions,
): Promise<void> {
  let announced = from.number;
  let sequence = from.event + 1;
  let last: EventRecord | undefined;
  if (from.entry !== undefined) {
    const event = eventOf(tag, from.entry, sequence);
    if (await datasets.createEvent(name, event, options)) {
      ringEvents(datasets, name, event);
      announced = event.number;
      sequence += 1;
      last = event;
    }
  }
  while (announced < upTo) {
    for await (const event of eventsFrom(datasets, name, sequence, options)) {
      sequence = event.sequence + 1;
      if (event.tag !== tag || event.number <= announced) continue;
      announced = event.number;
      last = event;
    }
    if (announced >= upTo) break;
    const event = await eventFor(datasets, name, tag, announced + 1, sequence, options);
    if (await datasets.createEvent(name, event, options)) {
      ringEvents(datasets, name, event);
      announced = event.number;
      sequence += 1;
      last = event;
    } else {
      await requireEvent(datasets, name, sequence, options);
    }
  }
  if (last === undefined) return;
  const { number, digest, state, sequence: event } = last;
  const { opening } = from;
  const isOpened = opening?.version === digest && state !== "deleted";
  const known = isOpened ? { opening: { root: opening.root, plan: opening.plan } } : {};
  await datasets.putHint(name, tag, { number, digest, state, event, ...known }, options);
}

/** The events from `first` to the end of the sequence. Reads at most a batch ahead. Errors: those of the store. */
export async function* eventsFrom(
  datasets: DatasetStore,
  name: DatasetName,
  first: number,
  options: CallOptions,
): AsyncGenerator<EventRecord> {
  for (let next = first, size = 1; ; next += size, size = Math.min(2 * size, BATCH_MAX)) {
    const numbers = Array.from({ length: size }, (_, index) => next + index);
    const batch = await Promise.all(numbers.map((number) => datasets.getEvent(name, number, options)));
    for (const event of batch) {
      // Reads of a batch are not of one moment: what comes after a gap is read again when the gap is filled.
      if (event === undefined) return;
      yield event;
    }
  }
}

async function eventFor(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  number: number,
  sequence: number,
  options: CallOptions,
): Promise<EventRecord> {
  const record = await datasets.getHistory(name, tag, number, options);
  if (record === undefined) {
    throw new AetherError("OBJECT_MISSING", `entry ${number} of the history of ${name}:${tag} is missing`, {
      data: { dataset: name, tag, number },
    });
  }
  return eventOf(tag, record, sequence);
}

function eventOf(tag: Tag, { number, state, digest, time }: HistoryRecord, sequence: number): EventRecord {
  return { sequence, kind: "tag", tag, number, state, digest, time };
}

/** Without what won, the store contradicts itself, and going on would never end. */
async function requireEvent(
  datasets: DatasetStore,
  name: DatasetName,
  sequence: number,
  options: CallOptions,
): Promise<void> {
  if ((await datasets.getEvent(name, sequence, options)) !== undefined) return;
  throw new AetherError(
    "STORE_UNAVAILABLE",
    `the store refuses event ${sequence} of ${name} and does not show it: try again later`,
    { data: { dataset: name, sequence } },
  );
}
