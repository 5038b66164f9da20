import { compareUtf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";

/** How long and how often to try. */
export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Tries of one call, the first included. */
  readonly attemptsMax: number;
  /** The longest wait after the first failure; it doubles with each further one, up to `delayMsMax`. */
  readonly delayMsFirst: number;
  readonly delayMsMax: number;
}

/** Retries that may be made before successes must earn more: a store that is down gets few calls, not many times more. */
const BUDGET_MAX = 50;
/** What one success earns. */
const BUDGET_EARNED = 0.1;

/** Repeats calls that failed for a while: exponential back-off with full jitter, within a budget that all calls share. */
export class Retry {
  readonly #options: RetryOptions;
  #budget = BUDGET_MAX;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /**
   * What the call gives; it is told how often it was tried before, and must be one that may be repeated. Rejects with the last
   * error. Conflicts are not repeated here: only who made the call can read again and decide.
   */
  async run<T>(call: (retries: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let retries = 0; ; retries++) {
      try {
        const result = await call(retries);
        this.#budget = Math.min(this.#budget + BUDGET_EARNED, BUDGET_MAX);
        return result;
      } catch (error) {
        await this.#waitOrThrow(error, retries, signal);
      }
    }
  }

  /**
   * The items of an iterable that is opened again after a failure, from its beginning; those up to the last one given are
   * left out. `keyOf` gives what they are ordered by, in byte order.
   */
  async *iterate<T>(
    open: () => AsyncIterable<T>,
    keyOf: (item: T) => string,
    signal?: AbortSignal,
  ): AsyncGenerator<T> {
    let last: string | undefined;
    for (let retries = 0; ; retries++) {
      try {
        for await (const item of open()) {
          const key = keyOf(item);
          if (last !== undefined && compareUtf8(key, last) <= 0) continue;
          last = key;
          retries = 0;
          yield item;
        }
        return;
      } catch (error) {
        await this.#waitOrThrow(error, retries, signal);
      }
    }
  }

  async #waitOrThrow(error: unknown, retries: number, signal?: AbortSignal): Promise<void> {
    const { attemptsMax, delayMsFirst, delayMsMax, clock, random } = this.#options;
    if (!mayRetry(error) || retries + 1 >= attemptsMax || this.#budget < 1) throw error;
    this.#budget--;
    const delayMs = Math.min(delayMsFirst * 2 ** retries, delayMsMax);
    await clock.sleep(random.fraction() * delayMs, signal);
  }
}

function mayRetry(error: unknown): boolean {
  if (!(error instanceof AetherError) || !error.retry) return false;
  return error.code !== "OBJECT_CONFLICT" && error.code !== "TAG_CONFLICT";
}
