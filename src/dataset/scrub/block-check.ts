/** One block, held against its name, and each frame against what it says it holds. docs/format.md §5 */
import { createHash, type Hash } from "node:crypto";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { BlockIndex, FrameInfo } from "../../format/block.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { BlockIndexes, readBlockIndex } from "../ingest/block-indexes.ts";
import type { ChunkIndex } from "../ingest/chunk-index.ts";
import { FrameCheck } from "../ingest/frame-check.ts";
import { PlanMaker } from "../ingest/plan-maker.ts";
import type { ReceivedFrame } from "../ingest/sessions.ts";
import { isFault } from "./is-fault.ts";
import type { Pace } from "../pace.ts";

/** Stored bytes, and what they decode to, that are checked together. */
const PIECE_BYTES = 4 * MiB;
/** Hashed at a stretch, about 1 ms: the event loop serves others between. */
const TURN_BYTES = MiB;

/** What is wrong with a block. */
export interface BlockFault {
  /** Where a frame begins; undefined: the block as a whole. */
  readonly offset: number | undefined;
  readonly error: AetherError;
}

/** What was found of a block. */
export interface BlockFinding {
  readonly faults: readonly BlockFault[];
  /** Its bytes are those of its name: what is wrong with frames then is what they were made of, or what they lie on. */
  readonly isAsNamed: boolean;
  readonly bytes: number;
}

/** Checks blocks. */
export class BlockCheck {
  readonly #blocks: RangeReader;
  readonly #frames: FrameCheck;
  readonly #pace: Pace;

  /** `index` has the chunks of all blocks. */
  constructor(engine: Engine, index: ChunkIndex, pace: Pace) {
    this.#blocks = engine.store.blocks;
    this.#pace = pace;
    const plans = new PlanMaker(
      index,
      new BlockIndexes(engine.store.blocks, (block) => index.bytesOf(block)),
    );
    this.#frames = new FrameCheck(engine, {
      find: (digest) => index.find(digest),
      planOf: async (digests, options) => (await plans.make("items", digests, options)).plan,
      // What a frame takes to decode is bounded where it is decoded.
      canBase: () => Promise.resolve(true),
    });
  }

  /** Reads all of a block; of one that was removed meanwhile nothing is wrong. Errors: those of the store, but for damage. */
  async check(block: Digest, options: CallOptions): Promise<BlockFinding> {
    const faults: BlockFault[] = [];
    let bytes = 0;
    let isAsNamed = false;
    try {
      bytes = must(await this.#sizeOf(block, options), "it has a size");
      const index = await this.#indexOf(block, faults, options);
      const hash = createHash("sha256");
      await this.#read(block, { start: 0, end: Math.min(HEADER_BYTES, bytes) }, hash, options);
      const end =
        index === undefined ? HEADER_BYTES : await this.#checkFrames(block, index, hash, faults, options);
      await this.#readRest(block, { start: Math.min(end, bytes), end: bytes }, hash, options);
      isAsNamed = hash.digest("hex") === block;
      if (!isAsNamed) faults.unshift({ offset: undefined, error: notAsNamed(block) });
    } catch (error) {
      note(faults, undefined, error);
    }
    if (faults.length > 0 && (await this.#blocks.stat(block, options)) === undefined)
      return { faults: [], isAsNamed: true, bytes };
    // What a delta lies on may be gone, where nothing needs it any more: whether something does, plans tell.
    const told = isAsNamed ? faults.filter(({ error }) => error.code !== "OBJECT_MISSING") : faults;
    return { faults: told, isAsNamed, bytes };
  }

  async #sizeOf(block: Digest, options: CallOptions): Promise<number> {
    const bytes = await this.#blocks.stat(block, options);
    if (bytes !== undefined) return bytes;
    throw new AetherError("OBJECT_MISSING", `the store lacks block ${formatDigest(block)}`);
  }

  async #indexOf(block: Digest, faults: BlockFault[], options: CallOptions): Promise<BlockIndex | undefined> {
    try {
      return await readBlockIndex(this.#blocks, block, options);
    } catch (error) {
      note(faults, undefined, error);
      return undefined;
    }
  }

  /** Gives where the frames end. */
  async #checkFrames(
    block: Digest,
    { frames, offsets }: BlockIndex,
    hash: Hash,
    faults: BlockFault[],
    options: CallOptions,
  ): Promise<number> {
    let end = HEADER_BYTES;
    for (let from = 0; from < frames.length;) {
      const to = endOfPiece(frames, from);
      const start = must(offsets[from], "a frame begins somewhere");
      end =
        must(offsets[to - 1], "a frame begins somewhere") + must(frames[to - 1], "the last one").storedBytes;
      const bytes = await this.#read(block, { start, end }, hash, options);
      const received = frames.slice(from, to).map((info, index): ReceivedFrame => {
        const at = must(offsets[from + index], "a frame begins somewhere") - start;
        return receivedFrame(info, bytes.subarray(at, at + info.storedBytes));
      });
      await this.#checkPiece(received, offsets.slice(from, to), faults, options);
      from = to;
    }
    return end;
  }

  /** One by one when not all are sound. */
  async #checkPiece(
    frames: readonly ReceivedFrame[],
    offsets: readonly number[],
    faults: BlockFault[],
    options: CallOptions,
  ): Promise<void> {
    try {
      await this.#frames.check(frames, options);
    } catch (error) {
      if (frames.length <= 1) note(faults, offsets[0], error);
      else {
        if (!isFault(error)) throw error;
        const middle = frames.length >>> 1;
        await this.#checkPiece(frames.slice(0, middle), offsets.slice(0, middle), faults, options);
        await this.#checkPiece(frames.slice(middle), offsets.slice(middle), faults, options);
      }
    }
  }

  async #readRest(
    block: Digest,
    { start, end }: { readonly start: number; readonly end: number },
    hash: Hash,
    options: CallOptions,
  ): Promise<void> {
    for (let at = start; at < end; at += PIECE_BYTES)
      await this.#read(block, { start: at, end: Math.min(at + PIECE_BYTES, end) }, hash, options);
  }

  async #read(
    block: Digest,
    range: { readonly start: number; readonly end: number },
    hash: Hash,
    options: CallOptions,
  ): Promise<Uint8Array> {
    await this.#pace.take(range.end - range.start, options.signal);
    const bytes = await this.#blocks.read(block, range, options);
    for (let at = 0; at < bytes.byteLength; at += TURN_BYTES) {
      hash.update(bytes.subarray(at, at + TURN_BYTES));
      await new Promise(setImmediate);
    }
    return bytes;
  }
}

/** Frames of about a piece, one at least. */
function endOfPiece(frames: readonly FrameInfo[], from: number): number {
  let bytes = 0;
  let to = from;
  for (; to < frames.length; to++) {
    const { storedBytes, lengths } = must(frames[to], "the index is within");
    bytes += storedBytes + lengths.reduce((sum, length) => sum + length, 0);
    if (to > from && bytes > 2 * PIECE_BYTES) break;
  }
  return to;
}

function receivedFrame({ codec, digests, lengths, base }: FrameInfo, stored: Uint8Array): ReceivedFrame {
  return { codec, digests, lengths, stored, base };
}

function note(faults: BlockFault[], offset: number | undefined, error: unknown): void {
  if (!isFault(error)) throw error;
  faults.push({ offset, error });
}

function notAsNamed(block: Digest): AetherError {
  const name = formatDigest(block);
  return new AetherError("OBJECT_CORRUPT", `the bytes of block ${name} are not what its name says`, {
    data: { block: name },
  });
}
