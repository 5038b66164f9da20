import { Buffer } from "node:buffer";

/** A Buffer over the same memory: no copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Writes `source` to `target` from `at` on, which has room for it. TypedArray.set takes seven times as long where threads see the memory:
 * it goes byte by byte there, unless both are aligned in the same way.
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, at = 0): void {
  if (at + source.byteLength > target.byteLength) throw new RangeError("there is no room for so many bytes");
  asBuffer(source).copy(asBuffer(target), at);
}

/** Bytewise order, as memcmp: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Whether two byte strings are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0;
}

/** One array with all parts in order: a copy. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/**
 * The pieces as one array, of `bytes` at most, of which nothing is anybody else's: it lies in no shared pool, where a small part of it
 * would keep the rest. Errors: those of the pieces.
 */
export async function gatherBytes(pieces: AsyncIterable<Uint8Array>, bytes: number): Promise<Uint8Array> {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for await (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole.subarray(0, at);
}

/** Sum of the lengths in bytes. */
export function totalBytes(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) sum += part.byteLength;
  return sum;
}

const SURROGATES_START = 0xd800;

/**
 * The order of two strings by their UTF-8 bytes, which is the order of their code points. JavaScript compares UTF-16
 * units, which differs only where surrogates meet units above them.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    if (x >= SURROGATES_START && y >= SURROGATES_START) return rank(x) - rank(y);
    return x - y;
  }
  return a.length - b.length;
}

/** Code units ≥ 0xd800 in the order of the code points they stand for: surrogates after 0xe000–0xffff. */
function rank(unit: number): number {
  return unit < 0xe000 ? unit + 0x10000 : unit;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that these bytes are in UTF-8, or undefined when they are not UTF-8. A byte order mark is a character. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
