import type { Clock } from "../../../base/clock.ts";

/** When a second request is sent for a slow one. */
export interface HedgeLimits {
  /** Hedges that each request earns: their share. */
  readonly share: number;
  /** Hedges that may be saved up. */
  readonly savedMax: number;
  /** Answers that must be known before the first. */
  readonly samplesMin: number;
  /** No request is slow before this. */
  readonly boundMsMin: number;
}

const SAMPLES_MAX = 128;
/** Of the last answers, so many came within the bound. */
const QUANTILE = 0.95;

/**
 * Asks again when an answer is later than nearly all of the last ones, takes the first answer and aborts the other. An error
 * before the bound, or of both, is the error of the first.
 */
export class Hedge {
  readonly #clock: Clock;
  readonly #limits: HedgeLimits;
  readonly #samples: number[] = [];
  #next = 0;
  #boundMs = Infinity;
  #saved: number;

  constructor(clock: Clock, limits: HedgeLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#saved = limits.savedMax;
  }

  /** The answer of the call, which resolves when it begins. `discard` gets one that came although it was aborted. */
  async run<T>(
    call: (signal: AbortSignal) => Promise<T>,
    discard: (late: T) => void,
    signal: AbortSignal,
  ): Promise<T> {
    const { share, savedMax } = this.#limits;
    this.#saved = Math.min(this.#saved + share, savedMax);
    const first = this.#start(call, signal);
    const isSlow = await this.#isSlow(first.answer, signal);
    if (!isSlow || this.#saved < 1) return await first.answer;
    this.#saved--;
    const second = this.#start(call, signal);
    const settled = (one: Try<T>): Promise<Try<T>> => one.answer.then(() => one);
    let winner = first;
    try {
      winner = await Promise.any([settled(first), settled(second)]);
    } catch {
      // Both failed: what the first says counts.
    }
    const loser = winner === first ? second : first;
    loser.abort();
    loser.answer.then(discard, () => undefined);
    return await winner.answer;
  }

  #start<T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Try<T> {
    const controller = new AbortController();
    const onAbort = (): void => {
      controller.abort(signal.reason);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const begunMs = this.#clock.elapsedMs();
    const note = (): void => {
      this.#note(this.#clock.elapsedMs() - begunMs);
    };
    const answer = call(controller.signal).finally(() => {
      signal.removeEventListener("abort", onAbort);
    });
    answer.then(note, () => undefined);
    const abort = (): void => {
      // That it was not faster than this is known.
      note();
      controller.abort();
    };
    return { answer, abort };
  }

  async #isSlow(answer: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
    if (this.#boundMs === Infinity) return false;
    const timer = new AbortController();
    const late = this.#clock.sleep(this.#boundMs, timer.signal).then(
      () => !signal.aborted,
      () => false,
    );
    const isSlow = await Promise.race([
      late,
      answer.then(
        () => false,
        () => false,
      ),
    ]);
    timer.abort();
    return isSlow;
  }

  #note(elapsedMs: number): void {
    const { samplesMin, boundMsMin } = this.#limits;
    this.#samples[this.#next] = elapsedMs;
    this.#next = (this.#next + 1) % SAMPLES_MAX;
    if (this.#samples.length < samplesMin) return;
    const sorted = this.#samples.toSorted((a, b) => a - b);
    const bound = sorted[Math.floor(QUANTILE * (sorted.length - 1))] ?? Infinity;
    this.#boundMs = Math.max(bound, boundMsMin);
  }
}

interface Try<T> {
  readonly answer: Promise<T>;
  readonly abort: () => void;
}
