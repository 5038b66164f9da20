/** Plans: where the items of a page, or the chunks of a small version, lie. docs/format.md §7 */
import { zstdCompressSync } from "node:zlib";
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "./block.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "./digest.ts";
import { CODECS, DELTA_BASES_MAX, DELTA_BYTES_MAX, DEPTH_MAX, decodeFrame, type Codec } from "./frame.ts";
import { HEADER_BYTES, checkHeader, encodeHeader } from "./header.ts";
import { PAGE_ITEMS_MAX } from "./page.ts";
import { WireReader, WireWriter, unzigzag, zigzag } from "./wire.ts";

/** What a plan's places stand for: the pages (or chunks) that its key names, or every chunk of a version in order. */
const PLAN_COVERS = { items: 1, version: 2 } as const;
/** The name of what a plan covers. */
export type PlanCovers = keyof typeof PLAN_COVERS;
const COVERS_NAMES: readonly (PlanCovers | undefined)[] = [undefined, "items", "version"];

/** A piece of a delta frame's dictionary: one base chunk, and where it lies. */
export interface PlanSource {
  readonly digest: Digest;
  readonly bytes: number;
  /** Index of the plan's frame that holds it, below that of the frame that needs it. */
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

/** Where one item lies: in a frame, from `offset` of its decoded bytes. */
export interface PlanPlace {
  readonly frame: number;
  readonly offset: number;
}

/** Where the items that a plan covers lie, and the frames that decode them. docs/format.md §7 */
export interface Plan {
  readonly covers: PlanCovers;
  /** Bases stand before the frames that need them. */
  readonly frames: readonly PlanFrame[];
  /** One for each item, in order. */
  readonly places: readonly PlanPlace[];
}

const PLAN_BYTES_MAX = 16 * MiB;
/** Frames at most: the items' own, and for each delta the frames of its bases. */
const PLAN_FRAMES_MAX = 65_536;
const ITEMS_MAX = PAGE_ITEMS_MAX * 4;

/** The plan object. */
export function encodePlan(plan: Plan): Uint8Array {
  const blocks = [...new Set(plan.frames.map((frame) => frame.block))];
  const blockIndex = new Map(blocks.map((block, index) => [block, index]));
  const ends = new Map<Digest, number>();
  const gaps = plan.frames.map((frame) => {
    const gap = frame.offset - (ends.get(frame.block) ?? HEADER_BYTES);
    ends.set(frame.block, frame.offset + frame.storedBytes);
    return zigzag(gap);
  });
  const message = new WireWriter()
    .uint(1, PLAN_COVERS[plan.covers])
    .bytes(2, Buffer.concat(blocks.map(digestBytes)))
    .packed(
      3,
      plan.frames.map((frame) => blockIndex.get(frame.block) ?? 0),
    )
    .packed(4, gaps)
    .packed(
      5,
      plan.frames.map((frame) => frame.storedBytes),
    )
    .packed(
      6,
      plan.frames.map((frame) => frame.codec),
    );
  for (const frame of plan.frames)
    if (frame.delta !== undefined) message.element(7, encodeDelta(frame.delta));
  const places = plan.places;
  message
    .packed(
      8,
      places.map((place, index) => zigzag(place.frame - (places[index - 1]?.frame ?? -1) - 1)),
    )
    .packed(
      9,
      places.map((place) => place.offset),
    );
  const bytes = message.finish();
  assert(bytes.byteLength <= PLAN_BYTES_MAX, "a plan of one page stays below what readers take");
  const object = new WireWriter().uint(1, bytes.byteLength).bytes(2, zstdCompressSync(bytes));
  return Buffer.concat([encodeHeader("plan"), object.finish()]);
}

function encodeDelta(delta: PlanDelta): Uint8Array {
  const { sources } = delta;
  return new WireWriter()
    .uint(1, delta.decodedBytes)
    .uint(2, delta.depth)
    .bytes(3, Buffer.concat(sources.map((source) => digestBytes(source.digest))))
    .packed(
      4,
      sources.map((source) => source.bytes),
    )
    .packed(
      5,
      sources.map((source) => source.frame),
    )
    .packed(
      6,
      sources.map((source) => source.offset),
    )
    .uint(7, delta.baseOffset)
    .uint(8, delta.baseBytes)
    .finish();
}

/** The plan in these bytes. A plan is derived: what it leads to is verified by digests. Errors: OBJECT_INVALID, OBJECT_CORRUPT, FORMAT_UNSUPPORTED. */
export function decodePlan(bytes: Uint8Array): Plan {
  checkHeader(bytes, "plan");
  const object = new WireReader(bytes.subarray(HEADER_BYTES), "a plan object");
  const plainBytes = object.uint(1, PLAN_BYTES_MAX);
  const body = decodeFrame(CODECS.zstd, object.bytes(2), plainBytes);
  object.end();
  const reader = new WireReader(body, "a plan");
  const covers = COVERS_NAMES[reader.uint(1)];
  if (covers === undefined) throw invalid("it covers nothing known");
  const blocks = decodeDigests(reader.bytes(2));
  const blockIndexes = reader.packed(3, PLAN_FRAMES_MAX);
  const gaps = reader.packed(4, PLAN_FRAMES_MAX);
  const stored = reader.packed(5, PLAN_FRAMES_MAX);
  const codecs = reader.packed(6, PLAN_FRAMES_MAX);
  const deltas = reader.elements(7, PLAN_FRAMES_MAX);
  const steps = reader.packed(8, ITEMS_MAX);
  const offsets = reader.packed(9, ITEMS_MAX);
  reader.end();
  const count = blockIndexes.length;
  if (
    gaps.length !== count ||
    stored.length !== count ||
    codecs.length !== count ||
    offsets.length !== steps.length
  ) {
    throw invalid("its columns differ in length");
  }
  const frames = decodeFrames(blocks, blockIndexes, gaps, stored, codecs, deltas);
  let frame = -1;
  const places = steps.map((step, index) => {
    frame += 1 + unzigzag(step);
    if (frame < 0 || frame >= count) throw invalid("an item lies in no frame");
    return { frame, offset: bounded(offsets[index], CHUNK_BYTES_MAX) };
  });
  return { covers, frames, places };
}

function decodeFrames(
  blocks: readonly Digest[],
  blockIndexes: readonly number[],
  gaps: readonly number[],
  stored: readonly number[],
  codecs: readonly number[],
  deltas: readonly Uint8Array[],
): PlanFrame[] {
  const ends = new Map<number, number>();
  let deltaCount = 0;
  const frames: PlanFrame[] = [];
  for (const [index, blockNumber] of blockIndexes.entries()) {
    const block = blocks[blockNumber];
    if (block === undefined) throw invalid("a frame lies in no block");
    const offset = (ends.get(blockNumber) ?? HEADER_BYTES) + unzigzag(gaps[index] ?? 0);
    const storedBytes = bounded(stored[index], CHUNK_BYTES_MAX * 2);
    if (storedBytes === 0 || offset < HEADER_BYTES || offset + storedBytes > BLOCK_OBJECT_BYTES_MAX)
      throw invalid("a frame's place");
    ends.set(blockNumber, offset + storedBytes);
    const codec = bounded(codecs[index], CODECS.delta) as Codec;
    const delta = codec === CODECS.delta ? decodeDelta(deltas[deltaCount++], frames) : undefined;
    frames.push({ block, offset, storedBytes, codec, delta });
  }
  if (deltaCount !== deltas.length) throw invalid("it has deltas too many");
  return frames;
}

/** `before` are the frames that may be bases: those that stand before, so that no cycle is possible. */
function decodeDelta(bytes: Uint8Array | undefined, before: readonly PlanFrame[]): PlanDelta {
  if (bytes === undefined) throw invalid("a delta is missing");
  const reader = new WireReader(bytes, "a plan's delta");
  const decodedBytes = reader.uint(1, DELTA_BYTES_MAX);
  const depth = reader.uint(2, DEPTH_MAX);
  const digests = decodeDigests(reader.bytes(3));
  const lengths = reader.packed(4, DELTA_BASES_MAX);
  const frames = reader.packed(5, DELTA_BASES_MAX);
  const offsets = reader.packed(6, DELTA_BASES_MAX);
  const baseOffset = reader.uint(7, CHUNK_BYTES_MAX);
  const baseBytes = reader.uint(8, DELTA_BYTES_MAX);
  reader.end();
  const count = digests.length;
  if (lengths.length !== count || frames.length !== count || offsets.length !== count) {
    throw invalid("a delta's columns differ in length");
  }
  let totalBytes = 0;
  const sources = digests.map((digest, index) => {
    const frame = bounded(frames[index], before.length - 1);
    const base = before[frame];
    if (base === undefined || (base.delta?.depth ?? 0) >= depth)
      throw invalid("a delta lies on no lower frame");
    const length = bounded(lengths[index], CHUNK_BYTES_MAX);
    if (length === 0) throw invalid("a delta's base is empty");
    totalBytes += length;
    return { digest, bytes: length, frame, offset: bounded(offsets[index], DELTA_BYTES_MAX) };
  });
  if (decodedBytes === 0 || baseBytes === 0 || baseOffset + baseBytes > totalBytes)
    throw invalid("a delta's sizes");
  return { decodedBytes, depth, sources, baseOffset, baseBytes };
}

function decodeDigests(bytes: Uint8Array): Digest[] {
  if (bytes.byteLength % DIGEST_BYTES !== 0) throw invalid("a digest is cut off");
  const digests: Digest[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += DIGEST_BYTES)
    digests.push(digestFromBytes(bytes, offset));
  return digests;
}

function bounded(value: number | undefined, max: number): number {
  if (value === undefined || value > max) throw invalid("a number is out of range");
  return value;
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a plan is malformed: ${why}`);
}
