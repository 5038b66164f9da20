import type { ByteRange } from "../base/byte-range.ts";

/** Ranges that one request may ask for; more are answered with the whole. RFC 9110 §14.2 leaves that open. */
const RANGES_MAX = 16;
const SPEC = /^\s*(\d{0,15})-(\d{0,15})\s*$/;

/**
 * The ranges of a header `Range` that lie in a representation of `sizeBytes`, in the order asked for; none of them when
 * none does (416); undefined when the header counts as absent: not of bytes, malformed, too many, or overlapping.
 * RFC 9110 §14.1.2
 */
export function parseRanges(header: string, sizeBytes: number): ByteRange[] | undefined {
  const [unit = "", list] = header.split("=", 2);
  if (unit.trim().toLowerCase() !== "bytes" || list === undefined) return undefined;
  const specs = list.split(",", RANGES_MAX + 1);
  if (specs.length > RANGES_MAX) return undefined;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const [, first = "", last = ""] = SPEC.exec(spec) ?? [];
    if (first === "" && last === "") return undefined;
    if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
    const range = resolve(first, last, sizeBytes);
    if (range !== undefined) ranges.push(range);
  }
  return overlap(ranges) ? undefined : ranges;
}

/**
 * What a request most likely reads first, before the representation's size is known: as far as its header `Range` says, or all.
 */
export function likelyRange(header: string | undefined): ByteRange {
  const [, first = "", last = ""] = /^bytes=(\d{1,15})-(\d{0,15})/.exec(header ?? "") ?? [];
  return { start: Number(first), end: last === "" ? Infinity : Number(last) + 1 };
}

/** Undefined when it lies outside. */
function resolve(first: string, last: string, sizeBytes: number): ByteRange | undefined {
  if (first === "") {
    const start = Math.max(0, sizeBytes - Number(last));
    return start < sizeBytes ? { start, end: sizeBytes } : undefined;
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return start < end ? { start, end } : undefined;
}

/** Ranges that overlap are asked for by nobody but who wants more than the file. RFC 9110 §17.15 */
function overlap(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  return sorted.some(({ start }, index) => start < (sorted[index - 1]?.end ?? 0));
}
