/** Frames of a plan, and what decoding the deltas among them takes. docs/format.md §7 */
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "./digest.ts";
import { DELTA_BASES_MAX, DELTA_BYTES_MAX, DEPTH_MAX, type Codec } from "./frame.ts";
import { PAGE_ITEMS_MAX, type ChunkItem } from "./page.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** Items of one plan at most. */
export const PLAN_ITEMS_MAX = PAGE_ITEMS_MAX * 4;

/** What a plan is in terms of: a version's plan, or a page's, and what decoding takes of it. */
export interface PlanTerms {
  /** Of a version: its chunks, in order. Of a page nobody tells: sources bear digests and lengths themselves. */
  readonly chunks: readonly ChunkItem[] | undefined;
}

/** In place of a frame's index: the chunk lies where the base's plan says; the offset is its number among the base's chunks. */
export const ELSEWHERE = -1;

/** A piece of a delta frame's dictionary: one base chunk, and where it lies. */
export interface PlanSource {
  readonly digest: Digest;
  readonly bytes: number;
  /** Index of the plan's frame that holds it, below that of the frame that needs it; or ELSEWHERE. */
  readonly frame: number;
  /** Where it begins in that frame's decoded bytes. */
  readonly offset: number;
}

/** What a delta frame needs to be decoded. */
export interface PlanDelta {
  /** Decoded bytes of the frame. */
  readonly decodedBytes: number;
  readonly depth: number;
  readonly sources: readonly PlanSource[];
  /** The dictionary is this range of the sources' concatenation. */
  readonly baseOffset: number;
  readonly baseBytes: number;
}

/** A frame and where it lies. */
export interface PlanFrame {
  readonly block: Digest;
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: Codec;
  /** Of a delta frame, else undefined. */
  readonly delta: PlanDelta | undefined;
}

/** A plan's delta; `isOnPage`: the plan is in terms of a page's. */
export function encodePlanDelta(delta: PlanDelta, isOnPage: boolean): Uint8Array {
  const { decodedBytes, depth, sources, baseOffset, baseBytes } = delta;
  const first = sources[0]?.frame === ELSEWHERE ? sources[0] : undefined;
  const isRun = sources.every(({ frame, offset }, index) =>
    first === undefined ? frame !== ELSEWHERE : frame === ELSEWHERE && offset === first.offset + index,
  );
  assert(isRun, "sources that lie elsewhere lie one after another");
  const named = first === undefined || isOnPage ? sources : [];
  const placed = first === undefined ? sources : [];
  const column = (of: readonly PlanSource[], key: "bytes" | "frame" | "offset"): number[] =>
    of.map((source) => source[key]);
  return new WireWriter()
    .uint(1, decodedBytes)
    .uint(2, depth)
    .bytes(3, Buffer.concat(named.map((source) => digestBytes(source.digest))))
    .packed(4, column(named, "bytes"))
    .packed(5, column(placed, "frame"))
    .packed(6, column(placed, "offset"))
    .uint(7, baseOffset)
    .uint(8, baseBytes)
    .uint(9, first?.offset ?? 0)
    .uint(10, first === undefined ? 0 : sources.length)
    .finish();
}

/**
 * A plan's delta. `before` are the frames that may be bases: those that stand before, so that no cycle is possible. Errors:
 * OBJECT_INVALID.
 */
export function decodePlanDelta(
  bytes: Uint8Array | undefined,
  before: readonly PlanFrame[],
  terms: PlanTerms,
): PlanDelta {
  if (bytes === undefined) throw invalid("a delta is missing");
  const reader = new WireReader(bytes, "a plan's delta");
  const decodedBytes = reader.uint(1, DELTA_BYTES_MAX);
  const depth = reader.uint(2, DEPTH_MAX);
  const columns = [
    decodeDigests(reader.bytes(3)),
    reader.packed(4, DELTA_BASES_MAX),
    reader.packed(5, DELTA_BASES_MAX),
    reader.packed(6, DELTA_BASES_MAX),
  ] as const;
  const baseOffset = reader.uint(7, CHUNK_BYTES_MAX);
  const baseBytes = reader.uint(8, DELTA_BYTES_MAX);
  const first = reader.uint(9, PLAN_ITEMS_MAX);
  const count = reader.uint(10, DELTA_BASES_MAX);
  reader.end();
  if (count === 0 && first > 0) throw invalid("a delta has sources of two kinds");
  const sources =
    count > 0 ? sourcesElsewhere(columns, terms, first, count) : ownSources(columns, before, depth);
  const totalBytes = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  if (decodedBytes === 0 || depth === 0 || baseBytes === 0 || baseOffset + baseBytes > totalBytes)
    throw invalid("a delta's sizes");
  return { decodedBytes, depth, sources, baseOffset, baseBytes };
}

type Columns = readonly [readonly Digest[], ...(readonly number[])[]];

/** Sources that lie where the base's plan says, from item `first` on. */
function sourcesElsewhere(columns: Columns, terms: PlanTerms, first: number, count: number): PlanSource[] {
  const [digests, lengths = [], ...places] = columns;
  const named = terms.chunks === undefined ? count : 0;
  if (digests.length !== named || lengths.length !== named || places.some((column) => column.length > 0))
    throw invalid("a delta has sources of two kinds");
  const chunks =
    terms.chunks?.slice(first, first + count) ??
    digests.map((digest, index) => ({ digest, length: lengthOf(lengths[index]) }));
  if (chunks.length !== count) throw invalid("a delta's sources are not the base's");
  return chunks.map(({ digest, length }, index) => ({
    digest,
    bytes: length,
    frame: ELSEWHERE,
    offset: first + index,
  }));
}

function ownSources(
  [digests, lengths, frames, offsets]: Columns,
  before: readonly PlanFrame[],
  depth: number,
): PlanSource[] {
  const count = digests.length;
  if (lengths?.length !== count || frames?.length !== count || offsets?.length !== count) {
    throw invalid("a delta's columns differ in length");
  }
  return digests.map((digest, index) => {
    const frame = bounded(frames[index], before.length - 1);
    const base = before[frame];
    if (base === undefined || (base.delta?.depth ?? 0) >= depth)
      throw invalid("a delta lies on no lower frame");
    return {
      digest,
      bytes: lengthOf(lengths[index]),
      frame,
      offset: bounded(offsets[index], DELTA_BYTES_MAX),
    };
  });
}

function lengthOf(value: number | undefined): number {
  const length = bounded(value, CHUNK_BYTES_MAX);
  if (length === 0) throw invalid("a delta's base is empty");
  return length;
}

/** Digests that stand one after another. Errors: OBJECT_INVALID. */
export function decodeDigests(bytes: Uint8Array): Digest[] {
  if (bytes.byteLength % DIGEST_BYTES !== 0) throw invalid("a digest is cut off");
  const digests: Digest[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += DIGEST_BYTES)
    digests.push(digestFromBytes(bytes, offset));
  return digests;
}

/** A number of a plan, which is there and within its limit. Errors: OBJECT_INVALID. */
export function bounded(value: number | undefined, max: number): number {
  if (value === undefined || value > max) throw invalid("a number is out of range");
  return value;
}

/** The error for a plan that breaks its rules. */
export function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a plan is malformed: ${why}`);
}
