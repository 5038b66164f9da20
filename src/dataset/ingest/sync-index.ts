/** Brings a chunk index up to what the store holds. */
import { codeOf } from "../../base/errors.ts";
import type { BlockInfo, BlockReader, CallOptions } from "../../store/block-store.ts";
import { readBlockIndex } from "./block-indexes.ts";
import type { ChunkIndex, IndexedBlock } from "./chunk-index.ts";

/** Block indexes that are read at the same time. */
const READS_MAX = 8;

/**
 * Adds the blocks that the index does not know and forgets those that are gone, or not of the size that they had. A block
 * that cannot be read is left out: its chunks then count as missing.
 */
export async function syncIndex(
  index: ChunkIndex,
  blocks: BlockReader,
  domain: string,
  options: CallOptions = {},
): Promise<void> {
  const gone = new Set(index.blocks());
  const unknown: BlockInfo[] = [];
  for await (const block of blocks.list(options)) {
    if (index.bytesOf(block.digest) === block.bytes) gone.delete(block.digest);
    else unknown.push(block);
  }
  index.remove(gone);
  const read = async (block: BlockInfo): Promise<IndexedBlock | undefined> => {
    try {
      const { digest, bytes: size } = block;
      const { domain: its, frames, offsets } = await readBlockIndex(blocks, digest, { ...options, size });
      return { ...block, frames: its === domain ? frames : [], offsets };
    } catch (error) {
      const code = codeOf(error);
      if (code === "OBJECT_MISSING" || code === "OBJECT_INVALID" || code === "FORMAT_UNSUPPORTED")
        return undefined;
      throw error;
    }
  };
  for (let next = 0; next < unknown.length; next += READS_MAX) {
    for (const block of await Promise.all(unknown.slice(next, next + READS_MAX).map(read))) {
      if (block !== undefined) index.add(block);
    }
  }
}
