/** The table of the rolling hash. docs/format.md §4.2 */
import { createHash } from "node:crypto";

/** The string that the table is derived from. */
export const GEAR_SEED = "AetherFS gear 1";

/** Bytes of the table: 256 values of 8 bytes. */
const GEAR_BYTES = 256 * 8;

/**
 * The table as it lies in memory: for each byte value in ascending order 8 bytes, little-endian, which are the first 8
 * of SHA-256(GEAR_SEED in ASCII || the byte). docs/format.md §4.2
 */
export function gearTable(): Uint8Array {
  const table = new Uint8Array(GEAR_BYTES);
  for (let byte = 0; byte < 256; byte++) {
    const digest = createHash("sha256").update(GEAR_SEED).update(Uint8Array.of(byte)).digest();
    table.set(digest.subarray(0, 8), byte * 8);
  }
  return table;
}
