import { createHash, hash } from "node:crypto";
import { AetherError } from "../base/errors.ts";
import { asBuffer } from "../base/bytes.ts";

/** A SHA-256 as 64 lower-case hex digits. Made only here. docs/format.md §1 */
export type Digest = string & { readonly __brand: "Digest" };

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

const HEX_PATTERN = /^[0-9a-f]{64}$/;
const TEXT_PATTERN = /^sha256:([0-9a-f]{64})$/;

/** The digest of `bytes`. */
export function digestOf(bytes: Uint8Array): Digest {
  return hash("sha256", bytes, "hex") as Digest;
}

/** The digest of the parts' concatenation. */
export function digestOfParts(parts: Iterable<Uint8Array>): Digest {
  const hasher = createHash("sha256");
  for (const part of parts) hasher.update(part);
  return hasher.digest("hex") as Digest;
}

/** The digest that `text` writes as `sha256:<hex>`. Errors: REFERENCE_INVALID. */
export function parseDigest(text: string): Digest {
  const hex = TEXT_PATTERN.exec(text)?.[1];
  if (hex === undefined) {
    throw new AetherError(
      "REFERENCE_INVALID",
      `"${text.slice(0, 100)}" is not sha256:<64 lower-case hex digits>`,
    );
  }
  return hex as Digest;
}

/** The text form, `sha256:<hex>`. */
export function formatDigest(digest: Digest): string {
  return `sha256:${digest}`;
}

/** A digest from bare hex digits, or undefined when they are not one. For keys read from a store. */
export function digestFromHex(hex: string): Digest | undefined {
  return HEX_PATTERN.test(hex) ? (hex as Digest) : undefined;
}

/** The digest in the 32 bytes at `offset` of `bytes`. */
export function digestFromBytes(bytes: Uint8Array, offset = 0): Digest {
  return asBuffer(bytes).toString("hex", offset, offset + DIGEST_BYTES) as Digest;
}

/** The digest's 32 bytes. */
export function digestBytes(digest: Digest): Uint8Array {
  return Buffer.from(digest, "hex");
}
