import type { ListObjectsV2CommandOutput, S3Client } from "@aws-sdk/client-s3";
import { compareUtf8, concatBytes, totalBytes } from "../../../base/bytes.ts";
import { checkRange, type ByteRange } from "../../../base/byte-range.ts";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import type { Random } from "../../../base/random.ts";
import type { CallOptions, ReadRangeOptions, StoreFeatures } from "../../block-store.ts";
import type { Revised, Revision } from "../../dataset-store.ts";
import {
  BLOCKS,
  parseDigestKey,
  STORE_KEY,
  TEMPORARY,
  temporaryKey,
  type Key,
  type KeyPrefix,
} from "../../keys.ts";
import type { ListOptions, ObjectInfo, ObjectStore, ReadOptions } from "../../object-store.ts";
import { conditionError, ConditionTrial, MatchWriter, type Witness } from "./conditions.ts";
import { KeyLocks } from "./key-locks.ts";
import { uploadParts } from "./multipart.ts";
import { parseS3Address, type S3Address } from "./s3-address.ts";
import { etagOf, S3Calls, type ListPage } from "./s3-calls.ts";
import { s3ClientOf, timeoutsOf } from "./s3-client.ts";
import { isRefusedCondition, s3Error } from "./s3-errors.ts";
import type { S3Settings } from "./s3-settings.ts";

/** What is longer is sent in parts. */
const SINGLE_PUT_BYTES_MAX = 64 * MiB;
/** A longer range is read in pieces of this, side by side. */
const PIECE_BYTES = 8 * MiB;
const PIECES_AT_ONCE = 4;

/** How to open a bucket. */
export interface OpenS3Options {
  readonly settings: S3Settings;
  readonly clock: Clock;
  readonly random: Random;
}

/** Objects in a bucket, each under its key after the address's prefix. A revision is an ETag. docs/s3.md */
class S3ObjectStore implements ObjectStore {
  readonly features: StoreFeatures;
  readonly name: string;
  readonly #client: S3Client;
  readonly #address: S3Address;
  readonly #calls: S3Calls;
  readonly #matches: MatchWriter;
  readonly #random: Random;
  readonly #locks = new KeyLocks();
  readonly #trial: ConditionTrial;
  /** An object that was made for trying conditions. */
  #temporary: Key | undefined;

  /** openS3 makes it. */
  constructor(name: string, address: S3Address, client: S3Client, options: OpenS3Options) {
    const { settings, clock, random } = options;
    this.name = name;
    this.features = { kind: "s3", persistent: true, shared: settings.singleWriter !== true };
    this.#address = address;
    this.#random = random;
    this.#client = client;
    const { requestMs } = timeoutsOf(settings);
    this.#calls = new S3Calls({ client, address, store: name, clock, requestMs });
    this.#matches = new MatchWriter(this.#calls, name);
    this.#trial = new ConditionTrial(this.#calls, name, (signal) => this.#makeWitness(signal));
  }

