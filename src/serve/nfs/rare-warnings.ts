import type { Clock } from "../../base/clock.ts";
import type { Log, LogFacts } from "../../base/log.ts";

/** How long a warning is not repeated. */
const QUIET_MS = 60_000;
/** What warnings are told apart by; what comes besides these is one. */
const KEYS_MAX = 1000;

interface Told {
  readonly sinceMs: number;
  readonly facts: LogFacts;
  readonly message: string;
  /** What came since, and was not told. */
  more: number;
}

/** Warnings that others can provoke: of each kind one a minute, with how many there were. */
export class RareWarnings {
  readonly #clock: Clock;
  readonly #log: Log;
  /** The oldest first. */
  readonly #told = new Map<string, Told>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Tells it, unless one of the same key was told within the last minute; then it is counted, and told when a minute is over and anything comes. */
  warn(key: string, facts: LogFacts, message: string): void {
    const nowMs = this.#clock.elapsedMs();
    this.#tellOld(nowMs);
    const own = this.#told.has(key) || this.#told.size < KEYS_MAX ? key : "";
    const told = this.#told.get(own);
    if (told !== undefined) {
      told.more++;
      return;
    }
    this.#log.warn(facts, message);
    this.#told.set(own, { sinceMs: nowMs, facts, message, more: 0 });
  }

  #tellOld(nowMs: number): void {
    for (const [key, { sinceMs, facts, message, more }] of this.#told) {
      if (nowMs - sinceMs < QUIET_MS) return;
      this.#told.delete(key);
      if (more === 0) continue;
      // What has no key of its own was of many.
      this.#log.warn(key === "" ? { more } : { ...facts, more }, message);
    }
  }
}
