import { KiB, MiB } from "../../base/limits.ts";

/** The size of a buffer while there is plenty, and when there is not. */
const BUFFER_BYTES = MiB;
const SCARCE_BYTES = 64 * KiB;
/** Buffers kept for their next use. */
const KEPT_MAX = 16;

/** Memory to read into, used again: fresh memory costs more than the reading. */
export class Buffers {
  readonly #bytesMax: number;
  readonly #kept: Buffer[] = [];
  #outBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether less is to be had: who holds some already should not take more. */
  get isScarce(): boolean {
    return this.#outBytes + BUFFER_BYTES > this.#bytesMax;
  }

  /** A buffer for reading up to `bytes`, perhaps for less. To be given back. */
  take(bytes: number): Buffer {
    const size = this.isScarce ? SCARCE_BYTES : BUFFER_BYTES;
    const isKind = size === BUFFER_BYTES && bytes > SCARCE_BYTES;
    const buffer = isKind
      ? (this.#kept.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES))
      : Buffer.allocUnsafeSlow(Math.min(bytes, size));
    this.#outBytes += buffer.byteLength;
    return buffer;
  }

  /** Counts memory of others until what it returns is called. */
  count(bytes: number): () => void {
    this.#outBytes += bytes;
    return () => {
      this.#outBytes -= bytes;
    };
  }

  /** Takes a buffer back; `isFree`: nobody reads or writes it any more. */
  give(buffer: Buffer, isFree: boolean): void {
    this.#outBytes -= buffer.byteLength;
    if (isFree && buffer.byteLength === BUFFER_BYTES && this.#kept.length < KEPT_MAX) this.#kept.push(buffer);
  }
}
