import type { Clock } from "../../base/clock.ts";

/** Spreads work over time: at most so many bytes a second, on average. */
export class Throttle {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number | undefined;
  /** When all that was taken so far is paid for, by the clock's monotonic time. */
  #paidMs = 0;

  /** `bytesPerSecond` undefined: no limit. */
  constructor(clock: Clock, bytesPerSecond: number | undefined) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when so many bytes more may be moved. Rejects when the signal aborts. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === undefined) return;
    const nowMs = this.#clock.elapsedMs();
    const waitMs = this.#paidMs - nowMs;
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytes * 1000) / this.#bytesPerSecond;
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }
}
