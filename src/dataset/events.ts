/** Following a dataset's events. docs/format.md §8.4 */
import type { EventRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import { requireDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { EventFeed } from "./event-feed.ts";

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
  const { tag, untilNow = false } = options;
  const feed = EventFeed.join(engine, await requireDataset(engine, name, options));
  try {
    const last = await feed.last(options);
    for (let next = options.sequence ?? last + 1; ;) {
      for await (const event of feed.from(next, options)) {
        if (untilNow && event.sequence > last) return;
        next = event.sequence + 1;
        if (tag === undefined || event.tag === tag) yield event;
      }
      if (untilNow) return;
      await feed.until(next, options);
    }
  } finally {
    feed.leave();
  }
}
