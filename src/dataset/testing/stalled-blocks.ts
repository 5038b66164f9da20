import type {
  BlockInfo,
  BlockStore,
  CallOptions,
  RangeReader,
  StoreFeatures,
} from "../../store/block-store.ts";

/** Blocks of a store that is far, which answer when the test lets them; a read that is aborted ends at once. */
export class StalledBlocks implements BlockStore {
  readonly features: StoreFeatures = { kind: "stalled", persistent: true, shared: true };
  readonly #inner: BlockStore;
  /** Reads that were not answered yet. */
  readonly underWay = new Set<object>();
  /** Whether reads wait. */
  isStalled = false;
  #release = Promise.withResolvers<undefined>();

  constructor(inner: BlockStore) {
    this.#inner = inner;
  }

  async read(...[block, range, options]: Parameters<RangeReader["read"]>): Promise<Uint8Array> {
    const call = {};
    this.underWay.add(call);
    const aborted = Promise.withResolvers<never>();
    options?.signal?.addEventListener("abort", () => {
      aborted.reject(options.signal?.reason);
    });
    try {
      if (this.isStalled) await Promise.race([this.#release.promise, aborted.promise]);
      return await this.#inner.read(block, range, options);
    } finally {
      this.underWay.delete(call);
    }
  }

  stat(...[block, options]: Parameters<RangeReader["stat"]>): Promise<number | undefined> {
    return this.#inner.stat(block, options);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#inner.list(options);
  }

  put(...args: Parameters<BlockStore["put"]>): Promise<void> {
    return this.#inner.put(...args);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#inner.flush(options);
  }

  remove(...args: Parameters<BlockStore["remove"]>): Promise<void> {
    return this.#inner.remove(...args);
  }

  /** Resolves when as many reads wait as it should be. */
  async until(isSo: (calls: number) => boolean): Promise<void> {
    while (!isSo(this.underWay.size)) await new Promise(setImmediate);
  }

  /** Answers what waits, and what comes. */
  letGo(): void {
    this.isStalled = false;
    this.#release.resolve(undefined);
    this.#release = Promise.withResolvers();
  }
}
