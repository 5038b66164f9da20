/** Where time enters. Passed on by the composition roots so that a simulation can supply its own. */
export interface Clock {
  /** Wall time in milliseconds since 1970, for records that people read; never for ordering or expiry. */
  readonly nowMs: () => number;
  /** Monotonic milliseconds, for durations. */
  readonly elapsedMs: () => number;
  /** Resolves after `delayMs`, or rejects when the signal aborts. */
  readonly sleep: (delayMs: number, signal?: AbortSignal) => Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};
