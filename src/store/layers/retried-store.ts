import type { ByteRange } from "../../base/byte-range.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, StoreFeatures } from "../block-store.ts";
import { Retry, type RetryOptions } from "./retry.ts";
import { RetriedDatasetStore } from "./retried-dataset-store.ts";
import type { Layer } from "./stack.ts";

/** Blocks and datasets whose calls are repeated when the store does not answer for a while. */
export function retried(options: RetryOptions): Layer {
  return (inner) => {
    const retry = new Retry(options);
    return {
      blocks: new RetriedStore(inner.blocks, retry),
      datasets: new RetriedDatasetStore(inner.datasets, retry),
      close: () => inner.close(),
    };
  };
}

/** Repeats calls on blocks, all of which may be repeated: a block's name is its content. */
class RetriedStore implements BlockStore {
  readonly #inner: BlockStore;
  readonly #retry: Retry;

  constructor(inner: BlockStore, retry: Retry) {
    this.#inner = inner;
    this.#retry = retry;
  }

  get features(): StoreFeatures {
    return this.#inner.features;
  }

  read(block: Digest, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> {
    return this.#retry.run(() => this.#inner.read(block, range, options), options?.signal);
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#retry.run(() => this.#inner.stat(block, options), options?.signal);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#retry.iterate(
      () => this.#inner.list(options),
      ({ digest }) => digest,
      options?.signal,
    );
  }

  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.put(block, parts, options), options?.signal);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.flush(options), options?.signal);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.remove(block, options), options?.signal);
  }
}
