/**
 * Canonical protobuf: the one encoder and the one strict decoder of every binary message. docs/format.md §1.2.
 * A message has one encoding: fields ascend, each at most once but for repeated ones, varints are minimal, numbers that
 * are zero and bytes that are empty are left out. The decoder refuses anything else, unknown fields too.
 */
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";

const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** A varint of a number up to 2^53 − 1. */
const VARINT_BYTES_MAX = 8;

/** Builds one message. Methods must be called with ascending field numbers. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  /** A number from 0 to 2^53 − 1; zero is left out. */
  uint(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
    return this;
  }

  /** Bytes; empty ones are left out. */
  bytes(field: number, value: Uint8Array): this {
    return value.byteLength === 0 ? this : this.#delimited(field, value);
  }

  /** One element of a repeated field: stands even when it is empty. */
  element(field: number, value: Uint8Array): this {
    return this.#delimited(field, value);
  }

  /** Numbers from 0 to 2^53 − 1, packed; an empty list is left out. */
  packed(field: number, values: Iterable<number>): this {
    const start = this.#length;
    this.#reserve(2 * VARINT_BYTES_MAX);
    const body = start + 2 * VARINT_BYTES_MAX;
    this.#length = body;
    for (const value of values) this.#varint(value);
    const bodyBytes = this.#length - body;
    this.#length = start;
    if (bodyBytes === 0) return this;
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(bodyBytes);
    this.#buffer.copyWithin(this.#length, body, body + bodyBytes);
    this.#length += bodyBytes;
    return this;
  }

  /** The message: a copy of its own. */
  finish(): Uint8Array {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  #delimited(field: number, value: Uint8Array): this {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(value.byteLength);
    this.#reserve(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
    return this;
  }

  #varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `a varint holds 0 to 2^53 − 1, not ${value}`);
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  #reserve(moreBytes: number): void {
    if (this.#length + moreBytes <= this.#buffer.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.byteLength * 2, this.#length + moreBytes));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** Reads one message: ask for the fields in ascending order, then call end(). Errors of all: OBJECT_INVALID. */
export class WireReader {
  readonly #cursor: Cursor;
  readonly #what: string;
  /** The tag that was read last, whose field nobody asked for yet; 0 at the end. */
  #nextTag: number;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#cursor = new Cursor(bytes, what);
    this.#what = what;
    this.#nextTag = this.#readTag();
  }

  /** The number of a field, 0 when it is absent; at most `max`. */
  uint(field: number, max = Number.MAX_SAFE_INTEGER): number {
    if (this.#nextTag !== field * 8 + VARINT) return 0;
    const value = this.#cursor.varint();
    if (value === 0) throw malformed(this.#what, `field ${field} is zero and yet there`);
    if (value > max) throw malformed(this.#what, `field ${field} is over ${max}`);
    this.#nextTag = this.#readTag();
    return value;
  }

  /** The bytes of a field, empty when it is absent: a view. */
  bytes(field: number): Uint8Array {
    if (this.#nextTag !== field * 8 + LENGTH_DELIMITED) return new Uint8Array(0);
    const value = this.#cursor.delimited();
    if (value.byteLength === 0) throw malformed(this.#what, `field ${field} is empty and yet there`);
    this.#nextTag = this.#readTag();
    return value;
  }

  /** The elements of a repeated field, at most `countMax`: views. */
  elements(field: number, countMax: number): Uint8Array[] {
    const values: Uint8Array[] = [];
    while (this.#nextTag === field * 8 + LENGTH_DELIMITED) {
      if (values.length === countMax)
        throw malformed(this.#what, `field ${field} has over ${countMax} elements`);
      values.push(this.#cursor.delimited());
      this.#nextTag = this.#readTag();
    }
    return values;
  }

  /** The numbers of a packed field, at most `countMax`. */
  packed(field: number, countMax: number): number[] {
    const cursor = new Cursor(this.bytes(field), this.#what);
    const values: number[] = [];
    while (!cursor.atEnd) {
      if (values.length === countMax)
        throw malformed(this.#what, `field ${field} has over ${countMax} numbers`);
      values.push(cursor.varint());
    }
    return values;
  }

  /** Fails when anything is left: an unknown field, or one out of order. */
  end(): void {
    if (this.#nextTag === 0) return;
    throw malformed(this.#what, `field ${Math.floor(this.#nextTag / 8)} is unknown or out of order`);
  }

  #readTag(): number {
    if (this.#cursor.atEnd) return 0;
    const tag = this.#cursor.varint();
    const wireType = tag % 8;
    if (tag < 8 || (wireType !== VARINT && wireType !== LENGTH_DELIMITED)) {
      throw malformed(this.#what, "a field's tag is not valid");
    }
    return tag;
  }
}

/** Takes numbers and byte strings from the bytes of a message, never past their end. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.byteLength;
  }

  delimited(): Uint8Array {
    const length = this.varint();
    const start = this.#offset;
    if (length > this.#bytes.byteLength - start) throw malformed(this.#what, "a field reaches past the end");
    this.#offset = start + length;
    return this.#bytes.subarray(start, this.#offset);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= VARINT_BYTES_MAX; count++) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) throw malformed(this.#what, "a number reaches past the end");
      this.#offset++;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 1) throw malformed(this.#what, "a number is longer than it need be");
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw malformed(this.#what, "a number is over 2^53 − 1");
  }
}

function malformed(what: string, why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `${what} is malformed: ${why}`);
}

/** A signed number as an unsigned one, small ones first: 0, −1, 1, −2 → 0, 1, 2, 3. */
export function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

/** The inverse of zigzag. */
export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
