/** Brings a chunk index up to what the store holds. */
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockReader, CallOptions } from "../../store/block-store.ts";
import { readBlockIndex } from "./block-indexes.ts";
import type { ChunkIndex } from "./chunk-index.ts";

/** Block indexes that are read at the same time. */
const READS_MAX = 8;

/**
 * Adds the blocks that the index does not know and forgets those that are gone. A block that cannot be read is left out:
 * its chunks then count as missing, and `onBad` hears of it.
 */
export async function syncIndex(
  index: ChunkIndex,
  blocks: BlockReader,
  domain: string,
  options: CallOptions & { readonly onBad?: (block: Digest, error: unknown) => void } = {},
): Promise<void> {
  const gone = new Set(index.blocks());
  const unknown: Digest[] = [];
  for await (const { digest } of blocks.list(options)) {
    if (!gone.delete(digest)) unknown.push(digest);
  }
  for (const block of gone) index.remove(block);
  const add = async (block: Digest): Promise<void> => {
    try {
      const { domain: its, frames, offsets } = await readBlockIndex(blocks, block, options);
      index.add(block, its === domain ? frames : [], offsets);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "OBJECT_MISSING" && code !== "OBJECT_INVALID" && code !== "FORMAT_UNSUPPORTED")
        throw error;
      options.onBad?.(block, error);
    }
  };
  for (let next = 0; next < unknown.length; next += READS_MAX) {
    await Promise.all(unknown.slice(next, next + READS_MAX).map(add));
  }
}
