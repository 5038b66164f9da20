import { AetherError } from "./errors.ts";

/** Bytes `start` (inclusive) to `end` (exclusive). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The range, when it lies within `sizeBytes`. Errors: RANGE_INVALID. */
export function checkRange(range: ByteRange, sizeBytes: number): ByteRange {
  const { start, end } = range;
  const ordered = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end;
  if (!ordered || end > sizeBytes) {
    throw new AetherError("RANGE_INVALID", `bytes ${start}–${end} lie outside of ${sizeBytes} bytes`, {
      data: { start, end, sizeBytes },
    });
  }
  return range;
}
