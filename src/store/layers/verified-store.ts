import { createHash } from "node:crypto";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, StoreFeatures } from "../block-store.ts";
import type { Layer } from "./stack.ts";

/** Hashed at a stretch, about 1 ms: the event loop serves others between slices. */
const SLICE_BYTES = MiB;

/** Blocks whose bytes are checked against their names. */
export function verified(): Layer {
  return (inner) => ({
    blocks: new VerifiedStore(inner.blocks),
    datasets: inner.datasets,
    close: () => inner.close(),
  });
}

/**
 * Checks that what is put, and what is read whole, has the digest that names it. Errors besides the inner store's:
 * OBJECT_CORRUPT. Ranges pass unchecked: whoever reads them checks the digests of the chunks inside.
 */
class VerifiedStore implements BlockStore {
  readonly #inner: BlockStore;

  constructor(inner: BlockStore) {
    this.#inner = inner;
  }

  get features(): StoreFeatures {
    return this.#inner.features;
  }

  async read(block: Digest, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> {
    const bytes = await this.#inner.read(block, range, options);
    if (range === undefined)
      await verify(block, [bytes], `block of the ${this.features.kind} store`, options);
    return bytes;
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#inner.stat(block, options);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#inner.list(options);
  }

  async put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    await verify(block, parts, "block to be stored", options);
    await this.#inner.put(block, parts, options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#inner.flush(options);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#inner.remove(block, options);
  }
}

async function verify(
  block: Digest,
  parts: readonly Uint8Array[],
  what: string,
  options?: CallOptions,
): Promise<void> {
  const hasher = createHash("sha256");
  let sliceBytes = 0;
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; start += SLICE_BYTES) {
      const slice = part.subarray(start, start + SLICE_BYTES);
      hasher.update(slice);
      sliceBytes += slice.byteLength;
      if (sliceBytes < SLICE_BYTES) continue;
      sliceBytes = 0;
      await new Promise(setImmediate);
      options?.signal?.throwIfAborted();
    }
  }
  const found = hasher.digest("hex");
  if (found === block) return;
  const text = formatDigest(block);
  throw new AetherError(
    "OBJECT_CORRUPT",
    `a ${what} is not what its name ${text} says: its bytes hash to ${found}`,
    {
      data: { block: text },
    },
  );
}
