import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";

/** What may be inside of a gate, and wait before it. */
export interface FairGateLimits {
  readonly placesMax: number;
  readonly waitersMax: number;
  /** How long somebody waits at most, in milliseconds. */
  readonly waitMs: number;
}

/** Somebody who takes a place. */
export interface Occupant {
  /** Whose places count together. */
  readonly who: string;
  /** For how long it has held the place up for nothing, in milliseconds; 0: it goes on. `nowMs` is of the monotonic clock. */
  readonly idleMs: (nowMs: number) => number;
  /** Has it leave soon, because others wait. */
  readonly end: () => void;
}

interface Waiter {
  readonly occupant: Occupant;
  readonly sinceMs: number;
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

/**
 * Nobody takes more than this many times what stays free, so that there is always room for somebody else: alone one has three quarters,
 * two have three sevenths each. Choudhury, Hahne: "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998
 */
const SHARE = 3;
/** How often it is looked whether somebody who is inside can be ended for those who wait. */
const LOOK_MS = 250;
/** When a client that was refused should try again. */
const RETRY_SECONDS = 5;

/**
 * Lets some in at a time. Of those who wait, the one comes next who has the fewest inside; who holds a place for nothing is ended when
 * others wait that have no more than it.
 */
export class FairGate {
  readonly #limits: FairGateLimits;
  readonly #clock: Clock;
  readonly #inside = new Map<string, Set<Occupant>>();
  readonly #waiting = new Map<string, Set<Waiter>>();
  readonly #ended = new WeakSet<Occupant>();
  #places = 0;
  #waiters = 0;
  #isWatched = false;

  constructor(limits: FairGateLimits, clock: Clock) {
    assert(limits.placesMax >= 1 && limits.waitersMax >= 0, "limits of a gate");
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Whether somebody would be let in at once. */
  isFree(who: string): boolean {
    return !this.#waiting.has(who) && this.#fits(who);
  }

  /** Lets somebody in at once, or not at all; what it gives is called once, to leave. */
  tryEnter(occupant: Occupant): (() => void) | undefined {
    return this.isFree(occupant.who) ? this.#take(occupant) : undefined;
  }

  /**
   * Lets somebody in, sooner or later; what it gives is called once, to leave. Errors: HUB_BUSY when too many wait, or it takes too long;
   * the signal's reason, which ends the wait.
   */
  async enter(occupant: Occupant, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const leave = this.tryEnter(occupant);
    if (leave !== undefined) return leave;
    await this.#wait(occupant, signal);
    return () => {
      this.#leave(occupant);
    };
  }

  #fits(who: string): boolean {
    return (this.#inside.get(who)?.size ?? 0) < SHARE * (this.#limits.placesMax - this.#places);
  }

  #take(occupant: Occupant): () => void {
    const { who } = occupant;
    this.#places++;
    const own = this.#inside.get(who);
    if (own === undefined) this.#inside.set(who, new Set([occupant]));
    else own.add(occupant);
    return () => {
      this.#leave(occupant);
    };
  }

  #leave(occupant: Occupant): void {
    const { who } = occupant;
    const own = this.#inside.get(who);
    if (own?.delete(occupant) !== true) return;
    if (own.size === 0) this.#inside.delete(who);
    this.#places--;
    this.#admit();
  }

  #wait(occupant: Occupant, signal: AbortSignal): Promise<void> {
    const { who } = occupant;
    const own = this.#waiting.get(who) ?? new Set<Waiter>();
    if (own.size >= SHARE * (this.#limits.waitersMax - this.#waiters)) throw busy();
    return new Promise((resolve, reject) => {
      const forget = (): void => {
        signal.removeEventListener("abort", leave);
        own.delete(waiter);
        if (own.size === 0) this.#waiting.delete(who);
        this.#waiters--;
      };
      const refuse = (error: Error): void => {
        forget();
        reject(error);
      };
      const leave = (): void => {
        refuse(signal.reason as Error);
      };
      const admit = (): void => {
        forget();
        // Who came last is last among those with as many inside.
        if (own.size > 0) this.#waiting.delete(who);
        if (own.size > 0) this.#waiting.set(who, own);
        this.#take(occupant);
        resolve();
      };
      const waiter = { occupant, sinceMs: this.#clock.elapsedMs(), admit, refuse };
      own.add(waiter);
      this.#waiting.set(who, own);
      this.#waiters++;
      signal.addEventListener("abort", leave, { once: true });
      if (!this.#isWatched) void this.#watch();
    });
  }

  #admit(): void {
    for (;;) {
      const next = this.#next();
      if (next === undefined || !this.#fits(next.occupant.who)) return;
      next.admit();
    }
  }

  /** Who has the fewest inside, and of those who waits the longest. */
  #next(): Waiter | undefined {
    let fewest = Infinity;
    let next: Waiter | undefined;
    for (const [who, own] of this.#waiting) {
      const inside = this.#inside.get(who)?.size ?? 0;
      if (inside >= fewest) continue;
      fewest = inside;
      [next] = own;
    }
    return next;
  }

  async #watch(): Promise<void> {
    this.#isWatched = true;
    while (this.#waiters > 0) {
      await this.#clock.sleep(LOOK_MS);
      this.#refuseLate();
      this.#endIdle();
    }
    this.#isWatched = false;
  }

  #refuseLate(): void {
    const nowMs = this.#clock.elapsedMs();
    for (const waiter of [...this.#waiting.values()].flatMap((own) => [...own])) {
      if (nowMs - waiter.sinceMs >= this.#limits.waitMs) waiter.refuse(busy());
    }
  }

  #endIdle(): void {
    const next = this.#next();
    if (next === undefined) return;
    const nowMs = this.#clock.elapsedMs();
    const insideOfNext = this.#inside.get(next.occupant.who)?.size ?? 0;
    const idle = [...this.#inside.values()]
      .filter((own) => own.size >= insideOfNext)
      .flatMap((own) => [...own].map((occupant) => ({ occupant, held: own.size })))
      .filter(({ occupant }) => !this.#ended.has(occupant) && occupant.idleMs(nowMs) > 0)
      .sort(
        (one, other) => other.held - one.held || other.occupant.idleMs(nowMs) - one.occupant.idleMs(nowMs),
      );
    for (const { occupant } of idle.slice(0, this.#waiters)) {
      this.#ended.add(occupant);
      occupant.end();
    }
  }
}

function busy(): AetherError {
  const data = { retryAfterSeconds: RETRY_SECONDS };
  return new AetherError("HUB_BUSY", "too much is under way: try again later", { data });
}
