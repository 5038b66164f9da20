/** Plans: where the items of a page, or the chunks of a small version, lie. docs/format.md §7 */
import { zstdCompressSync } from "node:zlib";
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "./block.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "./digest.ts";
import { CODECS, DELTA_BASES_MAX, DELTA_BYTES_MAX, DEPTH_MAX, decodeFrame, type Codec } from "./frame.ts";
import { FEATURES, HEADER_BYTES, checkHeader, encodeHeader } from "./header.ts";
import { PAGE_ITEMS_MAX, type ChunkItem } from "./page.ts";
import { WireReader, WireWriter, unzigzag, zigzag } from "./wire.ts";

/** What a plan's places stand for: the pages (or chunks) that its key names, or every chunk of a version in order. */
const PLAN_COVERS = { items: 1, version: 2 } as const;
/** The name of what a plan covers. */
export type PlanCovers = keyof typeof PLAN_COVERS;
const COVERS_NAMES: readonly (PlanCovers | undefined)[] = [undefined, "items", "version"];

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

/** Where one item lies: in a frame (or ELSEWHERE), from `offset` of its decoded bytes. */
export interface PlanPlace {
  readonly frame: number;
  readonly offset: number;
}

/** The version in terms of which a plan says where chunks lie that both have. */
export interface PlanBase {
  readonly version: Digest;
  /** Plans that completing this one takes: one more than completing the base's own. */
  readonly height: number;
}

/** Where the items that a plan covers lie, and the frames that decode them. docs/format.md §7 */
export interface Plan {
  readonly covers: PlanCovers;
  /** Bases stand before the frames that need them. */
  readonly frames: readonly PlanFrame[];
  /** One for each item, in order. */
  readonly places: readonly PlanPlace[];
  /** Of a plan that leaves something to another. */
  readonly base?: PlanBase;
}

/** Plans that completing one takes at most. */
export const PLAN_HEIGHT_MAX = 6;
const PLAN_BYTES_MAX = 16 * MiB;
/** Frames at most: the items' own, and for each delta the frames of its bases. */
const PLAN_FRAMES_MAX = 65_536;
/** Items of one plan at most. */
export const PLAN_ITEMS_MAX = PAGE_ITEMS_MAX * 4;
/** Numbers that describe a run of places ELSEWHERE. */
const RUN_FIELDS = 3;

/**
 * The plan object. In a plan with a base, a delta's sources lie all in its own frames, or all ELSEWHERE and one after another
 * there.
 */
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
  const { base } = plan;
  const places = plan.places.filter(({ frame }) => frame !== ELSEWHERE);
  message
    .packed(
      8,
      places.map((place, index) => zigzag(place.frame - (places[index - 1]?.frame ?? -1) - 1)),
    )
    .packed(
      9,
      places.map((place) => place.offset),
    );
  if (base !== undefined) message.packed(10, encodeRuns(plan.places));
  const bytes = message.finish();
  assert(bytes.byteLength <= PLAN_BYTES_MAX, "a plan of one page stays below what readers take");
  const object = new WireWriter().uint(1, bytes.byteLength).bytes(2, zstdCompressSync(bytes));
  if (base !== undefined) object.bytes(3, digestBytes(base.version)).uint(4, base.height);
  const features = base === undefined ? 0 : FEATURES.planBase;
  return Buffer.concat([encodeHeader("plan", features), object.finish()]);
}

/** Of each run of places ELSEWHERE: others before it, its first chunk's number minus what would follow the run before, its length. */
function encodeRuns(places: readonly PlanPlace[]): number[] {
  const numbers: number[] = [];
  let [others, next, count] = [0, 0, 0];
  for (const { frame, offset } of [...places, { frame: 0, offset: 0 }]) {
    if (frame === ELSEWHERE && count > 0 && offset === next + count) count++;
    else {
      if (count > 0) numbers.push(count);
      next += count;
      count = 0;
      if (frame === ELSEWHERE) {
        numbers.push(others, zigzag(offset - next));
        [others, next, count] = [0, offset, 1];
      } else others++;
    }
  }
  return numbers;
}

