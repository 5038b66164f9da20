import type { Clock } from "../base/clock.ts";
import { MiB } from "../base/limits.ts";
import type { Digest } from "../format/digest.ts";
import { ByteCache } from "./layers/byte-cache.ts";

const BYTES_MAX = 32 * MiB;
/** Not longer, since nothing here is verified: a reader that found damage and tries again reads the store. */
const KEPT_MS = 10_000;

/** Manifest objects that this process read a moment ago: one operation reads the same ones several times. */
export class RecentManifests {
  readonly #clock: Clock;
  #cache = new ByteCache(BYTES_MAX);
  #begunMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A copy of the object, or undefined. */
  get(version: Digest): Uint8Array | undefined {
    if (this.#clock.elapsedMs() - this.#begunMs > KEPT_MS) this.forget();
    const bytes = this.#cache.get(version);
    return bytes && new Uint8Array(bytes);
  }

  /** Keeps a copy. */
  put(version: Digest, bytes: Uint8Array): void {
    if (this.#cache.accepts(bytes.byteLength)) this.#cache.put(version, new Uint8Array(bytes));
  }

  /** Forgets everything: objects may have been written. */
  forget(): void {
    this.#cache = new ByteCache(BYTES_MAX);
    this.#begunMs = this.#clock.elapsedMs();
  }
}
