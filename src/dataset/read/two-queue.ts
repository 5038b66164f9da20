/** The share of the places that what was asked for once may take, while there is anything else to drop. */
const ONCE_SHARE = 1 / 4;
/** Keys of what was dropped that are remembered, for each place. */
const GHOSTS_PER_PLACE = 2;

/**
 * Which of the values that are kept is to be dropped first, so that a long scan does not drive out what is used again and
 * again: 2Q (Johnson, Shasha: "2Q: A Low Overhead High Performance Buffer Management Replacement Algorithm", VLDB 1994). A value is in a
 * queue of new ones, and stays there however often it is asked for at once; one that comes back after it was dropped
 * is kept in the order of last use.
 */
export class TwoQueue<V extends object> {
  readonly #onceMax: number;
  readonly #ghostsMax: number;
  readonly #once = new Map<string, V>();
  readonly #again = new Map<string, V>();
  /** Keys of what was dropped from the new ones, the oldest first. */
  readonly #ghosts = new Set<string>();

  /** `countMax`: how many values the owner keeps; it is the owner who drops them. */
  constructor(countMax: number) {
    this.#onceMax = countMax * ONCE_SHARE;
    this.#ghostsMax = countMax * GHOSTS_PER_PLACE;
  }

  /** Whether the key has a value. */
  has(key: string): boolean {
    return this.#once.has(key) || this.#again.has(key);
  }

  /** The value, which counts as used now. */
  get(key: string): V | undefined {
    const again = this.#again.get(key);
    if (again === undefined) return this.#once.get(key);
    this.#again.delete(key);
    this.#again.set(key, again);
    return again;
  }

  /** Adds a value whose key has none. */
  add(key: string, value: V): void {
    if (this.#ghosts.delete(key)) this.#again.set(key, value);
    else this.#once.set(key, value);
  }

  /** Forgets the key. */
  remove(key: string): void {
    this.#once.delete(key);
    this.#again.delete(key);
    this.#ghosts.delete(key);
  }

  /** Takes a value out, and knows its key again when it comes back soon. */
  drop(key: string): void {
    this.#again.delete(key);
    if (!this.#once.delete(key)) return;
    this.#ghosts.add(key);
    for (const oldest of this.#ghosts) {
      if (this.#ghosts.size <= this.#ghostsMax) return;
      this.#ghosts.delete(oldest);
    }
  }

  /** All values, the one to drop first coming first. The one at hand may be dropped meanwhile. */
  *inOrder(): Generator<readonly [string, V]> {
    const [first, then] =
      this.#once.size > this.#onceMax || this.#again.size === 0
        ? [this.#once, this.#again]
        : [this.#again, this.#once];
    yield* first;
    yield* then;
  }
}
