import type { ByteRange } from "../base/byte-range.ts";
import { AetherError } from "../base/errors.ts";
import { GiB } from "../base/limits.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, ReadRangeOptions, StoreFeatures } from "./block-store.ts";
import { blockKey, BLOCKS, parseDigestKey } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";

/** A block that is longer cannot be read as a whole, only by ranges. */
const WHOLE_BLOCK_BYTES_MAX = GiB;

/** Blocks as objects of any driver. Errors besides the seam's: those of the ObjectStore, passed on as they are. */
export class ObjectBlockStore implements BlockStore {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  get features(): StoreFeatures {
    return this.#objects.features;
  }

  async read(block: Digest, range?: ByteRange, options: ReadRangeOptions = {}): Promise<Uint8Array> {
    const key = blockKey(block);
    const bytes =
      range === undefined
        ? await this.#objects.get(key, { ...options, bytesMax: WHOLE_BLOCK_BYTES_MAX })
        : await this.#objects.getRange(key, range, options);
    if (bytes !== undefined) return bytes;
    const text = formatDigest(block);
    throw new AetherError("OBJECT_MISSING", `${this.#objects.name} has no block ${text}`, {
      data: { block: text },
    });
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#objects.stat(blockKey(block), options);
  }

  async *list(options?: CallOptions): AsyncGenerator<BlockInfo> {
    for await (const { key, bytes } of this.#objects.list(BLOCKS, options)) {
      const digest = parseDigestKey(BLOCKS, key);
      if (digest !== undefined) yield { digest, bytes };
    }
  }

  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#objects.add(blockKey(block), parts, options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#objects.flush(options);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#objects.remove(blockKey(block), options);
  }
}
