/** Following a dataset's events. docs/format.md §8.4 */
import type { EventRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import { requireDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { EventListener } from "./event-bell.ts";
import { eventsFrom } from "./tag-events.ts";

/** How long until the store is asked again for events of other processes: doubled from one to the other while there are none. */
const POLL_FIRST_MS = 250;
const POLL_MS_MAX = 2000;

/** Which events. */
export interface WatchEventsOptions extends CallOptions {
  /** The first event that is wanted, from 1; undefined: only those to come. */
  readonly sequence?: number | undefined;
  /** Only of this tag. */
  readonly tag?: Tag | undefined;
  /** Ends after the events that are there when it begins. */
  readonly untilNow?: boolean | undefined;
}

/**
 * The dataset's events, in order, each once; stays open for those to come until the signal aborts, then it rejects.
 * Who goes on later passes the last event's sequence + 1. Reads no further ahead than a batch.
 * Errors: DATASET_NOT_FOUND; those of the store.
 */
export async function* watchEvents(
  engine: Engine,
  name: DatasetName,
  options: WatchEventsOptions = {},
): AsyncGenerator<EventRecord> {
  const { tag, untilNow = false, signal } = options;
  const { datasets } = engine.store;
  await requireDataset(engine, name, options);
  const listener = new EventListener(datasets, name);
  try {
    const isBounded = untilNow || options.sequence === undefined;
    const last = isBounded ? await datasets.lastEvent(name, options) : Number.POSITIVE_INFINITY;
    let next = options.sequence ?? last + 1;
    for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(2 * delayMs, POLL_MS_MAX)) {
      for await (const event of eventsFrom(datasets, name, next, options)) {
        if (untilNow && event.sequence > last) return;
        next = event.sequence + 1;
        delayMs = POLL_FIRST_MS;
        if (tag === undefined || event.tag === tag) yield event;
      }
      if (untilNow) return;
      await listener.wait(engine.clock, delayMs, signal);
    }
  } finally {
    listener.close();
  }
}
