import type { ByteRange } from "../../base/byte-range.ts";
import { totalBytes } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, StoreFeatures } from "../block-store.ts";
import { Gate, type GateLimits } from "./gate.ts";
import type { Layer } from "./stack.ts";

/** What a read of a whole block counts as before its size is known: the default block size. */
const WHOLE_BLOCK_BYTES = 32 * MiB;

/** Blocks read and put by a limited number of calls at once. */
export function limited(limits: GateLimits): Layer {
  return (inner) => ({
    blocks: new LimitedStore(inner.blocks, limits),
    datasets: inner.datasets,
    close: () => inner.close(),
  });
}

/**
 * Lets at most so many calls, and bytes, through at once; the rest wait in order. Errors besides the inner store's:
 * STORE_UNAVAILABLE when too many wait. Lists are not counted: their reader may make calls between two items.
 */
class LimitedStore implements BlockStore {
  readonly #inner: BlockStore;
  readonly #gate: Gate;

  constructor(inner: BlockStore, limits: GateLimits) {
    this.#inner = inner;
    this.#gate = new Gate(limits);
  }

  get features(): StoreFeatures {
    return this.#inner.features;
  }

  read(block: Digest, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> {
    // A range that is no range is refused inside; it must not confuse the count.
    const bytes = range === undefined ? WHOLE_BLOCK_BYTES : Math.max(range.end - range.start, 0);
    return this.#gate.run(bytes, () => this.#inner.read(block, range, options), options?.signal);
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#gate.run(0, () => this.#inner.stat(block, options), options?.signal);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#inner.list(options);
  }

  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#gate.run(totalBytes(parts), () => this.#inner.put(block, parts, options), options?.signal);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#gate.run(0, () => this.#inner.flush(options), options?.signal);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#gate.run(0, () => this.#inner.remove(block, options), options?.signal);
  }
}
