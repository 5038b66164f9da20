import type { Clock } from "../../base/clock.ts";

interface Known<V> {
  readonly value: Promise<V>;
  readonly sinceMs: number;
}

/** What was looked up, for a short while, and for everybody who asks meanwhile; what failed is not remembered. */
export class Remembered<V> {
  readonly #clock: Clock;
  readonly #ageMsMax: number;
  readonly #countMax: number;
  /** The oldest first. */
  readonly #known = new Map<string, Known<V>>();

  constructor(clock: Clock, limits: { readonly ageMsMax: number; readonly countMax: number }) {
    this.#clock = clock;
    this.#ageMsMax = limits.ageMsMax;
    this.#countMax = limits.countMax;
  }

  /** The value, looked up now when it is not known or too old. Errors: those of `look`. */
  get(key: string, look: () => Promise<V>): Promise<V> {
    const known = this.#known.get(key);
    const nowMs = this.#clock.elapsedMs();
    if (known !== undefined && nowMs - known.sinceMs < this.#ageMsMax) return known.value;
    return this.look(key, look);
  }

  /** The value, looked up now. Errors: those of `look`. */
  look(key: string, look: () => Promise<V>): Promise<V> {
    const known = { value: look(), sinceMs: this.#clock.elapsedMs() };
    this.#known.delete(key);
    this.#known.set(key, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#countMax) break;
      this.#known.delete(oldest);
    }
    known.value.catch(() => {
      if (this.#known.get(key) === known) this.#known.delete(key);
    });
    return known.value;
  }
}
