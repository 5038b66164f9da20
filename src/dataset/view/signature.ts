/** Signatures of the first AetherFS's blocks: HMAC-SHA-256 (RFC 2104) with an empty key, in lower-case base32 (RFC 4648 §6). */
import { createHmac, type Hmac } from "node:crypto";
import { AetherError } from "../../base/errors.ts";
import { digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const BITS = 5;
/** 32 bytes are 52 characters, the last of which has 4 bits to spare, and 4 of padding. */
const SIGNATURE = /^[a-z2-7]{51}[aq]====$/;

/** A signature's 32 bytes, from its text. Errors: ARGUMENT_INVALID. */
export function parseSignature(text: string): Digest {
  if (!SIGNATURE.test(text)) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `"${text.slice(0, 80)}" is not the signature of a block: 52 characters of lower-case base32 and "===="`,
    );
  }
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const character of text.replaceAll("=", "")) {
    value = (value << BITS) | ALPHABET.indexOf(character);
    bits += BITS;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
    value &= (1 << bits) - 1;
  }
  return digestFromBytes(Uint8Array.from(bytes));
}

/** The text of a signature. */
export function formatSignature(signature: Digest): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of digestBytes(signature)) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= BITS) {
      bits -= BITS;
      text += ALPHABET.charAt((value >> bits) & 0x1f);
    }
    value &= (1 << bits) - 1;
  }
  return `${text}${ALPHABET.charAt((value << (BITS - bits)) & 0x1f)}====`;
}

/** Signs a block that comes in parts. */
export class BlockSigner {
  readonly #hmac: Hmac = createHmac("sha256", "");

  update(part: Uint8Array): void {
    this.#hmac.update(part);
  }

  /** The signature of all parts. Nothing may follow. */
  finish(): Digest {
    return digestFromBytes(this.#hmac.digest());
  }
}
