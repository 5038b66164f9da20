/** Makes plans from what the chunk index and the blocks' indexes say. docs/format.md §7 */
import { AetherError, codeOf } from "../../base/errors.ts";
import { assert } from "../../base/assert.ts";
import { DIGEST_BYTES, digestFromBytes, type Digest } from "../../format/digest.ts";
import { CODECS, DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { FrameInfo } from "../../format/block.ts";
import type { Plan, PlanCovers, PlanFrame, PlanPlace, PlanSource } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { BlockIndexes } from "./block-indexes.ts";
import type { ChunkIndex, ChunkLocation } from "./chunk-index.ts";

/** Frames that are remembered as whole. */
const WHOLE_KEPT_MAX = 1 << 16;

/** What decoding a frame takes. */
interface FrameCost {
  readonly index: number;
  readonly depth: number;
  /** Bytes that decoding produces, bases included. */
  readonly decodeBytes: number;
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
  async place(digest: Digest, depthMax = DEPTH_MAX): Promise<{ place: PlanPlace; cost: FrameCost }> {
    const location = this.#index.find(digest);
    if (location === undefined) {
      throw new AetherError("OBJECT_MISSING", `the store lacks chunk sha256:${digest}`, {
        data: { digest: `sha256:${digest}` },
      });
    }
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

function costOn(decodedBytes: number, bases: Iterable<FrameCost>): { depth: number; decodeBytes: number } {
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
    for (const digest of digests) places.push((await draft.place(digest)).place);
    return { plan: { covers, frames: draft.frames, places }, blocks: draft.blocks };
  }

  /**
   * What a delta frame of `decodedBytes` on these chunks would say of itself, or undefined when it would break a limit
   * (docs/format.md §5.1) or a chunk is not there.
   */
  async cost(
    bases: readonly Digest[],
    decodedBytes: number,
    options: CallOptions,
  ): Promise<Pick<FrameInfo, "depth" | "decodeBytes"> | undefined> {
    assert(bases.length > 0, "a delta has a base");
    const needed = await this.#place(bases, options);
    if (needed === undefined) return undefined;
    const cost = costOn(decodedBytes, needed.values());
    return cost.depth <= DEPTH_MAX && cost.decodeBytes <= DECODE_BYTES_MAX ? cost : undefined;
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

  /** The frames that hold the chunks, or undefined when something of them is missing or damaged. */
  async #place(
    digests: readonly Digest[],
    options: CallOptions,
  ): Promise<ReadonlyMap<number, FrameCost> | undefined> {
    const draft = new PlanDraft(this.#index, this.#indexes, options);
    const needed = new Map<number, FrameCost>();
    try {
      for (const digest of digests) {
        const { cost } = await draft.place(digest);
        needed.set(cost.index, cost);
      }
    } catch (error) {
      const code = codeOf(error);
      if (code === "OBJECT_MISSING" || code === "OBJECT_INVALID") return undefined;
      throw error;
    }
    return needed;
  }
}

function disagreement(block: Digest): AetherError {
  return new AetherError(
    "OBJECT_INVALID",
    `the index of block sha256:${block} is not the one that was read before`,
  );
}
