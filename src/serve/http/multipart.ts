import type { ByteRange } from "../../base/byte-range.ts";

/** A body that holds several ranges: what stands before each, and at the end. RFC 9110 §14.6 */
export interface Multipart {
  readonly contentType: string;
  readonly contentLength: number;
  /** One for each range, in their order. */
  readonly heads: readonly string[];
  readonly tail: string;
}

/** The frame of a multipart/byteranges body. `boundary` occurs in none of the ranges, as far as anybody can know. */
export function multipartOf(
  ranges: readonly ByteRange[],
  sizeBytes: number,
  contentType: string,
  boundary: string,
): Multipart {
  const heads = ranges.map(
    ({ start, end }) =>
      `\r\n--${boundary}\r\ncontent-type: ${contentType}\r\ncontent-range: bytes ${start}-${end - 1}/${sizeBytes}\r\n\r\n`,
  );
  const tail = `\r\n--${boundary}--\r\n`;
  const rangesBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    contentLength: rangesBytes + Buffer.byteLength(heads.join("")) + tail.length,
    heads,
    tail,
  };
}
