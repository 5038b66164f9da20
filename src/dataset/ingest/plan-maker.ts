/** Makes plans from what the chunk index and the blocks' indexes say. docs/format.md §7 */
import { AetherError, codeOf, type ErrorCode } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";
import { DIGEST_BYTES, digestFromBytes, type Digest } from "../../format/digest.ts";
import { CODECS, DECODE_BYTES_MAX, DELTA_BASES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { FrameBase, FrameInfo } from "../../format/block.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Plan, PlanCovers, PlanFrame, PlanPlace, PlanSource } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { BlockIndexes } from "./block-indexes.ts";
import { splitDigests } from "./block-packer.ts";
import type { ChunkIndex, ChunkLocation, IndexedBlock } from "./chunk-index.ts";

/** How far a change may have moved what stands around it. */
const NEAR_BYTES = 64 * KiB;
/** Frames that are remembered as whole. */
const WHOLE_KEPT_MAX = 1 << 16;

/** What reading says of blocks' indexes that are lost or damaged. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set([
  "OBJECT_MISSING",
  "OBJECT_INVALID",
  "FORMAT_UNSUPPORTED",
]);

/** Chunks of one session that get a second place, about. */
const RETURNED_MAX = 1 << 16;

/** What decoding a frame takes. */
export interface DecodeCost {
  /** Delta frames that it passes through. */
  readonly depth: number;
  /** Bytes that it produces, bases included. */
  readonly decodeBytes: number;
}

/** The same of a plan's frame. */
interface FrameCost extends DecodeCost {
  readonly index: number;
}

/** A frame that holds chunks which a delta would build on. */
export interface BaseFrame extends DecodeCost {
  /** Of the chunks that were asked for, those that lie in it. */
  readonly chunks: readonly Digest[];
  /** Bytes of these. */
  readonly chunkBytes: number;
}

/** Gathers one plan's frames, bases before what needs them. */
class PlanDraft {
  readonly frames: PlanFrame[] = [];
  readonly blocks = new Set<Digest>();
  readonly #costs = new Map<string, FrameCost>();
  readonly #index: ChunkIndex;
  readonly #indexes: BlockIndexes;
  readonly #options: CallOptions;

  constructor(index: ChunkIndex, indexes: BlockIndexes, options: CallOptions) {
    this.#index = index;
    this.#indexes = indexes;
    this.#options = options;
  }

  /** Where a chunk lies, its frame added. Errors: OBJECT_MISSING when the domain lacks it. */
  async place(
    digest: Digest,
    depthMax = DEPTH_MAX,
    location = this.#index.find(digest),
  ): Promise<{ place: PlanPlace; cost: FrameCost }> {
    if (location === undefined) throw lacking(digest);
    const cost = await this.#frame(location, depthMax);
    return { place: { frame: cost.index, offset: location.chunkOffset }, cost };
  }

  async #frame(location: ChunkLocation, depthMax: number): Promise<FrameCost> {
    const key = `${location.block}:${location.frame}`;
    const known = this.#costs.get(key);
    if (known !== undefined) return known;
    if (location.codec !== CODECS.delta) return this.#add(key, location, 0, location.chunkBytes, undefined);
    if (depthMax === 0) throw new AetherError("OBJECT_INVALID", "delta frames lie on each other too deep");
    const index = await this.#indexes.get(location.block, this.#options);
    const info = index.frames[location.frame];
    const base = info?.base;
    if (info === undefined || base === undefined) throw disagreement(location.block);
    const sources: PlanSource[] = [];
    const needed = new Map<number, FrameCost>();
    for (const [number, bytes] of base.lengths.entries()) {
      const digest = digestFromBytes(base.digests, number * DIGEST_BYTES);
      const { place, cost } = await this.place(digest, depthMax - 1);
      needed.set(cost.index, cost);
      sources.push({ digest, bytes, frame: place.frame, offset: place.offset });
    }
    const decodedBytes = info.lengths.reduce((sum, length) => sum + length, 0);
    const { depth, decodeBytes } = costOn(decodedBytes, needed.values());
    if (decodeBytes > DECODE_BYTES_MAX) {
      throw new AetherError(
        "OBJECT_INVALID",
        `a frame takes ${decodeBytes} bytes to decode: no reader would`,
      );
    }
    const delta = { decodedBytes, depth, sources, baseOffset: base.offset, baseBytes: base.bytes };
    return this.#add(key, location, depth, decodeBytes, delta);
  }

  #add(
    key: string,
    location: ChunkLocation,
    depth: number,
    decodeBytes: number,
    delta: PlanFrame["delta"],
  ): FrameCost {
    const { block, frameOffset, storedBytes, codec } = location;
    const cost = { index: this.frames.length, depth, decodeBytes };
    this.frames.push({ block, offset: frameOffset, storedBytes, codec, delta });
    this.blocks.add(block);
    this.#costs.set(key, cost);
    return cost;
  }
}

