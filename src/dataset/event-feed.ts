/** The end of a dataset's events, looked for once for all in this process who follow the dataset. docs/format.md §8.4 */
import { must } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import type { DatasetRecord, EventRecord } from "../format/record.ts";
import type { DatasetName } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import type { Engine } from "./engine.ts";
import { listenForEvents } from "./event-bell.ts";
import { eventsFrom } from "./tag-events.ts";

/** How long until the next event is asked for, in milliseconds: at least, and at most of a store that each look costs money at. */
const LOOK_MS_MIN = 100;
const LOOK_MS_MAX = 2000;
/** At most of a folder, where a look takes microseconds. */
const FOLDER_LOOK_MS_MAX = 250;
/** Of the time since the last event, what may pass until the next look: what comes every hour need not be asked for every second. */
const QUIET_SHARE = 1 / 8;
/** Newest events that are kept, so that of many followers not each reads them. */
const RECENT_MAX = 256;
/** Events that are read at once. */
const BATCH_MAX = 32;

/** By name and incarnation: a dataset that was deleted and made again begins its events anew. */
const feeds = new WeakMap<DatasetStore, Map<string, EventFeed>>();

/** What one who waits is told. */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One dataset's feed. Whoever joins it leaves it; without followers it asks the store for nothing. */
export class EventFeed {
  readonly #engine: Engine;
  readonly #name: DatasetName;
  readonly #ended = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #forget: () => void;
  #followers = 0;
  /** The highest sequence that was seen; undefined until somebody asked. */
  #end: number | undefined;
  /** The events up to the end, without holes. */
  #recent: EventRecord[] = [];
  #starting: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #isRunning = false;
  #endPause: (() => void) | undefined;

  private constructor(engine: Engine, name: DatasetName, forget: () => void) {
    this.#engine = engine;
    this.#name = name;
    const unlisten = listenForEvents(engine.store.datasets, name, (event) => {
      this.#take(event);
      this.#endPause?.();
    });
    this.#forget = () => {
      unlisten();
      forget();
    };
  }

  /** The feed of a dataset in the engine's store, one for all who follow it now. Leave it, whatever happens. */
  static join(engine: Engine, { name, incarnation }: DatasetRecord): EventFeed {
    const { datasets } = engine.store;
    const ofStore = feeds.get(datasets) ?? new Map<string, EventFeed>();
    feeds.set(datasets, ofStore);
    const key = `${name} ${incarnation}`;
    const feed = ofStore.get(key) ?? new EventFeed(engine, name, () => ofStore.delete(key));
    ofStore.set(key, feed);
    feed.#followers++;
    return feed;
  }

  /** Ends one follower's part. */
  leave(): void {
    if (--this.#followers > 0) return;
    this.#forget();
    this.#ended.abort(new AetherError("CANCELLED", "nobody follows the events any more"));
  }

  /** The highest sequence that the store has, or 0: what was appended before the call counts. Errors: those of the store. */
  async last({ signal }: CallOptions): Promise<number> {
    const isFirst = this.#end === undefined && this.#starting === undefined;
    if (this.#end === undefined) await orAborted(this.#start(), signal);
    if (!isFirst) {
      // A look that is under way may have begun before the call.
      await orAborted(Promise.resolve(this.#looking), signal);
      await orAborted(this.#look(), signal);
    }
    return this.#knownEnd;
  }

  /** The events from `first` to the end that is known. Errors: those of the store. */
  async *from(first: number, options: CallOptions): AsyncGenerator<EventRecord> {
    for (let next = first, size = 1; next <= this.#knownEnd; size = Math.min(2 * size, BATCH_MAX)) {
      const recent = this.#recent[next - (this.#knownEnd - this.#recent.length + 1)];
      if (recent !== undefined) {
        next++;
        yield recent;
        continue;
      }
      const count = Math.min(size, this.#knownEnd - next + 1);
      const numbers = Array.from({ length: count }, (_, index) => next + index);
      const batch = await Promise.all(numbers.map((number) => this.#read(number, options)));
      next += count;
      yield* batch;
    }
  }

  /** Resolves once event `sequence` is there. Rejects when the signal aborts, or a look fails: with the store's error. */
  async until(sequence: number, { signal }: CallOptions): Promise<void> {
    while (this.#knownEnd < sequence) {
      signal?.throwIfAborted();
      if (!this.#isRunning) void this.#run();
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const waiter: Waiter = { resolve: () => resolve(undefined), reject };
      this.#waiters.add(waiter);
      await orAborted(promise, signal).finally(() => this.#waiters.delete(waiter));
    }
  }

  #start(): Promise<void> {
    const options = { signal: this.#ended.signal };
    this.#starting ??= this.#engine.store.datasets
      .lastEvent(this.#name, options)
      .then((last) => {
        this.#end ??= last;
      })
      .finally(() => {
        this.#starting = undefined;
      });
    return this.#starting;
  }

  get #knownEnd(): number {
    return must(this.#end, "the last event was asked for");
  }

  async #read(sequence: number, options: CallOptions): Promise<EventRecord> {
    const event = await this.#engine.store.datasets.getEvent(this.#name, sequence, options);
    if (event !== undefined) return event;
    throw new AetherError(
      "STORE_UNAVAILABLE",
      `the store has later events of ${this.#name} and does not show event ${sequence}: try again later`,
      { data: { dataset: this.#name, sequence } },
    );
  }

  /** Looks now and then, as long as anybody follows. */
  async #run(): Promise<void> {
    const { clock } = this.#engine;
    this.#isRunning = true;
    let changedMs = clock.elapsedMs();
    for (;;) {
      const before = this.#end;
      await this.#pause(clock.elapsedMs() - changedMs);
      if (this.#followers === 0) return;
      // What this process appended is known without a look.
      if (this.#end === before) {
        await this.#look().catch((error: unknown) => {
          for (const { reject } of this.#waiters) reject(error);
        });
      }
      if (this.#end !== before) changedMs = clock.elapsedMs();
    }
  }

  /** As long as the quiet allows; shorter when the bell rings or nobody follows any more. */
  async #pause(quietMs: number): Promise<void> {
    const { clock, store } = this.#engine;
    const isFolder = store.blocks.features.folder !== undefined;
    const longestMs = isFolder ? FOLDER_LOOK_MS_MAX : LOOK_MS_MAX;
    const delayMs = Math.min(Math.max(LOOK_MS_MIN, quietMs * QUIET_SHARE), longestMs);
    const woken = new AbortController();
    this.#endPause = () => {
      woken.abort();
    };
    const signal = AbortSignal.any([woken.signal, this.#ended.signal]);
    await clock.sleep(delayMs, signal).catch(() => undefined);
    this.#endPause = undefined;
  }

  /** Takes what was appended since the last look: when that is nothing, it is one request. One look at a time. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { signal } = this.#ended;
    const { datasets } = this.#engine.store;
    for await (const event of eventsFrom(datasets, this.#name, this.#knownEnd + 1, { signal }))
      this.#take(event);
  }

  #take(event: EventRecord): void {
    if (this.#end === undefined || event.sequence !== this.#end + 1) return;
    this.#end = event.sequence;
    this.#recent.push(event);
    if (this.#recent.length > 2 * RECENT_MAX) this.#recent = this.#recent.slice(-RECENT_MAX);
    for (const { resolve } of this.#waiters) resolve();
  }
}

/** The promise's outcome, or the signal's reason when that comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  // Who gives up leaves the promise to others, or to nobody.
  promise.catch(() => undefined);
  signal?.throwIfAborted();
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
