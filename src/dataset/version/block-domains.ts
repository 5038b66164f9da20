import type { Digest } from "../../format/digest.ts";
import type { BlockReader, CallOptions } from "../../store/block-store.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import { LoadingCache } from "./loading-cache.ts";

/** Blocks whose domains are remembered. */
const BLOCKS_MAX = 20_000;

/** In which domain blocks lie, as their own indexes say. A block never changes, so it is asked once. */
export class BlockDomains {
  readonly #blocks: BlockReader;
  readonly #known = new LoadingCache<string>(BLOCKS_MAX, () => 1);

  constructor(blocks: BlockReader) {
    this.#blocks = blocks;
  }

  /** Errors: OBJECT_MISSING, OBJECT_INVALID, FORMAT_UNSUPPORTED, those of the store. */
  get(block: Digest, options?: CallOptions): Promise<string> {
    return this.#known.get(block, async () => (await readBlockIndex(this.#blocks, block, options)).domain);
  }
}
