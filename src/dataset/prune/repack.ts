/** Packs what is needed of mostly dead blocks anew, and leads the plans there. docs/format.md §9.1 */
import { createHash } from "node:crypto";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { BLOCK_BYTES_DEFAULT, type BlockIndex, type FrameInfo } from "../../format/block.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { isDamage } from "../damage.ts";
import type { Engine } from "../engine.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import { BlockPacker, type SealedBlock } from "../ingest/block-packer.ts";
import type { Lease } from "../ingest/lease.ts";
import { newestEpoch } from "../ingest/swept-names.ts";
import type { PruneProgress } from "./contract.ts";
import type { LiveSet } from "./live-set.ts";
import { MovedFrames, PlanMover } from "./move-plans.ts";
import type { PartlyLive } from "./survey.ts";
import type { Pace } from "../pace.ts";

/** Read at a stretch, and hashed in one turn. */
const PIECE_BYTES = MiB;
/** Needed frames of one old block take at most this part of the memory; blocks with more are left as they are. */
const MEMORY_SHARE = 4;
/** Blocks whose plans are written together. */
const GROUP_BLOCKS_MAX = 64;

/** What repacking works with. */
export interface RepackParts {
  readonly engine: Engine;
  readonly live: LiveSet;
  /** Claims the new blocks. */
  readonly lease: Lease;
  /** The number of the epoch that comes after those that were done before `live` was marked. */
  readonly epoch: number;
  readonly pace: Pace;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** What was repacked. */
export interface Repacked {
  readonly blocks: number;
  readonly blockBytes: number;
  readonly newBytes: number;
}

interface Needed {
  readonly block: PartlyLive;
  readonly index: BlockIndex;
  /** Needed frames: numbers in the index. */
  readonly frames: readonly number[];
  readonly stored: readonly Uint8Array[];
}

/** Repacks blocks, group by group; each group is whole before the next begins, so it may end at any time. */
export class Repacker {
  readonly #parts: RepackParts;
  readonly #options: CallOptions;
  #count = { blocks: 0, blockBytes: 0, newBytes: 0 };

