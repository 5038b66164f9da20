/** Reads blocks' own indexes, keeping a few. */
import { AetherError } from "../../base/errors.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import { INDEX_GUESS_BYTES, decodeIndex, indexBytes, type BlockIndex } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";

/** Indexes that stay in memory: each has at most some hundred kilobytes as a rule. */
const KEPT_MAX = 32;

/**
 * The index of a block, from its first and last bytes: for those who trust the store's listing of names. Errors:
 * OBJECT_MISSING, OBJECT_INVALID, FORMAT_UNSUPPORTED.
 */
export async function readBlockIndex(
  blocks: RangeReader,
  block: Digest,
  options?: CallOptions,
): Promise<BlockIndex> {
  const blockBytes = await blocks.stat(block, options);
  if (blockBytes === undefined) throw missing(block);
  const header = await blocks.read(block, { start: 0, end: Math.min(HEADER_BYTES, blockBytes) }, options);
  let tail = await blocks.read(
    block,
    { start: Math.max(0, blockBytes - INDEX_GUESS_BYTES), end: blockBytes },
    options,
  );
  const wantedBytes = indexBytes(tail);
  if (wantedBytes > tail.byteLength && wantedBytes <= blockBytes) {
    tail = await blocks.read(block, { start: blockBytes - wantedBytes, end: blockBytes }, options);
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
  readonly #kept = new Map<Digest, Promise<BlockIndex>>();

  constructor(blocks: RangeReader) {
    this.#blocks = blocks;
  }

  /** Errors: as readBlockIndex. */
  get(block: Digest, options?: CallOptions): Promise<BlockIndex> {
    const known = this.#kept.get(block);
    const index = known ?? readBlockIndex(this.#blocks, block, options);
    this.#kept.delete(block);
    this.#kept.set(block, index);
    index.catch(() => this.#kept.delete(block));
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return index;
  }
}
