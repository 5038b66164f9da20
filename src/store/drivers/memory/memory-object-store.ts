import { concatBytes, compareUtf8, totalBytes } from "../../../base/bytes.ts";
import { checkRange, type ByteRange } from "../../../base/byte-range.ts";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import { digestOf } from "../../../format/digest.ts";
import type { CallOptions, StoreFeatures } from "../../block-store.ts";
import type { Revised, Revision } from "../../dataset-store.ts";
import type { Key, KeyPrefix } from "../../keys.ts";
import type { ListOptions, ObjectInfo, ObjectStore, ReadOptions } from "../../object-store.ts";

/** Objects in this process's memory: for tests, and for the demo. Nothing survives close(). */
export class MemoryObjectStore implements ObjectStore {
  readonly features: StoreFeatures = { kind: "memory", persistent: false, shared: false };
  readonly name = "memory:";
  readonly #objects = new Map<string, Uint8Array>();
  readonly #modifiedMs = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: Key, options: ReadOptions): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    const bytes = this.#objects.get(key);
    if (bytes === undefined) return undefined;
    if (bytes.byteLength > options.bytesMax) {
      throw new AetherError(
        "OBJECT_INVALID",
        `${key} in ${this.name} has ${bytes.byteLength} bytes, too many`,
      );
    }
    return copyOf(bytes);
  }

  async getRevised(key: Key, options: ReadOptions): Promise<Revised<Uint8Array> | undefined> {
    const value = await this.get(key, options);
    return value === undefined ? undefined : { value, revision: revisionOf(value) };
  }

  async getRange(key: Key, range: ByteRange, options?: CallOptions): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted();
    const bytes = this.#objects.get(key);
    if (bytes === undefined) return undefined;
    checkRange(range, bytes.byteLength);
    return copyOf(bytes.subarray(range.start, range.end));
  }

  async stat(key: Key, options?: CallOptions): Promise<number | undefined> {
    options?.signal?.throwIfAborted();
    return this.#objects.get(key)?.byteLength;
  }

  async add(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    if (this.#objects.get(key)?.byteLength === totalBytes(parts)) return;
    this.#set(key, concatBytes(parts));
  }

  async put(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#set(key, copyOf(bytes));
  }

  async create(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<boolean> {
    options?.signal?.throwIfAborted();
    if (this.#objects.has(key)) return false;
    this.#set(key, copyOf(bytes));
    return true;
  }

  async replace(
    key: Key,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    options?.signal?.throwIfAborted();
    const present = this.#objects.get(key);
    if ((present === undefined ? undefined : revisionOf(present)) !== expected) {
      throw new AetherError(
        "OBJECT_CONFLICT",
        `${key} in ${this.name} was changed by someone else: read it again`,
      );
    }
    this.#set(key, copyOf(bytes));
    return revisionOf(bytes);
  }

  async remove(key: Key, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#objects.delete(key);
    this.#modifiedMs.delete(key);
  }

  async *list(prefix: KeyPrefix, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { after, revisions, signal } = options;
    for (const key of this.#keys(prefix)) {
      signal?.throwIfAborted();
      const bytes = this.#objects.get(key);
      if (bytes === undefined || (after !== undefined && compareUtf8(key, after) <= 0)) continue;
      const revision = revisions === true ? { revision: revisionOf(bytes) } : {};
      yield { key, bytes: bytes.byteLength, modifiedMs: this.#modifiedMs.get(key) ?? 0, ...revision };
    }
  }

  async *folders(prefix: KeyPrefix, options?: CallOptions): AsyncGenerator<string> {
    let last: string | undefined;
    for (const key of this.#keys(prefix)) {
      options?.signal?.throwIfAborted();
      const slash = key.indexOf("/", prefix.length);
      if (slash === -1) continue;
      const folder = key.slice(prefix.length, slash);
      if (folder !== last) yield folder;
      last = folder;
    }
  }

  async flush(options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#objects.clear();
    this.#modifiedMs.clear();
  }

  #set(key: Key, bytes: Uint8Array): void {
    this.#objects.set(key, bytes);
    this.#modifiedMs.set(key, this.#clock.nowMs());
  }

  #keys(prefix: KeyPrefix): string[] {
    return [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareUtf8);
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function revisionOf(bytes: Uint8Array): Revision {
  return digestOf(bytes) as string as Revision;
}
