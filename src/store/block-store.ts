/** The seam below which blocks are kept. docs/format.md §5; ARCHITECTURE.md "Seams". */
import type { ByteRange } from "../base/byte-range.ts";
import type { Digest } from "../format/digest.ts";

/** Options of every call on a store. */
export interface CallOptions {
  /** Aborts the call: it rejects with the signal's reason, and nothing half-written is left visible. */
  readonly signal?: AbortSignal;
}

/** What a store can do beyond the seam: data, for callers and for the conformance suite to ask. */
export interface StoreFeatures {
  /** What it is, for messages: "memory", "disk", … */
  readonly kind: string;
  /** What was flushed survives the process. */
  readonly persistent: boolean;
  /** Other processes may use the same place at the same time. */
  readonly shared: boolean;
  /** The folder of this machine that holds its objects; absent of a store that lies elsewhere. */
  readonly folder?: string;
}

/** Whether each call on the store is a journey to another machine. */
export function isFar({ kind, folder }: StoreFeatures): boolean {
  return kind !== "memory" && folder === undefined;
}

/** A block's name and size. */
export interface BlockInfo {
  readonly digest: Digest;
  readonly bytes: number;
}

/** Options of reading a range. */
export interface ReadRangeOptions extends CallOptions {
  /** At least as long as the range: a store may read into it, and the result is its beginning then. */
  readonly into?: Uint8Array;
}

/** Reading bytes of blocks that plans name. Nothing is verified here: the chunk digests above do that. */
export interface RangeReader {
  /**
   * The block's bytes, or exactly those of `range`. The result is the caller's own, also where it lies in `into`.
   * Errors: OBJECT_MISSING; RANGE_INVALID when it ends outside of the block; STORE_UNAVAILABLE.
   */
  read(block: Digest, range?: ByteRange, options?: ReadRangeOptions): Promise<Uint8Array>;
  /** The block's size in bytes, or undefined when it is not there. */
  stat(block: Digest, options?: CallOptions): Promise<number | undefined>;
}

/** Reading blocks. Nothing is verified here: see layers/verified-store.ts and the chunk digests above. */
export interface BlockReader extends RangeReader {
  readonly features: StoreFeatures;
  /** Every block, in the order of digests. One that is put or removed meanwhile may or may not appear. */
  list(options?: CallOptions): AsyncIterable<BlockInfo>;
}

/** Writing blocks. */
export interface BlockStore extends BlockReader {
  /**
   * Stores the concatenation of `parts` as `block`. Putting what is there already succeeds and changes nothing. The
   * block is visible when the call resolves, whole or not at all, and durable after the next flush.
   * Errors: SPACE_EXHAUSTED, STORE_UNWRITABLE, STORE_UNAVAILABLE.
   */
  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void>;
  /** The barrier: what this process put before survives a power failure when it resolves. */
  flush(options?: CallOptions): Promise<void>;
  /** Removes a block: for prune alone. One that is not there is no error. */
  remove(block: Digest, options?: CallOptions): Promise<void>;
}
