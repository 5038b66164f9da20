/** Reads blocks' own indexes, keeping a few. */
import { AetherError, codeOf } from "../../base/errors.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import { INDEX_GUESS_BYTES, decodeIndex, indexBytes, type BlockIndex } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";

/** Indexes that stay in memory: each has at most some hundred kilobytes as a rule. */
const KEPT_MAX = 32;

/** Options of readBlockIndex. */
export interface BlockIndexOptions extends CallOptions {
  /** The block's in bytes, as far as the caller knows. */
  readonly size?: number | undefined;
}

/**
 * The index of a block, from its first and last bytes: for those who trust the store's listing of names. Errors:
 * OBJECT_MISSING, OBJECT_INVALID, FORMAT_UNSUPPORTED.
 */
export async function readBlockIndex(
  blocks: RangeReader,
  block: Digest,
  { size, ...options }: BlockIndexOptions = {},
): Promise<BlockIndex> {
  try {
    return await readIndex(blocks, block, size, options);
  } catch (error) {
    if (size === undefined || codeOf(error) !== "RANGE_INVALID") throw error;
    return await readIndex(blocks, block, undefined, options);
  }
}

async function readIndex(
  blocks: RangeReader,
  block: Digest,
  size: number | undefined,
  options: CallOptions,
): Promise<BlockIndex> {
  const blockBytes = size ?? (await blocks.stat(block, options));
  if (blockBytes === undefined) throw missing(block);
  const read = (start: number, end: number): Promise<Uint8Array> =>
    blocks.read(block, { start, end }, options);
  const guessBytes = Math.min(INDEX_GUESS_BYTES, blockBytes);
  const headerBytes = Math.min(HEADER_BYTES, blockBytes);
  const isWhole = guessBytes === blockBytes;
  const [guess, first] = await Promise.all([
    read(blockBytes - guessBytes, blockBytes),
    isWhole ? undefined : read(0, headerBytes),
  ]);
  const header = first ?? guess.subarray(0, headerBytes);
  let tail = guess;
  const wantedBytes = indexBytes(tail);
  if (wantedBytes > tail.byteLength && wantedBytes <= blockBytes) {
    tail = await read(blockBytes - wantedBytes, blockBytes);
  }
  return decodeIndex(header, tail, blockBytes);
}

/** The error for a block that is not there. */
export function missing(block: Digest): AetherError {
  return new AetherError("OBJECT_MISSING", `the store lacks block sha256:${block}`, {
    data: { block: `sha256:${block}` },
  });
}

/** Block indexes by digest, the most recently used kept. */
export class BlockIndexes {
  readonly #blocks: RangeReader;
  readonly #sizeOf: (block: Digest) => number | undefined;
  readonly #kept = new Map<Digest, Promise<BlockIndex>>();

  /** `sizeOf` says how long a block is, in bytes, as far as that is known. */
  constructor(blocks: RangeReader, sizeOf: (block: Digest) => number | undefined) {
    this.#blocks = blocks;
    this.#sizeOf = sizeOf;
  }

  /** Keeps the index of a block that was just written. */
  keep(block: Digest, index: BlockIndex): void {
    this.#keep(block, Promise.resolve(index));
  }

  /** Errors: as readBlockIndex. */
  get(block: Digest, options?: CallOptions): Promise<BlockIndex> {
    const known = this.#kept.get(block);
    const size = this.#sizeOf(block);
    const index = known ?? readBlockIndex(this.#blocks, block, { ...options, size });
    index.catch(() => this.#kept.delete(block));
    this.#keep(block, index);
    return index;
  }

  #keep(block: Digest, index: Promise<BlockIndex>): void {
    this.#kept.delete(block);
    this.#kept.set(block, index);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}