function encodeDelta(delta: PlanDelta): Uint8Array {
  const { sources } = delta;
  const first = sources[0];
  if (first?.frame === ELSEWHERE) {
    const isRun = sources.every(
      ({ frame, offset }, index) => frame === ELSEWHERE && offset === first.offset + index,
    );
    assert(isRun, "sources that lie elsewhere lie one after another");
    return new WireWriter()
      .uint(1, delta.decodedBytes)
      .uint(2, delta.depth)
      .uint(7, delta.baseOffset)
      .uint(8, delta.baseBytes)
      .uint(9, first.offset)
      .uint(10, sources.length)
      .finish();
  }
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

/** A plan object taken apart. */
interface PlanObject {
  readonly base: PlanBase | undefined;
  readonly planBytes: number;
  readonly payload: Uint8Array;
}

function decodeObject(bytes: Uint8Array): PlanObject {
  const features = checkHeader(bytes, "plan");
  const object = new WireReader(bytes.subarray(HEADER_BYTES), "a plan object");
  const planBytes = object.uint(1, PLAN_BYTES_MAX);
  const payload = object.bytes(2);
  const [version, ...others] = decodeDigests(object.bytes(3));
  const height = object.uint(4, PLAN_HEIGHT_MAX);
  object.end();
  const isExpected = (features & FEATURES.planBase) !== 0;
  if (others.length > 0 || (version !== undefined) !== isExpected || height > 0 !== isExpected) {
    throw invalid("its base and its features disagree");
  }
  return { base: version === undefined ? undefined : { version, height }, planBytes, payload };
}

/** The base of the plan in these bytes, or undefined when it needs none. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function planBaseOf(bytes: Uint8Array): PlanBase | undefined {
  return decodeObject(bytes).base;
}

/**
 * The plan in these bytes; `baseChunks` are the chunks of its base's version, when it has one. A plan is derived: what it leads
 * to is verified by digests. Errors: OBJECT_INVALID, OBJECT_CORRUPT, FORMAT_UNSUPPORTED.
 */
export function decodePlan(bytes: Uint8Array, baseChunks: readonly ChunkItem[] = []): Plan {
  const { base, planBytes, payload } = decodeObject(bytes);
  const body = decodeFrame(CODECS.zstd, payload, planBytes);
  const reader = new WireReader(body, "a plan");
  const covers = COVERS_NAMES[reader.uint(1)];
  if (covers === undefined) throw invalid("it covers nothing known");
  const blocks = decodeDigests(reader.bytes(2));
  const blockIndexes = reader.packed(3, PLAN_FRAMES_MAX);
  const gaps = reader.packed(4, PLAN_FRAMES_MAX);
  const stored = reader.packed(5, PLAN_FRAMES_MAX);
  const codecs = reader.packed(6, PLAN_FRAMES_MAX);
  const deltas = reader.elements(7, PLAN_FRAMES_MAX);
  const steps = reader.packed(8, PLAN_ITEMS_MAX);
  const offsets = reader.packed(9, PLAN_ITEMS_MAX);
  const runs = base === undefined ? [] : reader.packed(10, RUN_FIELDS * PLAN_ITEMS_MAX);
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
  const places = decodePlaces(steps, offsets, count);
  const frames = decodeFrames(blocks, blockIndexes, gaps, stored, codecs, deltas, baseChunks);
  if (base === undefined) return { covers, frames, places };
  return { covers, frames, places: withRuns(places, runs, baseChunks.length), base };
}

function decodePlaces(steps: readonly number[], offsets: readonly number[], frames: number): PlanPlace[] {
  let frame = -1;
  return steps.map((step, index) => {
    frame += 1 + unzigzag(step);
    if (frame < 0 || frame >= frames) throw invalid("an item lies in no frame");
    return { frame, offset: bounded(offsets[index], CHUNK_BYTES_MAX) };
  });
}

/** The places with those that lie ELSEWHERE among them. */
function withRuns(own: readonly PlanPlace[], runs: readonly number[], baseChunks: number): PlanPlace[] {
  if (runs.length % RUN_FIELDS !== 0) throw invalid("a run is cut off");
  const places: PlanPlace[] = [];
  let [taken, next] = [0, 0];
  for (let at = 0; at < runs.length; at += RUN_FIELDS) {
    const [others = 0, step = 0, count = 0] = runs.slice(at, at + RUN_FIELDS);
    const first = next + unzigzag(step);
    next = first + count;
    if (count === 0 || first < 0 || next > baseChunks) throw invalid("a run is not the base's");
    if (taken + others > own.length || places.length + others + count > PLAN_ITEMS_MAX)
      throw invalid("a run is too long");
    places.push(...own.slice(taken, taken + others));
    taken += others;
    for (let offset = first; offset < next; offset++) places.push({ frame: ELSEWHERE, offset });
  }
  return [...places, ...own.slice(taken)];
}

function decodeFrames(
  blocks: readonly Digest[],
  blockIndexes: readonly number[],
  gaps: readonly number[],
  stored: readonly number[],
  codecs: readonly number[],
  deltas: readonly Uint8Array[],
  baseChunks: readonly ChunkItem[],
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
    const delta = codec === CODECS.delta ? decodeDelta(deltas[deltaCount++], frames, baseChunks) : undefined;
    frames.push({ block, offset, storedBytes, codec, delta });
  }
  if (deltaCount !== deltas.length) throw invalid("it has deltas too many");
  return frames;
}

/** `before` are the frames that may be bases: those that stand before, so that no cycle is possible. */
function decodeDelta(
  bytes: Uint8Array | undefined,
  before: readonly PlanFrame[],
  baseChunks: readonly ChunkItem[],
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
  if (count > 0 ? columns.some((column) => column.length > 0) : first > 0)
    throw invalid("a delta has sources of two kinds");
  const sources = count > 0 ? chunksElsewhere(baseChunks, first, count) : ownSources(columns, before, depth);
  const totalBytes = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  if (decodedBytes === 0 || depth === 0 || baseBytes === 0 || baseOffset + baseBytes > totalBytes)
    throw invalid("a delta's sizes");
  return { decodedBytes, depth, sources, baseOffset, baseBytes };
}

function chunksElsewhere(baseChunks: readonly ChunkItem[], first: number, count: number): PlanSource[] {
  const chunks = baseChunks.slice(first, first + count);
  if (chunks.length !== count) throw invalid("a delta's sources are not the base's");
  return chunks.map(({ digest, length }, index) => ({
    digest,
    bytes: length,
    frame: ELSEWHERE,
    offset: first + index,
  }));
}

function ownSources(
  [digests, lengths, frames, offsets]: readonly [readonly Digest[], ...(readonly number[])[]],
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
    const length = bounded(lengths[index], CHUNK_BYTES_MAX);
    if (length === 0) throw invalid("a delta's base is empty");
    return { digest, bytes: length, frame, offset: bounded(offsets[index], DELTA_BYTES_MAX) };
  });
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
