/** The first 32 bytes of every binary object. docs/format.md §3 */
import { AetherError } from "../base/errors.ts";
import { asBuffer } from "../base/bytes.ts";

/** Bytes of a header. */
export const HEADER_BYTES = 32;

/** What an object is, as its header says. */
const OBJECT_KINDS = { block: 1, manifest: 2, plan: 3 } as const;
/** The name of a kind. */
export type ObjectKind = keyof typeof OBJECT_KINDS;

const MAGIC = 0x53464541; // "AEFS", little-endian
const VERSION = 1;
/** What an object may require of its reader: bits. docs/format.md §3 */
export const FEATURES = { planBase: 2, planOnPage: 4 } as const;
/** The bits that this reader knows of each kind. */
const FEATURES_KNOWN: Readonly<Record<ObjectKind, number>> = {
  block: 0,
  manifest: 0,
  plan: FEATURES.planBase | FEATURES.planOnPage,
};

/** The header of a plain object of this kind, which requires these features. */
export function encodeHeader(kind: ObjectKind, features = 0): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt8(OBJECT_KINDS[kind], 4);
  header.writeUInt8(VERSION, 5);
  header.writeUInt32LE(features, 8);
  return header;
}

/**
 * Checks that `bytes` begins with a header of this kind that this reader understands; gives the features that it requires.
 * Errors: OBJECT_INVALID; FORMAT_UNSUPPORTED for a later version, an unknown required feature, or a key.
 */
export function checkHeader(bytes: Uint8Array, kind: ObjectKind): number {
  const header = asBuffer(bytes);
  if (header.byteLength < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) {
    throw new AetherError("OBJECT_INVALID", `a ${kind} object does not begin with AetherFS's magic`);
  }
  if (header.readUInt8(5) !== VERSION) {
    throw new AetherError("FORMAT_UNSUPPORTED", `a ${kind} object has format version ${header.readUInt8(5)}`);
  }
  if (header.readUInt8(4) !== OBJECT_KINDS[kind]) {
    throw new AetherError("OBJECT_INVALID", `an object of kind ${header.readUInt8(4)} stands for a ${kind}`);
  }
  const features = header.readUInt32LE(8);
  if ((features & ~FEATURES_KNOWN[kind]) !== 0) {
    const bits = features.toString(16);
    throw new AetherError(
      "FORMAT_UNSUPPORTED",
      `a ${kind} object requires features 0x${bits} of a newer AetherFS`,
    );
  }
  if (!header.subarray(16, 32).every((byte) => byte === 0)) {
    throw new AetherError("FORMAT_UNSUPPORTED", `a ${kind} object is encrypted, and no key is at hand`);
  }
  if (header.readUInt16LE(6) !== 0 || header.readUInt32LE(12) !== 0) {
    throw new AetherError("OBJECT_INVALID", `a ${kind} object's header has reserved bits set`);
  }
  return features;
}
