/** Plans: where the items of a page, or the chunks of a small version, lie. docs/format.md §7 */
import { zstdCompressSync } from "node:zlib";
import { assert } from "../base/assert.ts";
import { MiB } from "../base/limits.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "./block.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { digestBytes, type Digest } from "./digest.ts";
import { CODECS, decodeFrame, type Codec } from "./frame.ts";
import { FEATURES, HEADER_BYTES, checkHeader, encodeHeader } from "./header.ts";
import { PAGE_ITEMS_MAX, type ChunkItem } from "./page.ts";
import {
  ELSEWHERE,
  PLAN_ITEMS_MAX,
  bounded,
  decodeDigests,
  decodePlanDelta,
  encodePlanDelta,
  invalid,
  type PlanFrame,
  type PlanTerms,
} from "./plan-frames.ts";
import { WireReader, WireWriter, unzigzag, zigzag } from "./wire.ts";

export { ELSEWHERE, PLAN_ITEMS_MAX, type PlanDelta, type PlanFrame, type PlanSource } from "./plan-frames.ts";

/** What a plan's places stand for: the pages (or chunks) that its key names, or every chunk of a version in order. */
const PLAN_COVERS = { items: 1, version: 2 } as const;
/** The name of what a plan covers. */
export type PlanCovers = keyof typeof PLAN_COVERS;
const COVERS_NAMES: readonly (PlanCovers | undefined)[] = [undefined, "items", "version"];

/** Where one item lies: in a frame (or ELSEWHERE), from `offset` of its decoded bytes. */
export interface PlanPlace {
  readonly frame: number;
  readonly offset: number;
}

/** What a plan is in terms of: where items lie that both have, the base's plan says. docs/format.md §7.1 */
export interface PlanBase {
  /** Of a version's plan a version, of a page's a page. */
  readonly kind: "version" | "page";
  readonly key: Digest;
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
/** What a plan with a base requires of its reader. */
const BASE_FEATURES = { version: FEATURES.planBase, page: FEATURES.planOnPage } as const;
const BASE_KINDS = ["version", "page"] as const;
/** Numbers that describe a run of places ELSEWHERE. */
const RUN_FIELDS = 3;

/**
 * The plan object. In a plan with a base, a delta's sources lie all in its own frames, or all ELSEWHERE and one after another
 * there.
 */
export function encodePlan(plan: Plan): Uint8Array {
  const { base } = plan;
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
    if (frame.delta !== undefined) message.element(7, encodePlanDelta(frame.delta, base?.kind === "page"));
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
  if (base !== undefined) object.bytes(3, digestBytes(base.key)).uint(4, base.height);
  const features = base === undefined ? 0 : BASE_FEATURES[base.kind];
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
  const [key, ...others] = decodeDigests(object.bytes(3));
  const height = object.uint(4, PLAN_HEIGHT_MAX);
  object.end();
  const kinds = BASE_KINDS.filter((name) => (features & BASE_FEATURES[name]) !== 0);
  const count = key === undefined ? 0 : 1;
  if (others.length > 0 || kinds.length !== count || height > 0 !== count > 0) {
    throw invalid("its base and its features disagree");
  }
  const [kind] = kinds;
  return { base: key && kind && { kind, key, height }, planBytes, payload };
}

/** The base of the plan in these bytes, or undefined when it needs none. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function planBaseOf(bytes: Uint8Array): PlanBase | undefined {
  return decodeObject(bytes).base;
}

/**
 * The plan in these bytes; `baseChunks` are the chunks of its base, when that is a version. A plan is derived: what it leads
 * to is verified by digests. Errors: OBJECT_INVALID, OBJECT_CORRUPT, FORMAT_UNSUPPORTED.
 */
export function decodePlan(bytes: Uint8Array, baseChunks: readonly ChunkItem[] = []): Plan {
  const { base, planBytes, payload } = decodeObject(bytes);
  const body = decodeFrame(CODECS.zstd, payload, planBytes);
  const reader = new WireReader(body, "a plan");
  const covers = COVERS_NAMES[reader.uint(1)];
  if (covers === undefined) throw invalid("it covers nothing known");
  if (base !== undefined && (base.kind === "page") !== (covers === "items"))
    throw invalid("its base is of another kind");
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
  const terms = { chunks: base?.kind === "page" ? undefined : baseChunks };
  const places = decodePlaces(steps, offsets, count);
  const frames = decodeFrames(blocks, blockIndexes, gaps, stored, codecs, deltas, terms);
  if (base === undefined) return { covers, frames, places };
  return { covers, frames, places: withRuns(places, runs, terms.chunks?.length ?? PAGE_ITEMS_MAX), base };
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
function withRuns(own: readonly PlanPlace[], runs: readonly number[], baseItems: number): PlanPlace[] {
  if (runs.length % RUN_FIELDS !== 0) throw invalid("a run is cut off");
  const places: PlanPlace[] = [];
  let [taken, next] = [0, 0];
  for (let at = 0; at < runs.length; at += RUN_FIELDS) {
    const [others = 0, step = 0, count = 0] = runs.slice(at, at + RUN_FIELDS);
    const first = next + unzigzag(step);
    next = first + count;
    if (count === 0 || first < 0 || next > baseItems) throw invalid("a run is not the base's");
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
  terms: PlanTerms,
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
    const delta = codec === CODECS.delta ? decodePlanDelta(deltas[deltaCount++], frames, terms) : undefined;
    frames.push({ block, offset, storedBytes, codec, delta });
  }
  if (deltaCount !== deltas.length) throw invalid("it has deltas too many");
  return frames;
}
