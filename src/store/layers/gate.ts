import { assert } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";

/** What may be inside of a gate, and wait before it. */
export interface GateLimits {
  /** Calls inside at once. */
  readonly callsMax: number;
  /** Bytes of the calls inside. A larger call counts as this many, and so goes in when no other has any. */
  readonly bytesMax: number;
  /** Calls that may wait; one more is refused. */
  readonly waitersMax: number;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

/** Lets calls in, in the order in which they came, as long as the limits allow. */
export class Gate {
  readonly #limits: GateLimits;
  readonly #waiters = new Set<Waiter>();
  #calls = 0;
  #bytes = 0;

  constructor(limits: GateLimits) {
    assert(limits.callsMax >= 1 && limits.bytesMax >= 1 && limits.waitersMax >= 0, "limits of a gate");
    this.#limits = limits;
  }

  /**
   * What the task gives, once it was let in. Errors: STORE_UNAVAILABLE when too many wait already; the signal's reason,
   * which takes the call out of the queue.
   */
  async run<T>(bytes: number, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const counted = Math.min(bytes, this.#limits.bytesMax);
    if (this.#waiters.size > 0 || !this.#fits(counted)) await this.#wait(counted, signal);
    else this.#enter(counted);
    try {
      return await task();
    } finally {
      this.#calls--;
      this.#bytes -= counted;
      this.#admit();
    }
  }

  #fits(bytes: number): boolean {
    return this.#calls < this.#limits.callsMax && this.#bytes + bytes <= this.#limits.bytesMax;
  }

  #enter(bytes: number): void {
    this.#calls++;
    this.#bytes += bytes;
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiters.size >= this.#limits.waitersMax) {
      throw new AetherError(
        "STORE_UNAVAILABLE",
        `${this.#waiters.size} calls wait for the store already: try again later`,
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        reject(signal?.reason as Error);
        // It may have been a large one at the head that kept small ones out.
        this.#admit();
      };
      const admit = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const waiter = { bytes, admit };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return;
      this.#waiters.delete(waiter);
      this.#enter(waiter.bytes);
      waiter.admit();
    }
  }
}
