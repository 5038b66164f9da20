import { SharedCall, type WaitOptions } from "../../base/shared-call.ts";

interface Slot<V> {
  readonly call: SharedCall<V>;
  weight: number;
}

/**
 * Values by key, loaded at most once at a time each and kept while their weights come to no more than `weightMax`; the
 * one used longest ago goes first. A load that fails is forgotten, and one that nobody wants any more is aborted.
 */
export class LoadingCache<V> {
  readonly #weightMax: number;
  readonly #weigh: (value: V) => number;
  readonly #slots = new Map<string, Slot<V>>();
  #weight = 0;

  constructor(weightMax: number, weigh: (value: V) => number) {
    this.#weightMax = weightMax;
    this.#weigh = weigh;
  }

  /** Whether the value is there, or being loaded. */
  has(key: string): boolean {
    return this.#slots.get(key)?.call.isAbandoned === false;
  }

  /** The value, or the one being loaded, which counts as used now; undefined: there is none. `options` as in get(). */
  use(key: string, options?: WaitOptions): Promise<V> | undefined {
    const known = this.#slots.get(key);
    if (known === undefined || known.call.isAbandoned) return undefined;
    this.#slots.delete(key);
    this.#slots.set(key, known);
    return known.call.join(options);
  }

  /**
   * The value of `key`; `load` makes it when it is not there, as a SharedCall. Errors: those of `load`; the signal's reason, for who gives
   * up.
   */
  get(key: string, load: (signal: AbortSignal) => Promise<V>, options?: WaitOptions): Promise<V> {
    const known = this.use(key, options);
    if (known !== undefined) return known;
    const slot: Slot<V> = { call: new SharedCall(load), weight: 0 };
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    slot.call.result.then(
      (value) => {
        this.#admit(key, slot, this.#weigh(value));
      },
      () => {
        if (this.#slots.get(key) === slot) this.#slots.delete(key);
      },
    );
    return slot.call.join(options);
  }

  /** Forgets a value. */
  remove(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#weight -= slot.weight;
  }

  #admit(key: string, slot: Slot<V>, weight: number): void {
    if (this.#slots.get(key) !== slot) return;
    slot.weight = weight;
    this.#weight += weight;
    for (const [oldest, { weight: loaded }] of this.#slots) {
      if (this.#weight <= this.#weightMax) return;
      if (loaded > 0) this.remove(oldest);
    }
  }
}