  async get(key: Key, options: ReadOptions): Promise<Uint8Array | undefined> {
    const value = (await this.#calls.get(key, options))?.value;
    if (key === STORE_KEY && value !== undefined) this.#trial.show({ key, bytes: value });
    return value;
  }

  async getRevised(key: Key, options: ReadOptions): Promise<Revised<Uint8Array> | undefined> {
    const found = await this.#calls.get(key, options);
    return found === undefined ? undefined : { value: found.value, revision: found.etag as Revision };
  }

  async getRange(
    key: Key,
    range: ByteRange,
    { into, signal }: ReadRangeOptions = {},
  ): Promise<Uint8Array | undefined> {
    const { start, end } = range;
    if (!(start < end)) {
      // No request can ask for no bytes.
      const bytes = await this.stat(key, signal === undefined ? {} : { signal });
      if (bytes === undefined) return undefined;
      checkRange(range, bytes);
    }
    checkRange(range, Number.MAX_SAFE_INTEGER);
    if (start === end) return into?.subarray(0, 0) ?? new Uint8Array();
    if (into === undefined && end - start > PIECE_BYTES) {
      const bytes = await this.stat(key, signal === undefined ? {} : { signal });
      if (bytes === undefined) return undefined;
      checkRange(range, bytes);
    }
    const target = into?.subarray(0, end - start) ?? Buffer.allocUnsafeSlow(end - start);
    return (await this.#readPieces(key, start, target, signal)) ? target : undefined;
  }

  async stat(key: Key, options?: CallOptions): Promise<number | undefined> {
    return (await this.#calls.head(key, options?.signal))?.bytes;
  }

  async add(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    const bytes = totalBytes(parts);
    const isSingle = bytes <= SINGLE_PUT_BYTES_MAX;
    if (isSingle && this.features.shared) {
      // Nearly always it is not there, and one request will do.
      if (await this.#putNew(key, parts, options)) return;
    }
    if ((await this.stat(key, options)) === bytes) return;
    if (isSingle) {
      await this.#put(key, parts, options);
      return;
    }
    const place = { Bucket: this.#address.bucket, Key: `${this.#address.prefix}${key}` };
    const target = { client: this.#client, calls: this.#calls, place, store: this.name };
    await uploadParts(target, parts, options?.signal);
    if ((await this.stat(key, options)) === bytes) return;
    throw new AetherError("STORE_UNAVAILABLE", `${this.name}: ${key} is not as long as what was sent`);
  }

  async put(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#put(key, [bytes], options);
  }

  create(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<boolean> {
    if (this.features.shared) return this.#putNew(key, [bytes], options);
    return this.#locks.run(key, async () => {
      if ((await this.stat(key, options)) !== undefined) return false;
      await this.#put(key, [bytes], options);
      return true;
    });
  }

  async replace(
    key: Key,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    const etag = this.features.shared
      ? await this.#replaceShared(key, bytes, expected, options)
      : await this.#locks.run(key, async () => {
          const present = await this.#calls.head(key, options?.signal);
          return present?.etag === expected ? await this.#put(key, [bytes], options) : undefined;
        });
    if (etag === undefined) {
      const text = `${key} in ${this.name} was changed by someone else: read it again`;
      throw new AetherError("OBJECT_CONFLICT", text, { data: { key } });
    }
    if (etag !== "") return etag as Revision;
    const head = await this.#calls.head(key, options?.signal);
    if (head !== undefined && head.etag !== "") return head.etag as Revision;
    throw new AetherError("FEATURE_UNSUPPORTED", `${this.name}: the server gives its objects no ETag`);
  }

  remove(key: Key, options?: CallOptions): Promise<void> {
    return this.#calls.remove(key, options?.signal);
  }

  async *list(prefix: KeyPrefix, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { after, revisions, signal } = options;
    const isHidden = (key: string): boolean => key.startsWith(TEMPORARY) && !prefix.startsWith(TEMPORARY);
    let last = after;
    for await (const { Contents = [] } of this.#pages({ prefix, after }, signal)) {
      for (const { Key: found = "", Size: bytes = 0, LastModified: modified, ETag } of Contents) {
        const key = this.#keyIn(found, prefix, last);
        last = key;
        if (isHidden(key)) continue;
        const etag = revisions === true ? etagOf(ETag) : "";
        yield {
          ...{ key, bytes },
          ...(modified === undefined ? {} : { modifiedMs: modified.getTime() }),
          ...(etag === "" ? {} : { revision: etag as Revision }),
        };
      }
    }
  }

  async *folders(prefix: KeyPrefix, options?: CallOptions): AsyncGenerator<string> {
    let last: string | undefined;
    for await (const { CommonPrefixes = [] } of this.#pages({ prefix, delimiter: "/" }, options?.signal)) {
      for (const { Prefix: found = "" } of CommonPrefixes) {
        const folder = this.#keyIn(found, prefix, last);
        last = folder;
        if (folder !== TEMPORARY) yield folder.slice(prefix.length, -1);
      }
    }
  }

  async flush(options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted();
  }

  async close(): Promise<void> {
    if (this.#temporary !== undefined) await this.#calls.remove(this.#temporary).catch(() => undefined);
    this.#client.destroy();
  }

  /**
   * Tries, once, what tags rest on: to be called by who is going to write, when the store's record has been read or made, since
   * it costs one request then. Without that, the first write does it. Errors: FEATURE_UNSUPPORTED, and those of every call.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.features.shared) await this.#trial.requireIfNoneMatch(signal);
  }

  async #makeWitness(signal?: AbortSignal): Promise<Witness> {
    const key = temporaryKey(this.#random.id());
    const bytes = Buffer.from("aetherfs");
    this.#temporary = key;
    await this.#put(key, [bytes], signal === undefined ? {} : { signal });
    return { key, bytes };
  }

  async #readPieces(
    key: Key,
    start: number,
    target: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (target.byteLength <= PIECE_BYTES) return this.#calls.getRange(key, start, target, signal);
    const failed = new AbortController();
    const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    let isThere = true;
    let next = 0;
    const work = async (): Promise<void> => {
      for (let offset = next; offset < target.byteLength; offset = next) {
        next += PIECE_BYTES;
        const piece = target.subarray(offset, offset + PIECE_BYTES);
        if (!(await this.#calls.getRange(key, start + offset, piece, either))) isThere = false;
      }
    };
    const workers = Array.from({ length: PIECES_AT_ONCE }, () =>
      work().catch((error: unknown) => {
        failed.abort(error);
      }),
    );
    // Nobody writes into the caller's memory any more when it is given back.
    await Promise.all(workers);
    failed.signal.throwIfAborted();
    return isThere;
  }

  async #put(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<string> {
    try {
      return await this.#calls.put(key, parts, {
        digest: parseDigestKey(BLOCKS, key),
        signal: options?.signal,
      });
    } catch (error) {
      throw s3Error(error, this.name, "write", options?.signal);
    }
  }

  /** Whether the object was written: false when there is one. */
  async #putNew(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<boolean> {
    return (await this.#putIfNone(key, parts, options)) !== undefined;
  }

  async #putIfNone(
    key: Key,
    parts: readonly Uint8Array[],
    options: CallOptions | undefined,
  ): Promise<string | undefined> {
    // The store's record is what conditions are tried on: it comes first.
    if (key !== STORE_KEY) await this.#trial.requireIfNoneMatch(options?.signal);
    const digest = parseDigestKey(BLOCKS, key);
    const condition = { ifNoneMatch: "*" } as const;
    try {
      const etag = await this.#calls.put(key, parts, { condition, digest, signal: options?.signal });
      if (key === STORE_KEY) this.#trial.show({ key, bytes: concatBytes(parts) });
      return etag;
    } catch (error) {
      if (!isRefusedCondition(error)) throw conditionError(error, this.name, options?.signal);
      this.#trial.noteRefusal();
      return undefined;
    }
  }

  async #replaceShared(
    key: Key,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options: CallOptions | undefined,
  ): Promise<string | undefined> {
    if (expected === undefined) return await this.#putIfNone(key, [bytes], options);
    await this.#trial.requireIfMatch(options?.signal);
    return await this.#matches.replace(key, bytes, expected, options?.signal);
  }

  async *#pages(page: ListPage, signal: AbortSignal | undefined): AsyncGenerator<ListObjectsV2CommandOutput> {
    let token: string | undefined;
    do {
      signal?.throwIfAborted();
      const found = await this.#calls.listPage({ ...page, token }, signal);
      yield found;
      token = found.IsTruncated === true ? found.NextContinuationToken : undefined;
      if (found.IsTruncated === true && token === undefined) {
        throw new AetherError("STORE_UNAVAILABLE", `${this.name}: the server broke off a list`);
      }
    } while (token !== undefined);
  }

  /** The store's key of one that a list gave. Errors: FEATURE_UNSUPPORTED when it is not in its place. */
  #keyIn(found: string, prefix: string, last: string | undefined): string {
    const key = found.slice(this.#address.prefix.length);
    const isOurs = found.startsWith(this.#address.prefix) && key.startsWith(prefix);
    if (isOurs && (last === undefined || compareUtf8(key, last) > 0)) return key;
    throw new AetherError(
      "FEATURE_UNSUPPORTED",
      `${this.name}: the server's lists are not in the order of keys`,
    );
  }
}

/** A bucket's objects, and the trial of what the server does. */
export type S3Objects = ObjectStore & Pick<S3ObjectStore, "ready">;

/** The objects of `s3://bucket[/prefix]`. Nothing is read or written. Errors: ARGUMENT_INVALID, CONFIG_INVALID. */
export async function openS3(address: string, options: OpenS3Options): Promise<S3Objects> {
  const place = parseS3Address(address);
  const client = await s3ClientOf(options.settings, options.clock);
  return new S3ObjectStore(address, place, client, options);
}
