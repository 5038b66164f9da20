/** Bytes and numbers that are the same at every run. */
import { createCipheriv, type Cipheriv } from "node:crypto";
import { MiB } from "../src/base/limits.ts";

const KEY_BYTES = 32;
const IV_BYTES = 16;

/** A stream of noise that a seed chooses: AES in counter mode over zeros. */
export class SeededNoise {
  readonly #cipher: Cipheriv;

  /** `seed` is any text. */
  constructor(seed: string) {
    const key = Buffer.alloc(KEY_BYTES);
    key.write(seed);
    this.#cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(IV_BYTES));
  }

  /** The next `count` bytes, in memory of their own. */
  bytes(count: number): Buffer {
    return this.#cipher.update(count <= ZEROS.byteLength ? ZEROS.subarray(0, count) : Buffer.alloc(count));
  }

  /** A whole number of at least 0 and below `limit` (up to 2^48), each as likely as the others but for one in millions. */
  below(limit: number): number {
    return this.bytes(6).readUIntLE(0, 6) % limit;
  }
}

const ZEROS = Buffer.alloc(MiB);
