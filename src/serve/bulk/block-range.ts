/** The one range that a reader of blocks may ask for. RFC 9110 §14 */
import { checkRange, type ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";

const ONE_RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/**
 * The range of `sizeBytes` that a header asks for; undefined: the whole, as for a header that is not understood, or of
 * several ranges. Errors: RANGE_INVALID when it lies outside.
 */
export function blockRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const [, first = "", last = ""] = ONE_RANGE.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const bytes = Math.min(Number(last), sizeBytes);
    if (bytes === 0) throw new AetherError("RANGE_INVALID", "a range of no bytes", { data: { sizeBytes } });
    return { start: sizeBytes - bytes, end: sizeBytes };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < start) return undefined;
  if (start === end) throw new AetherError("RANGE_INVALID", "it begins at the end", { data: { sizeBytes } });
  return checkRange({ start, end }, sizeBytes);
}
