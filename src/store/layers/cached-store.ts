import { checkRange, type ByteRange } from "../../base/byte-range.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, StoreFeatures } from "../block-store.ts";
import { ByteCache } from "./byte-cache.ts";
import { SharedCalls } from "./shared-calls.ts";
import type { Layer } from "./stack.ts";

/** Blocks of which up to `bytesMax` bytes are kept in memory. */
export function cached(bytesMax: number): Layer {
  return (inner) => ({
    blocks: new CachedStore(inner.blocks, bytesMax),
    datasets: inner.datasets,
    close: () => inner.close(),
  });
}

/**
 * Keeps what was read, by exact range, and reads once what many want at the same time. One read of more than an eighth of
 * the budget is not kept. A block that was removed may still be read from here; absence is never kept.
 */
export class CachedStore implements BlockStore {
  readonly #inner: BlockStore;
  readonly #cache: ByteCache;
  readonly #calls = new SharedCalls<Uint8Array>();

  constructor(inner: BlockStore, bytesMax: number) {
    this.#inner = inner;
    this.#cache = new ByteCache(bytesMax);
  }

  get features(): StoreFeatures {
    return this.#inner.features;
  }

  async read(block: Digest, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> {
    options?.signal?.throwIfAborted();
    const key = range === undefined ? block : `${block}:${range.start}-${range.end}`;
    const found = this.#cache.get(key);
    if (found !== undefined) return copyOf(found);
    const whole = range === undefined ? undefined : this.#cache.get(block);
    if (range !== undefined && whole !== undefined) {
      checkRange(range, whole.byteLength);
      return copyOf(whole.subarray(range.start, range.end));
    }
    const fetch = async (signal: AbortSignal): Promise<Uint8Array> => {
      const bytes = await this.#inner.read(block, range, { signal });
      this.#cache.put(key, bytes);
      return bytes;
    };
    const { value, isShared } = await this.#calls.run(key, fetch, options?.signal);
    return isShared || this.#cache.accepts(value.byteLength) ? copyOf(value) : value;
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#inner.stat(block, options);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#inner.list(options);
  }

  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#inner.put(block, parts, options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#inner.flush(options);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#inner.remove(block, options);
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
