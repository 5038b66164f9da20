/** Tells who waits for a dataset's events that this process has appended one. Other processes' events are polled for. */
import type { Clock } from "../base/clock.ts";
import type { DatasetName } from "../format/reference.ts";
import type { DatasetStore } from "../store/dataset-store.ts";

const listeners = new WeakMap<DatasetStore, Set<EventListener>>();

/** Wakes everybody who waits for events of the dataset. */
export function ringEvents(datasets: DatasetStore, name: DatasetName): void {
  for (const listener of listeners.get(datasets) ?? []) if (listener.name === name) listener.ring();
}

/** Waits for events of one dataset, for one consumer. close() forgets it. */
export class EventListener {
  readonly name: DatasetName;
  readonly #others: Set<EventListener>;
  /** There was an event since the last wait() began to listen. */
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(datasets: DatasetStore, name: DatasetName) {
    this.name = name;
    this.#others = listeners.get(datasets) ?? new Set();
    listeners.set(datasets, this.#others);
    this.#others.add(this);
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves once the bell has rung since the last call, after `delayMs` at the latest. Rejects when the signal aborts. */
  async wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#rung) await this.#sleep(clock, delayMs, signal);
    this.#rung = false;
    signal?.throwIfAborted();
  }

  close(): void {
    this.#others.delete(this);
  }

  async #sleep(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => {
      woken.abort();
    };
    this.#wake = wake;
    signal?.addEventListener("abort", wake, { once: true });
    try {
      await clock.sleep(delayMs, woken.signal);
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      signal?.removeEventListener("abort", wake);
      this.#wake = undefined;
    }
  }
}
