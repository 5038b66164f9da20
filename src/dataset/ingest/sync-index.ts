/** Brings a chunk index up to what the store holds. */
import { must } from "../../base/assert.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import type { BlockInfo, BlockReader, CallOptions } from "../../store/block-store.ts";
import { isDamage } from "../damage.ts";
import { readBlockIndex } from "./block-indexes.ts";
import type { ChunkIndex, IndexedBlock } from "./chunk-index.ts";

/** Block indexes that are read at the same time. */
const READS_MAX = 8;
/** What damage may look like besides: another header, or a block that became shorter. */
const DISGUISES: ReadonlySet<ErrorCode> = new Set(["FORMAT_UNSUPPORTED", "RANGE_INVALID"]);

/**
 * Adds the blocks that the index does not know, with the chunks of those of the domain (undefined: of all), and forgets those that
 * are gone, or not of the size that they had. A block that cannot be read is left out: its chunks then count as missing. Gives the bytes
 * of all blocks.
 */
export async function syncIndex(
  index: ChunkIndex,
  blocks: BlockReader,
  domain: string | undefined,
  options: CallOptions = {},
): Promise<number> {
  const gone = new Set(index.blocks());
  let totalBytes = 0;
  const unknown: BlockInfo[] = [];
  for await (const block of blocks.list(options)) {
    totalBytes += block.bytes;
    if (index.bytesOf(block.digest) === block.bytes) gone.delete(block.digest);
    else unknown.push(block);
  }
  index.remove(gone);
  const read = async (block: BlockInfo): Promise<IndexedBlock | undefined> => {
    try {
      const { digest, bytes: size } = block;
      const { domain: its, frames, offsets } = await readBlockIndex(blocks, digest, { ...options, size });
      return { ...block, frames: domain === undefined || its === domain ? frames : [], offsets };
    } catch (error) {
      if (isDamage(error) || DISGUISES.has(codeOf(error))) return undefined;
      throw error;
    }
  };
  for (let next = 0; next < unknown.length; next += READS_MAX) {
    const some = unknown.slice(next, next + READS_MAX);
    for (const [at, block] of (await Promise.all(some.map(read))).entries()) {
      if (block !== undefined) index.add(block);
      else index.unreadable.add(must(some[at], "one for each").digest);
    }
  }
  return totalBytes;
}
