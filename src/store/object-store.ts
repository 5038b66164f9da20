/**
 * The lower seam that memory, disk and S3 implement: named byte strings. What they mean is above it, written once for
 * all drivers: object-block-store.ts and object-dataset-store.ts.
 */
import type { ByteRange } from "../base/byte-range.ts";
import type { CallOptions, ReadRangeOptions, StoreFeatures } from "./block-store.ts";
import type { Revised, Revision } from "./dataset-store.ts";
import type { Key, KeyPrefix } from "./keys.ts";

/** An object of a list. */
export interface ObjectInfo {
  /** As found: no more than a string until a parser of keys.ts has read it. */
  readonly key: string;
  readonly bytes: number;
  /** When it was last written by the store's own clock, in milliseconds since 1970; undefined where nobody knows. */
  readonly modifiedMs?: number | undefined;
  /** What getRevised gives with it, where it was asked for and a list says so. */
  readonly revision?: Revision | undefined;
}

/** Options of a read of a whole object. */
export interface ReadOptions extends CallOptions {
  /** An object that is longer is refused before memory is taken for it. Errors: OBJECT_INVALID. */
  readonly bytesMax: number;
}

/** Options of a list. */
export interface ListOptions extends CallOptions {
  /** Only keys after this one. */
  readonly after?: string;
  /** Whether revisions are wanted, where they cost no request. */
  readonly revisions?: boolean;
}

/**
 * Objects by key. Every write is atomic: a reader sees the whole object or none, also after the writer died. Nothing is
 * verified. Results are the caller's own; parts and bytes are only read, and not after the call has resolved.
 * Errors of every call: STORE_UNREADABLE, STORE_UNAVAILABLE; of writes SPACE_EXHAUSTED, STORE_UNWRITABLE, and
 * FEATURE_UNSUPPORTED where the place cannot do what a call needs.
 */
export interface ObjectStore {
  readonly features: StoreFeatures;
  /** For messages: the place as the user gave it. */
  readonly name: string;

  /** The whole object, or undefined. */
  get(key: Key, options: ReadOptions): Promise<Uint8Array | undefined>;
  /** The whole object and its revision, or undefined. */
  getRevised(key: Key, options: ReadOptions): Promise<Revised<Uint8Array> | undefined>;
  /**
   * What getRevised() would give of an object that was read, or found absent, a moment ago, told without waiting; undefined: it cannot be
   * told. A place that never can has no such method.
   */
  revisedNow?(key: Key, bytesMax: number): Revised<Uint8Array> | "absent" | undefined;
  /**
   * Bytes of an object that never changes (it was added, not put), or undefined when there is no such object.
   * Errors: RANGE_INVALID.
   */
  getRange(key: Key, range: ByteRange, options?: ReadRangeOptions): Promise<Uint8Array | undefined>;
  /** The size in bytes, or undefined. */
  stat(key: Key, options?: CallOptions): Promise<number | undefined>;

  /** Stores an object whose key names its content. One that is there with the same size is kept. Durable after flush. */
  add(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<void>;
  /** Stores an object in place of whatever is there. Durable after flush. Not for keys that are replaced. */
  put(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** Stores an object if there is none: of all who try, one gets true. Durable when it resolves, either way. */
  create(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<boolean>;
  /**
   * Stores an object in place of `expected` (undefined: there must be none). Durable after flush.
   * Errors: OBJECT_CONFLICT when there is another, or none.
   */
  replace(
    key: Key,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision>;
  /** Removes an object; one that is not there is no error. */
  remove(key: Key, options?: CallOptions): Promise<void>;

  /** The objects whose keys begin with the prefix, in byte order of keys. */
  list(prefix: KeyPrefix, options?: ListOptions): AsyncIterable<ObjectInfo>;
  /** The next segments of the keys that go on with one and a "/": "folders" with at least one object, in byte order of `segment/`. */
  folders(prefix: KeyPrefix, options?: CallOptions): AsyncIterable<string>;

  /** The barrier: what this process wrote before survives a power failure when it resolves. */
  flush(options?: CallOptions): Promise<void>;
  /** Releases descriptors, locks and temporary files. Nothing may be under way. */
  close(): Promise<void>;
}
