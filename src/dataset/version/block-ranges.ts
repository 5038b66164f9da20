/** Reading frames out of blocks in few requests. */
import { must } from "../../base/assert.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { RangeReader, CallOptions } from "../../store/block-store.ts";

/** Reading this much in vain costs less than another request, and so does this share of what is read. */
const GAP_BYTES_MAX = 4 * KiB;
const GAP_SHARE_MAX = 1 / 8;
/** One request's bytes, unless a single frame has more. */
const RANGE_BYTES_MAX = 8 * MiB;
/** Requests of one call at a time; more where all of them together are no more than one may be. */
const REQUESTS_MAX = 4;
const SMALL_REQUESTS_MAX = 16;

/** Where a frame's stored bytes lie. */
export interface FramePlace {
  readonly block: Digest;
  readonly offset: number;
  readonly storedBytes: number;
}

/** A piece of a block to read, and the frames in it by their index. */
interface BlockRange {
  readonly block: Digest;
  readonly start: number;
  readonly end: number;
  readonly frames: readonly number[];
}

/** The requests that read all frames: neighbours in a block, and those a small gap apart, share one. */
function coalesce(frames: readonly FramePlace[]): BlockRange[] {
  const at = (index: number): FramePlace => must(frames[index], "the index is a frame's");
  const order = [...frames.keys()].sort(
    (a, b) => compareUtf8(at(a).block, at(b).block) || at(a).offset - at(b).offset,
  );
  const ranges: { block: Digest; start: number; end: number; frames: number[] }[] = [];
  for (const index of order) {
    const { block, offset, storedBytes } = at(index);
    const end = offset + storedBytes;
    const last = ranges.at(-1);
    const gapMax = Math.max(GAP_BYTES_MAX, ((last?.end ?? 0) - (last?.start ?? 0)) * GAP_SHARE_MAX);
    const joins = last?.block === block && offset <= last.end + gapMax && end - last.start <= RANGE_BYTES_MAX;
    if (last !== undefined && joins) {
      last.end = Math.max(last.end, end);
      last.frames.push(index);
    } else ranges.push({ block, start: offset, end, frames: [index] });
  }
  return ranges;
}

/** What was read: each range's bytes, in a buffer of its own that may move to a thread, and each frame's as a view of them. */
export interface FetchedFrames {
  readonly ranges: readonly Uint8Array<ArrayBuffer>[];
  readonly stored: readonly Uint8Array[];
  /** Bytes of all ranges. */
  readonly fetchedBytes: number;
}

/** Reads frames. Errors: OBJECT_MISSING, OBJECT_CORRUPT when a block is shorter than the plan says, STORE_UNAVAILABLE. */
export async function fetchFrames(
  blocks: RangeReader,
  frames: readonly FramePlace[],
  options: CallOptions,
): Promise<FetchedFrames> {
  const ranges = coalesce(frames);
  const bytes: Uint8Array<ArrayBuffer>[] = [];
  const wantedBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const requestsMax = wantedBytes <= RANGE_BYTES_MAX ? SMALL_REQUESTS_MAX : REQUESTS_MAX;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < ranges.length; index = next++) {
      bytes[index] = await readRange(blocks, must(ranges[index], "the index is below the length"), options);
    }
  };
  await Promise.all(Array.from({ length: Math.min(requestsMax, ranges.length) }, work));
  const stored: Uint8Array[] = [];
  let fetchedBytes = 0;
  for (const [index, range] of ranges.entries()) {
    const whole = must(bytes[index], "every range was read");
    fetchedBytes += whole.byteLength;
    for (const frame of range.frames) {
      const { offset, storedBytes } = must(frames[frame], "a range's frame is in the list");
      stored[frame] = whole.subarray(offset - range.start, offset - range.start + storedBytes);
    }
  }
  return { ranges: bytes, stored, fetchedBytes };
}

async function readRange(
  blocks: RangeReader,
  range: BlockRange,
  options: CallOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { block, start, end } = range;
  try {
    return ownBuffer(await blocks.read(block, { start, end }, options));
  } catch (cause) {
    if (codeOf(cause) !== "RANGE_INVALID") throw cause;
    throw new AetherError("OBJECT_CORRUPT", `block ${formatDigest(block)} ends before byte ${end}`, {
      data: { block: formatDigest(block) },
      cause,
    });
  }
}

/** The bytes, copied when their buffer holds others too: Node pools small buffers. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
}
