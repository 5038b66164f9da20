import type { Clock } from "../base/clock.ts";

/** Sleeps that are shorter are saved up. */
const SLEEP_MS_MIN = 20;

/** Keeps work to a number of bytes a second. */
export class Pace {
  readonly #clock: Clock;
  readonly #rateBytes: number;
  #dueMs: number;

  /** `rateBytes` Infinity: as fast as it goes. */
  constructor(clock: Clock, rateBytes: number) {
    this.#clock = clock;
    this.#rateBytes = rateBytes;
    this.#dueMs = clock.elapsedMs();
  }

  /** Waits until so many more bytes may be read. What was not used before is not saved up. Errors: the signal's reason. */
  async take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const nowMs = this.#clock.elapsedMs();
    this.#dueMs = Math.max(this.#dueMs, nowMs - SLEEP_MS_MIN) + (bytes / this.#rateBytes) * 1000;
    const waitMs = this.#dueMs - nowMs;
    if (waitMs > SLEEP_MS_MIN) await this.#clock.sleep(waitMs, signal);
  }
}
