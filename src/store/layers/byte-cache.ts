/** What an entry takes besides its bytes, so that many tiny ones are bounded too. */
const ENTRY_BYTES = 256;
/** The share of the budget for entries that were asked for more than once. */
const PROTECTED_SHARE = 0.8;
/** A larger share of the budget than this is not kept for one entry. */
const ENTRY_SHARE_MAX = 1 / 8;

/**
 * Byte strings by key, within a budget of bytes. A segmented LRU: what was asked for once is dropped before what was asked
 * for again, so that one long scan does not drive out what is used all the time.
 */
export class ByteCache {
  readonly #bytesMax: number;
  /** Both in the order of last use. */
  readonly #once = new Map<string, Uint8Array>();
  readonly #again = new Map<string, Uint8Array>();
  #onceBytes = 0;
  #againBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes taken, by the cache's own count. */
  get bytes(): number {
    return this.#onceBytes + this.#againBytes;
  }

  /** Whether something of so many bytes would be kept. */
  accepts(bytes: number): boolean {
    return bytes + ENTRY_BYTES <= this.#bytesMax * ENTRY_SHARE_MAX;
  }

  /** The cache's own bytes: not to be written to. */
  get(key: string): Uint8Array | undefined {
    const again = this.#again.get(key);
    if (again !== undefined) {
      this.#again.delete(key);
      this.#again.set(key, again);
      return again;
    }
    const once = this.#once.get(key);
    if (once === undefined) return undefined;
    this.#once.delete(key);
    this.#onceBytes -= costOf(once);
    this.#again.set(key, once);
    this.#againBytes += costOf(once);
    this.#demote();
    return once;
  }

  /** Keeps the bytes, which are the cache's from now on, if they are not too many. */
  put(key: string, bytes: Uint8Array): void {
    if (!this.accepts(bytes.byteLength) || this.#again.has(key) || this.#once.has(key)) return;
    this.#once.set(key, bytes);
    this.#onceBytes += costOf(bytes);
    this.#evict();
  }

  #demote(): void {
    for (const [key, bytes] of this.#again) {
      if (this.#againBytes <= this.#bytesMax * PROTECTED_SHARE) return;
      this.#again.delete(key);
      this.#againBytes -= costOf(bytes);
      this.#once.set(key, bytes);
      this.#onceBytes += costOf(bytes);
    }
  }

  #evict(): void {
    for (const [key, bytes] of this.#once) {
      if (this.bytes <= this.#bytesMax) return;
      this.#once.delete(key);
      this.#onceBytes -= costOf(bytes);
    }
  }
}

function costOf(bytes: Uint8Array): number {
  return bytes.byteLength + ENTRY_BYTES;
}
