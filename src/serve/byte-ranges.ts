import type { ByteRange } from "../base/byte-range.ts";

/** Ranges that one request may ask for; with more the header counts as absent. RFC 9110 §14.2 leaves that open. */
const RANGES_MAX = 64;
/** Elements of a list may be empty (RFC 9110 §5.6.1.2); nobody needs many of those. */
const ELEMENTS_MAX = 2 * RANGES_MAX;
const SPEC = /^[\t ]*(\d*)-(\d*)[\t ]*$/;
const BLANK = /^[\t ]*$/;

/**
 * The ranges of a header `Range` that lie in a representation of `sizeBytes`, in the order asked for; none of them when
 * none does (416); undefined when the header counts as absent: not of bytes, malformed, with too many ranges, or asking for the
 * end of what is empty. Ranges that overlap or touch become one, where the first of them stood, so that nobody gets more than the
 * file and the heads of RANGES_MAX parts. RFC 9110 §14.1.2, §15.3.7.2
 */
export function parseRanges(header: string, sizeBytes: number): ByteRange[] | undefined {
  const equals = header.indexOf("=");
  if (header.slice(0, Math.max(equals, 0)).trim().toLowerCase() !== "bytes") return undefined;
  const specs = header.slice(equals + 1).split(",", ELEMENTS_MAX + 1);
  if (specs.length > ELEMENTS_MAX) return undefined;
  const asked = specs.filter((spec) => !BLANK.test(spec));
  if (asked.length === 0 || asked.length > RANGES_MAX) return undefined;
  const ranges: ByteRange[] = [];
  for (const spec of asked) {
    const [, first = "", last = ""] = SPEC.exec(spec) ?? [];
    if (first === "" && last === "") return undefined;
    if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
    // All of nothing can be asked for, but no Content-Range says so.
    if (first === "" && sizeBytes === 0 && Number(last) > 0) return undefined;
    const range = resolve(first, last, sizeBytes);
    if (range !== undefined) ranges.push(range);
  }
  return coalesce(ranges);
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

function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges
    .map((range, order) => ({ ...range, order }))
    .sort((one, other) => one.start - other.start);
  const merged: { start: number; end: number; order: number }[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last === undefined || range.start > last.end) {
      merged.push(range);
      continue;
    }
    last.end = Math.max(last.end, range.end);
    last.order = Math.min(last.order, range.order);
  }
  return merged.sort((one, other) => one.order - other.order).map(({ start, end }) => ({ start, end }));
}