  constructor(parts: RepackParts, options: CallOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Repacks these blocks, which `live` knows; those that were moved wholly live no more then. Blocks that are damaged stay as
   * they are. Errors: those of the store.
   */
  async run(blocks: readonly PartlyLive[]): Promise<Repacked> {
    const domains = new Map<string, PartlyLive[]>();
    for (const block of blocks) {
      const domain = await this.#domainOf(block);
      if (domain !== undefined) domains.set(domain, [...(domains.get(domain) ?? []), block]);
    }
    for (const [domain, all] of domains) {
      const packer = new BlockPacker(domain, BLOCK_BYTES_DEFAULT);
      for (const group of groupsOf(all)) await this.#repack(packer, group);
    }
    return this.#count;
  }

  async #domainOf({ digest }: PartlyLive): Promise<string | undefined> {
    try {
      return (await readBlockIndex(this.#parts.engine.store.blocks, digest, this.#options)).domain;
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  /** The packer is empty before and after: its memory serves all groups. */
  async #repack(packer: BlockPacker, group: readonly PartlyLive[]): Promise<void> {
    const { engine, live, lease, epoch, onProgress } = this.#parts;
    const moved = new MovedFrames();
    let waiting: { readonly from: Digest; readonly offset: number }[] = [];
    const seal = async (): Promise<void> => {
      const sealed = packer.seal();
      if (sealed === undefined) return;
      await this.#put(sealed);
      for (const [number, { from, offset }] of waiting.entries())
        moved.add(from, offset, {
          block: sealed.digest,
          offset: must(sealed.offsets[number], "a place for each"),
        });
      waiting = [];
      packer.recycle(sealed);
    };
    const taken: PartlyLive[] = [];
    for (const block of group) {
      const needed = await this.#read(block);
      if (needed === undefined) continue;
      taken.push(block);
      for (const [at, number] of needed.frames.entries()) {
        const stored = must(needed.stored[at], "bytes of each frame");
        const info: FrameInfo = must(needed.index.frames[number], "a frame of the index");
        if (packer.isFull(stored.byteLength)) await seal();
        packer.add(info, stored);
        const offset = must(needed.index.offsets[number], "a place of each frame");
        waiting.push({ from: block.digest, offset });
      }
    }
    await seal();
    if (taken.length === 0) return;
    await engine.store.blocks.flush(this.#options);
    // Another prune that has marked since may have condemned a new block that lay there before, and not see the claim in time.
    if ((await newestEpoch(engine.store.datasets, this.#options)) >= epoch) return;
    const victims = new Set(taken.map(({ digest }) => digest));
    const mover = new PlanMover(engine, live, victims, moved);
    const stuck = await mover.run(this.#options, async () => {
      if (!lease.isFresh) await lease.store(this.#options);
    });
    await engine.store.datasets.flush(this.#options);
    for (const { digest, bytes } of taken) {
      if (stuck.has(digest)) continue;
      live.dropBlock(digest);
      this.#count.blocks++;
      this.#count.blockBytes += bytes;
    }
    onProgress?.({ phase: "repack", done: this.#count.blocks });
  }

  async #put(sealed: SealedBlock): Promise<void> {
    const { engine, live, lease, pace } = this.#parts;
    lease.addBlock(sealed.digest);
    await lease.storeGrown(this.#options);
    await pace.take(sealed.bytes, this.#options.signal);
    await engine.store.blocks.put(sealed.digest, sealed.parts, this.#options);
    live.holdBlock(sealed.digest);
    this.#count.newBytes += sealed.bytes;
  }

  /** The needed frames of a block, all of whose bytes were held to its name; undefined when it is damaged, or too large. */
  async #read(block: PartlyLive): Promise<Needed | undefined> {
    const { engine, live } = this.#parts;
    if (block.liveBytes > engine.memoryBytes / MEMORY_SHARE) return undefined;
    const offsets = must(live.framesOf(block.digest), "the block is needed in part").offsets();
    try {
      const index = await readBlockIndex(engine.store.blocks, block.digest, this.#options);
      const frames = index.frames.flatMap((_, number) =>
        offsets.has(index.offsets[number] ?? -1) ? [number] : [],
      );
      if (frames.length !== offsets.size)
        throw new AetherError("OBJECT_INVALID", `plans lead to no frame of ${formatDigest(block.digest)}`);
      return { block, index, frames, stored: await this.#readFrames(block, index, frames) };
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  async #readFrames(
    { digest, bytes }: PartlyLive,
    index: BlockIndex,
    frames: readonly number[],
  ): Promise<Uint8Array[]> {
    const { engine, pace } = this.#parts;
    const wanted = frames.map((number) => {
      const start = must(index.offsets[number], "a place of each frame");
      return { start, stored: Buffer.allocUnsafe(must(index.frames[number], "a frame").storedBytes) };
    });
    const hash = createHash("sha256");
    let first = 0;
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const range = { start: at, end: Math.min(at + PIECE_BYTES, bytes) };
      await pace.take(range.end - range.start, this.#options.signal);
      const piece = await engine.store.blocks.read(digest, range, this.#options);
      hash.update(piece);
      for (let next = first; next < wanted.length; next++) {
        const { start, stored } = must(wanted[next], "in range");
        if (start >= range.end) break;
        const [from, to] = [Math.max(start, at), Math.min(start + stored.byteLength, range.end)];
        stored.set(piece.subarray(from - at, to - at), from - start);
        if (start + stored.byteLength <= range.end) first = next + 1;
      }
      await new Promise(setImmediate);
    }
    if (hash.digest("hex") !== digest)
      throw new AetherError("OBJECT_CORRUPT", `block ${formatDigest(digest)} is not what its name says`);
    return wanted.map(({ stored }) => stored);
  }
}

/** Blocks that come to about one new block together, so that what one step takes is bounded. */
function* groupsOf(blocks: readonly PartlyLive[]): Generator<readonly PartlyLive[]> {
  let group: PartlyLive[] = [];
  let bytes = 0;
  for (const block of blocks) {
    group.push(block);
    bytes += block.liveBytes;
    if (bytes < BLOCK_BYTES_DEFAULT && group.length < GROUP_BLOCKS_MAX) continue;
    yield group;
    [group, bytes] = [[], 0];
  }
  if (group.length > 0) yield group;
}
