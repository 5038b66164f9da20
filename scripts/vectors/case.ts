/** What the makers of vectors share: a case, a message written without any rule, and bytes made from a seed. */
import { createHash } from "node:crypto";
import { digestFromBytes, type Digest } from "../../src/format/digest.ts";

/** One file of test/vectors/. docs/format.md §12 */
export interface VectorCase {
  /** Under test/vectors/. */
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/** What a reader gives for a vector. */
export type Expected = { readonly value: unknown } | { readonly error: string };

/** Bytes of a vector that was made before, so that compressed bytes stay as they are when zlib changes. */
export type Pinned = (path: string) => Uint8Array | undefined;

/** Fields of a raw message, in ascending order: a varint, bytes, or packed varints; undefined is left out. */
export type RawFields = Readonly<Record<number, number | Uint8Array | readonly number[] | undefined>>;

/** A message of these fields, whatever the format says of them; repeated ones stand in several parts. */
export function rawMessage(...parts: readonly RawFields[]): Buffer {
  return Buffer.concat(parts.flatMap((part) => Object.entries(part).map(rawField)));
}

function rawField([field, value]: [string, RawFields[number]]): Buffer {
  if (value === undefined) return Buffer.alloc(0);
  const tag = Number(field) * 8;
  if (typeof value === "number") return Buffer.concat([rawVarint(tag), rawVarint(value)]);
  const bytes = value instanceof Uint8Array ? value : Buffer.concat(value.map(rawVarint));
  return Buffer.concat([rawVarint(tag + 2), rawVarint(bytes.byteLength), bytes]);
}

function rawVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** SHA-256 of the seed's ASCII bytes, then `index` as 8 bytes, little-endian. docs/format.md §12 */
export function seededDigest(seed: string, index: number): Digest {
  return digestFromBytes(seededBytes(seed, index));
}

/** The 32 bytes of seededDigest. */
export function seededBytes(seed: string, index: number): Buffer {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64LE(BigInt(index));
  return createHash("sha256").update(seed).update(counter).digest();
}

/** Bytes without structure: seededBytes of 0, 1, 2, … joined and cut off. */
export function noise(seed: string, bytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, index) => seededBytes(seed, index));
  return Buffer.concat(blocks).subarray(0, bytes);
}

/** Bytes as vectors write them. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** A case that is refused. */
export function refused(
  path: string,
  description: string,
  bytes: Uint8Array,
  error: string,
  more: object = {},
): VectorCase {
  return { path, content: { description, ...more, bytes: hex(bytes), expect: { error } } };
}

/** The value with every byte string as hex and what is undefined left out: as JSON has it. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, plain(member)]));
}