/** What decoding a delta frame of `decodedBytes` on frames takes. */
export function costOn(decodedBytes: number, bases: Iterable<DecodeCost>): DecodeCost {
  let depth = 0;
  let decodeBytes = decodedBytes;
  for (const base of bases) {
    depth = Math.max(depth, base.depth);
    decodeBytes += base.decodeBytes;
  }
  return { depth: depth + 1, decodeBytes };
}

/** Says where chunks lie, and what decoding them takes, from the indexes of chunks and blocks. */
export class PlanMaker {
  readonly #index: ChunkIndex;
  readonly #indexes: BlockIndexes;
  /** Delta frames that were found whole. */
  readonly #whole = new Set<string>();
  /** Frames on their way to the store, by their chunks: where these lie soon. */
  readonly #coming = new Map<Digest, FrameInfo>();
  /** Frames of chunks that are there already. */
  readonly #returning = new Set<FrameInfo>();
  /** Where these chunks lie in them. */
  readonly #returned = new Map<Digest, ChunkLocation>();
  #hasMoved = false;

  constructor(index: ChunkIndex, indexes: BlockIndexes) {
    this.#index = index;
    this.#indexes = indexes;
  }

  /** The plan of these chunks or pages, in order, and the blocks that it leads to. Errors: OBJECT_MISSING. */
  async make(
    covers: PlanCovers,
    digests: Iterable<Digest>,
    options: CallOptions,
  ): Promise<{ plan: Plan; blocks: ReadonlySet<Digest> }> {
    const draft = new PlanDraft(this.#index, this.#indexes, options);
    const places: PlanPlace[] = [];
    for (const digest of digests) {
      const again = this.#returned.get(digest);
      const placed = again && (await draft.place(digest, DEPTH_MAX, again).catch(() => undefined));
      places.push((placed ?? (await draft.place(digest))).place);
    }
    return { plan: { covers, frames: draft.frames, places }, blocks: draft.blocks };
  }

  /** Whether chunks got better places than the plans that are there say. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  /** Tells of chunks that were packed once more, in a better frame: what is asked of them next counts on it. */
  expect(frame: FrameInfo): void {
    this.#hasMoved = true;
    for (const digest of splitDigests(frame.digests)) this.#coming.set(digest, frame);
  }

  /**
   * Tells of chunks that are there already, and lie in this delta once more: who has the version before has its base, and
   * fetches less by it. Plans that are made after it is stored say so. False: there are too many already.
   */
  expectAgain(frame: FrameInfo): boolean {
    if (this.#returning.size + this.#returned.size > RETURNED_MAX) return false;
    this.#returning.add(frame);
    return true;
  }

  /** Tells that the index knows the frames of a block of `domain` now. */
  settle(block: IndexedBlock, domain: string): void {
    this.#indexes.keep(block.digest, { domain, frames: block.frames, offsets: block.offsets });
    for (const [number, frame] of block.frames.entries()) {
      for (const digest of splitDigests(frame.digests)) this.#coming.delete(digest);
      this.#settleAgain(block, number, frame);
    }
  }

  #settleAgain(block: IndexedBlock, number: number, info: FrameInfo): void {
    if (!this.#returning.delete(info)) return;
    const { codec, depth, storedBytes } = info;
    const frame = {
      block: block.digest,
      frame: number,
      frameOffset: block.offsets[number] ?? 0,
      storedBytes,
      codec,
      depth,
    };
    let chunkOffset = 0;
    for (const [at, digest] of splitDigests(info.digests).entries()) {
      const chunkBytes = info.lengths[at] ?? 0;
      this.#returned.set(digest, { ...frame, chunkOffset, chunkBytes });
      chunkOffset += chunkBytes;
    }
  }

  /** The frames that hold these chunks, each once; undefined when a chunk, or what decoding it takes, is not there. */
  async basesOf(digests: readonly Digest[], options: CallOptions): Promise<readonly BaseFrame[] | undefined> {
    const coming = new Map<FrameInfo, Digest[]>();
    const stored: Digest[] = [];
    for (const digest of digests) {
      const frame = this.#coming.get(digest);
      if (frame === undefined) stored.push(digest);
      else coming.set(frame, [...(coming.get(frame) ?? []), digest]);
    }
    const placed = await this.#place(stored, options);
    if (placed === undefined) return undefined;
    const expected = [...coming].map(([frame, chunks]) => ({ ...decodeCostOf(frame), chunks }));
    return [...placed.values(), ...expected].map((frame) => {
      const chunkBytes = this.lengthsOf(frame.chunks).reduce((sum, { length }) => sum + length, 0);
      return { ...frame, chunkBytes };
    });
  }

  /** The chunks with their lengths. Errors: OBJECT_MISSING. */
  lengthsOf(digests: readonly Digest[]): ChunkItem[] {
    return digests.map((digest) => {
      const location = this.#index.find(digest);
      if (location === undefined) throw lacking(digest);
      return { digest, length: location.chunkBytes };
    });
  }

  /**
   * The frame that a chunk or page lies in: whether it holds a page, and of its chunks those that have no better place, in
   * order. Errors: OBJECT_MISSING.
   */
  async frameOf(
    digest: Digest,
    options: CallOptions,
  ): Promise<{ readonly isPage: boolean; readonly chunks: readonly Digest[] }> {
    const location = this.#index.find(digest);
    if (location === undefined) throw lacking(digest);
    const info = (await this.#indexes.get(location.block, options)).frames[location.frame];
    if (info === undefined) throw disagreement(location.block);
    const lies = (chunk: Digest): boolean => {
      const place = this.#index.find(chunk);
      return place?.block === location.block && place.frame === location.frame;
    };
    return { isPage: info.isPage, chunks: splitDigests(info.digests).filter(lies) };
  }

  /**
   * The chunks in plain frames that these chunks most likely come down to, in order, each once: as many as one delta may
   * name. Errors: OBJECT_MISSING.
   */
  async rootsOf(digests: readonly Digest[], options: CallOptions): Promise<readonly Digest[]> {
    const roots = new Set<Digest>();
    // Neighbours lie on much the same chunks: each is looked at once, not once for every way to it.
    const visited = new Set<Digest>();
    const visit = async (digest: Digest, depthMax: number): Promise<void> => {
      if (visited.has(digest) || roots.size >= DELTA_BASES_MAX) return;
      visited.add(digest);
      const location = this.#index.find(digest);
      if (location === undefined || depthMax < 0) throw lacking(digest);
      if (location.codec !== CODECS.delta) {
        roots.add(digest);
        return;
      }
      const frame = (await this.#indexes.get(location.block, options)).frames[location.frame];
      if (frame?.base === undefined) throw disagreement(location.block);
      for (const base of basesNear(frame, frame.base, location)) await visit(base, depthMax - 1);
    };
    for (const digest of digests) await visit(digest, DEPTH_MAX);
    return [...roots];
  }

  /** Whether all is there that decoding the chunk takes, as far as the indexes know. */
  async isWhole(location: ChunkLocation, digest: Digest, options: CallOptions): Promise<boolean> {
    if (location.codec !== CODECS.delta) return true;
    const key = `${location.block}:${location.frame}`;
    if (this.#whole.has(key)) return true;
    if ((await this.#place([digest], options)) === undefined) return false;
    if (this.#whole.size === WHOLE_KEPT_MAX) this.#whole.clear();
    this.#whole.add(key);
    return true;
  }

  /** The frames that hold the chunks, by their numbers, or undefined when something of them is missing or damaged. */
  async #place(
    digests: readonly Digest[],
    options: CallOptions,
  ): Promise<ReadonlyMap<number, Omit<BaseFrame, "chunkBytes">> | undefined> {
    const draft = new PlanDraft(this.#index, this.#indexes, options);
    const needed = new Map<number, DecodeCost & { chunks: Digest[] }>();
    try {
      for (const digest of digests) {
        const { cost } = await draft.place(digest);
        const known = needed.get(cost.index);
        if (known === undefined) needed.set(cost.index, { ...cost, chunks: [digest] });
        else known.chunks.push(digest);
      }
    } catch (error) {
      if (UNREADABLE.has(codeOf(error))) return undefined;
      throw error;
    }
    return needed;
  }
}

/** The chunks of a delta frame's base in which a chunk of its run most likely stood, with some more on both sides. */
function basesNear(frame: FrameInfo, base: FrameBase, chunk: ChunkLocation): readonly Digest[] {
  const runBytes = frame.lengths.reduce((sum, length) => sum + length, 0);
  const scale = base.bytes / runBytes;
  const from = base.offset + Math.max(0, chunk.chunkOffset * scale - NEAR_BYTES);
  const to = base.offset + Math.min(base.bytes, (chunk.chunkOffset + chunk.chunkBytes) * scale + NEAR_BYTES);
  let at = 0;
  return splitDigests(base.digests).filter((_, index) => {
    const start = at;
    at += base.lengths[index] ?? 0;
    return at > from && start < to;
  });
}

function decodeCostOf({ codec, depth, decodeBytes, lengths }: FrameInfo): DecodeCost {
  return { depth, decodeBytes: codec === CODECS.delta ? decodeBytes : (lengths[0] ?? 0) };
}

function lacking(digest: Digest): AetherError {
  return new AetherError("OBJECT_MISSING", `the store lacks chunk sha256:${digest}`, {
    data: { digest: `sha256:${digest}` },
  });
}

function disagreement(block: Digest): AetherError {
  return new AetherError(
    "OBJECT_INVALID",
    `the index of block sha256:${block} is not the one that was read before`,
  );
}
