/** External Data Representation: what RPC, MOUNT and NFS messages are written in. RFC 4506 */
import { asBuffer, decodeUtf8 } from "../../base/bytes.ts";

/** Everything is padded to a multiple of this. RFC 4506 §3 */
const UNIT_BYTES = 4;
const ZEROS = Buffer.alloc(UNIT_BYTES);
const UINT32_MAX = 0xffff_ffffn;
const UINT32_COUNT = 2 ** 32;
const WRITER_BYTES_FIRST = 512;

/** Bytes that follow `length` bytes of opaque data to fill the last unit. */
function paddingOf(length: number): number {
  return -length & (UNIT_BYTES - 1);
}

/** What was read does not follow the protocol's description. The RPC layer answers GARBAGE_ARGS. RFC 5531 §9 */
export class XdrError extends Error {
  override readonly name = "XdrError";
}

/** Reads values one after another. Every method throws XdrError past the end. */
export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes);
  }

  /** An unsigned 32-bit integer. §4.2 */
  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(UNIT_BYTES));
  }

  /** An unsigned 64-bit integer. §4.5 */
  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(2 * UNIT_BYTES));
  }

  /** Opaque data of fixed length. §4.9 */
  fixed(length: number): Buffer {
    const start = this.#take(length + paddingOf(length));
    return this.#bytes.subarray(start, start + length);
  }

  /** Opaque data of at most `lengthMax` bytes. Not a copy. §4.10 */
  opaque(lengthMax: number): Buffer {
    const length = this.uint32();
    if (length > lengthMax) throw new XdrError(`${length} bytes where ${lengthMax} are the most`);
    return this.fixed(length);
  }

  /** A string of at most `lengthMax` bytes; undefined when it is not UTF-8. §4.11 */
  string(lengthMax: number): string | undefined {
    return decodeUtf8(this.opaque(lengthMax));
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.byteLength) throw new XdrError("the message ends too early");
    this.#at += length;
    return start;
  }
}

/** Writes values one after another into memory that grows; who writes sees to it that it does not grow without bound. */
export class XdrWriter {
  #bytes = Buffer.allocUnsafe(WRITER_BYTES_FIRST);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written. Not a copy. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Takes back what was written after the first `length` bytes. */
  cut(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  uint32(value: number): this {
    const at = this.#grow(UNIT_BYTES);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  uint64(value: bigint): this {
    // In halves: it is what Buffer does with less ado.
    return this.uint32(Number(value >> 32n)).uint32(Number(value & UINT32_MAX));
  }

  /** An unsigned 64-bit integer that is at most 2^53 − 1: costs less than a bigint. */
  uint53(value: number): this {
    return this.uint32(Math.floor(value / UINT32_COUNT)).uint32(value % UINT32_COUNT);
  }

  boolean(value: boolean): this {
    return this.uint32(value ? 1 : 0);
  }

  /** Opaque data of fixed length. */
  fixed(bytes: Uint8Array): this {
    const { byteLength } = bytes;
    const at = this.#growPadded(byteLength);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Opaque data, its length first. */
  opaque(bytes: Uint8Array): this {
    return this.uint32(bytes.byteLength).fixed(bytes);
  }

  string(text: string): this {
    const byteLength = Buffer.byteLength(text);
    const at = this.uint32(byteLength).#growPadded(byteLength);
    this.#bytes.write(text, at, byteLength);
    return this;
  }

  /** Overwrites an integer that was written at `at`. */
  setUint32(at: number, value: number): void {
    this.#bytes.writeUInt32BE(value, at);
  }

  #growPadded(length: number): number {
    const padding = paddingOf(length);
    const at = this.#grow(length + padding);
    for (let byte = at + length; byte < at + length + padding; byte++) this.#bytes[byte] = 0;
    return at;
  }

  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#bytes.byteLength));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}

/** The bytes that fill the unit after `length` bytes of opaque data. */
export function zerosAfter(length: number): Uint8Array {
  return ZEROS.subarray(0, paddingOf(length));
}
