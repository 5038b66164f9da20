/** Record marking: messages on a byte stream, in fragments. RFC 5531 §11 */
import { KiB, MiB } from "../../base/limits.ts";

const MARK_BYTES = 4;
/** The bit that marks a record's last fragment. */
const LAST = 0x8000_0000;

/** What of a record is kept: more than any call takes that is not refused. The rest (what a WRITE brings) is read over. */
export const KEPT_BYTES_MAX = 64 * KiB;
/** A longer record ends the connection; a WRITE of any client's is shorter. */
const RECORD_BYTES_MAX = 8 * MiB;
const FRAGMENTS_MAX = 4096;

/** Puts the records of one connection together. */
export class RecordReader {
  #mark = 0;
  #markBytes = 0;
  /** Bytes of the fragment that are still to come. */
  #left = 0;
  #isLast = false;
  #fragments = 0;
  #recordBytes = 0;
  /** What is kept of a record that has come in part. */
  #kept: Buffer = Buffer.alloc(0);
  #keptBytes = 0;
  #records = 0;

  /** Whether a record has begun and not ended. */
  get isWithin(): boolean {
    return this.#markBytes > 0 || this.#fragments > 0;
  }

  /** Records that were complete so far. */
  get records(): number {
    return this.#records;
  }

  /**
   * Takes the next bytes of the stream, and adds to `records` what they complete: the first KEPT_BYTES_MAX of each. False when the
   * stream breaks a limit: nothing that follows can be understood.
   */
  push(bytes: Buffer, records: Buffer[]): boolean {
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#markBytes < MARK_BYTES) {
        this.#mark = ((this.#mark << 8) | (bytes[at++] ?? 0)) >>> 0;
        this.#markBytes++;
        if (this.#markBytes === MARK_BYTES && !this.#beginFragment()) return false;
      } else {
        const end = Math.min(bytes.byteLength, at + this.#left);
        const part = bytes.subarray(at, end);
        const isWhole = this.#isLast && this.#keptBytes === 0 && part.byteLength === this.#left;
        if (isWhole) this.#takeWhole(part);
        else this.#keep(part);
        this.#left -= end - at;
        at = end;
      }
      if (this.#markBytes === MARK_BYTES && this.#left === 0) this.#endFragment(records);
    }
    return true;
  }

  #beginFragment(): boolean {
    this.#isLast = (this.#mark & LAST) !== 0;
    this.#left = (this.#mark & (LAST - 1)) >>> 0;
    this.#fragments++;
    this.#recordBytes += this.#left;
    return this.#fragments <= FRAGMENTS_MAX && this.#recordBytes <= RECORD_BYTES_MAX;
  }

  /** A record that has come at once lies in the memory that it came in. */
  #takeWhole(bytes: Buffer): void {
    this.#kept = bytes.subarray(0, KEPT_BYTES_MAX);
    this.#keptBytes = this.#kept.byteLength;
  }

  /** Copies: what came in single bytes takes no more than one that did not. */
  #keep(bytes: Buffer): void {
    const end = Math.min(KEPT_BYTES_MAX, this.#keptBytes + bytes.byteLength);
    if (end > this.#kept.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(end, Math.min(2 * this.#kept.byteLength, KEPT_BYTES_MAX)));
      this.#kept.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    this.#keptBytes += bytes.copy(this.#kept, this.#keptBytes, 0, end - this.#keptBytes);
  }

  #endFragment(records: Buffer[]): void {
    this.#mark = 0;
    this.#markBytes = 0;
    if (!this.#isLast) return;
    records.push(this.#kept.subarray(0, this.#keptBytes));
    this.#records++;
    this.#kept = Buffer.alloc(0);
    this.#keptBytes = 0;
    this.#fragments = 0;
    this.#recordBytes = 0;
  }
}

/** The mark before a record of one fragment. `bytes` is less than 2³¹. */
export function recordMark(bytes: number): number {
  return (LAST | bytes) >>> 0;
}
