import { systemClock, type Clock } from "../clock.ts";

/** For tests: a clock by which one loop sleeps until the test wakes it. */
export interface SteppedClock {
  readonly clock: Clock;
  /** Wakes who sleeps, and waits until it sleeps again. */
  readonly step: () => Promise<void>;
}

/** `delayMs`: who sleeps so long is woken by the test, and others by time; undefined: everybody is. */
export function steppedClock(delayMs?: number): SteppedClock {
  let wake: (() => void) | undefined;
  let whenAsleep: (() => void) | undefined;
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      if (delayMs !== undefined && ms !== delayMs) return systemClock.sleep(ms, signal);
      return new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => {
          reject(new Error("aborted"));
        });
        wake = resolve;
        whenAsleep?.();
      });
    },
  };
  const step = async (): Promise<void> => {
    const asleep = new Promise<void>((resolve) => (whenAsleep = resolve));
    wake?.();
    await asleep;
  };
  return { clock, step };
}
