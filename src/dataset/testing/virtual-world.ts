/** Processes on one store whose clocks differ, which stand still and die: all in virtual time, by a seed. */
import type { Clock } from "../../base/clock.ts";
import { fractions } from "../../store/conformance/faulty-store.ts";
import type { Store } from "../../store/dataset-store.ts";

/** Turns of the event loop after which everything has come to its next call. */
const SETTLE_TURNS = 3;
/** How long a call takes on its way there, and back. */
const CALL_MS_MAX = 1000;
/** Later than anything that happens. */
const FOREVER_MS = 1e15;

/** What a process that died throws at whoever works in it. */
export class Death extends Error {}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly resolve: () => void;
}

/** How calls of a process fare. */
export interface ActorOptions {
  /** Calls after which it dies, each time after its last death; Infinity: never. */
  readonly callsMax: number;
  /** The share of calls before which it stands still, and for how long at most. */
  readonly pauses: number;
  readonly pauseMsMax: number;
}

/** Virtual time, and what waits for it. */
export class VirtualWorld {
  readonly fraction: () => number;
  #nowMs = 1_000_000;
  #order = 0;
  #events: Event[] = [];

  constructor(seed: number) {
    this.fraction = fractions(seed);
  }

  /** Milliseconds of true time. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** An integer from 0 to `max` − 1. */
  below(max: number): number {
    return Math.floor(this.fraction() * max);
  }

  /** True in this share of cases. */
  chance(share: number): boolean {
    return this.fraction() < share;
  }

  /** 32 hex digits. */
  readonly id = (): string => Array.from({ length: 32 }, () => this.below(16).toString(16)).join("");

  /** The clock of nobody in particular: the store's. */
  readonly clock: Clock = {
    nowMs: () => this.#nowMs,
    elapsedMs: () => this.#nowMs,
    sleep: (delayMs, signal) => this.sleep(delayMs, signal),
  };

  /** Resolves so many milliseconds later; rejects when the signal aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const event = { atMs: this.#nowMs + delayMs, order: this.#order++, resolve };
      this.#events.push(event);
      const abort = (): void => {
        this.#events = this.#events.filter((other) => other !== event);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Lets time pass until the tasks have ended. */
  async run(tasks: readonly Promise<void>[]): Promise<void> {
    const state = { isOver: false };
    const all = Promise.all(tasks).finally(() => {
      state.isOver = true;
    });
    for (;;) {
      for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise(setImmediate);
      if (state.isOver) break;
      let next: Event | undefined;
      for (const event of this.#events)
        if (
          next === undefined ||
          event.atMs < next.atMs ||
          (event.atMs === next.atMs && event.order < next.order)
        )
          next = event;
      if (next === undefined) continue;
      this.#events = this.#events.filter((event) => event !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.resolve();
    }
    await all;
  }
}

/** One process. */
export class Actor {
  readonly clock: Clock;
  readonly store: Store;
  readonly #world: VirtualWorld;
  readonly #options: ActorOptions;
  #calls = 0;
  #isDead = false;

  /** Its clock is off by days, and runs up to a tenth too fast or slow. */
  constructor(world: VirtualWorld, store: Store, options: ActorOptions) {
    this.#world = world;
    this.#options = options;
    const skewMs = (world.fraction() - 0.5) * 20 * 86_400_000;
    const rate = 0.9 + world.fraction() * 0.2;
    this.clock = {
      nowMs: () => world.nowMs + skewMs + 1e12,
      elapsedMs: () => world.nowMs * rate,
      // Who is dead does not wake up; but what waits for its end is let go.
      sleep: (delayMs, signal) => world.sleep(this.#isDead ? FOREVER_MS : delayMs / rate, signal),
    };
    this.store = {
      blocks: this.#through(store.blocks),
      datasets: this.#through(store.datasets),
      close: () => Promise.resolve(),
    };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  #through<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== "function") return member;
        const call = (parameters: unknown[]): unknown => Reflect.apply(member, object, parameters);
        if (String(name).startsWith("list"))
          return (...parameters: unknown[]) => this.#items(() => call(parameters));
        return (...parameters: unknown[]) => this.#call(() => call(parameters));
      },
    });
  }

  async #call(call: () => unknown): Promise<unknown> {
    const dies = await this.#before();
    const result = await call();
    if (dies) throw this.#die();
    await this.#world.sleep(this.#world.fraction() * CALL_MS_MAX);
    return result;
  }

  async *#items(list: () => unknown): AsyncGenerator {
    const dies = await this.#before();
    for await (const item of list() as AsyncIterable<unknown>) {
      if (this.#world.chance(0.1)) await this.#world.sleep(this.#world.fraction() * CALL_MS_MAX);
      yield item;
    }
    if (dies) throw this.#die();
  }

  /** Whether the call is the process's last, whose answer it does not live to see. */
  async #before(): Promise<boolean> {
    if (this.#isDead) throw new Death();
    const { callsMax, pauses, pauseMsMax } = this.#options;
    const pauseMs = this.#world.chance(pauses) ? pauseMsMax : CALL_MS_MAX;
    await this.#world.sleep(this.#world.fraction() * pauseMs);
    this.#calls++;
    if (this.#calls <= callsMax) return false;
    if (this.#world.chance(0.5)) throw this.#die();
    return true;
  }

  #die(): Death {
    this.#isDead = true;
    return new Death();
  }
}
