import { compareUtf8 } from "../base/bytes.ts";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "../format/block.ts";
import type { Digest } from "../format/digest.ts";
import {
  decodeDataset,
  decodeEvent,
  decodeHint,
  decodeHistory,
  decodeLease,
  encodeDataset,
  encodeEvent,
  encodeHint,
  encodeHistory,
  encodeLease,
  RECORD_BYTES_MAX,
  type DatasetRecord,
  type EventRecord,
  type HistoryRecord,
  type LeaseRecord,
  type StoreRecord,
  type TagHint,
} from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "./block-store.ts";
import type { DatasetStore, NamesOptions, PlanOptions, Revised, Revision, ViewKey } from "./dataset-store.ts";
import * as keys from "./keys.ts";
import type { DamagedObject, Key } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";

/** Whether a name comes after another in the byte order of `name/`: the order of keys. */
function isAfter(name: string, after: string | undefined): boolean {
  return after === undefined || compareUtf8(`${name}/`, `${after}/`) > 0;
}

function keyOfView({ kind, digest }: ViewKey): Key {
  return kind === "view" ? keys.viewKey(digest) : keys.signatureKey(digest);
}

/** Bytes of a manifest object or a plan at most: pages keep both far below. */
const PAGE_OBJECT_BYTES_MAX = 64 * MiB;

/**
 * Datasets as objects of any driver. A record that says another name, number or id than its key is OBJECT_INVALID, so
 * that nobody can pass one object off as another. Errors besides the seam's: those of the ObjectStore.
 */
export class ObjectDatasetStore implements DatasetStore {
  readonly store: StoreRecord;
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore, store: StoreRecord) {
    this.#objects = objects;
    this.store = store;
  }

  getManifest(version: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#objects.get(keys.manifestKey(version), { ...options, bytesMax: PAGE_OBJECT_BYTES_MAX });
  }

  putManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#objects.put(keys.manifestKey(version), bytes, options);
  }

  async *listManifests(options?: CallOptions): AsyncGenerator<Digest> {
    for await (const { key } of this.#objects.list(keys.MANIFESTS, options)) {
      const version = keys.parseDigestKey(keys.MANIFESTS, key);
      if (version !== undefined) yield version;
    }
  }

  getPlan(page: Digest, options?: PlanOptions): Promise<Revised<Uint8Array> | undefined> {
    return this.#objects.getRevised(keys.planKey(page, options?.domain), {
      ...options,
      bytesMax: PAGE_OBJECT_BYTES_MAX,
    });
  }

  putPlan(
    page: Digest,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: PlanOptions,
  ): Promise<Revision> {
    return this.#objects.replace(keys.planKey(page, options?.domain), bytes, expected, options);
  }

  async getDataset(name: DatasetName, options?: CallOptions): Promise<Revised<DatasetRecord> | undefined> {
    const key = keys.datasetKey(name);
    const found = await this.#objects.getRevised(key, { ...options, bytesMax: RECORD_BYTES_MAX });
    if (found === undefined) return undefined;
    const value = this.#decoded(key, found.value, decodeDataset, (record) => record.name === name);
    return { value, revision: found.revision };
  }

  putDataset(
    record: DatasetRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#objects.replace(keys.datasetKey(record.name), encodeDataset(record), expected, options);
  }

  async *listDatasets(options: NamesOptions<DatasetName> = {}): AsyncGenerator<DatasetName> {
    const { after } = options;
    for await (const folder of this.#objects.folders(keys.DATASETS, options)) {
      const scope = keys.scopePrefix(folder);
      if (scope === undefined) {
        if (isAfter(folder, after)) yield* this.#datasetIn(folder, options);
        continue;
      }
      if (after?.startsWith(`${folder}/`) !== true && !isAfter(folder, after)) continue;
      for await (const inner of this.#objects.folders(scope, options)) {
        const name = `${folder}/${inner}`;
        if (isAfter(name, after)) yield* this.#datasetIn(name, options);
      }
    }
  }

  async *listTags(name: DatasetName, options: NamesOptions<Tag> = {}): AsyncGenerator<Tag> {
    for await (const folder of this.#objects.folders(keys.historiesPrefix(name), options)) {
      const tag = keys.tagOfFolder(folder);
      if (tag !== undefined && isAfter(tag, options.after)) yield tag;
    }
  }

  getHint(name: DatasetName, tag: Tag, options?: CallOptions): Promise<TagHint | undefined> {
    return this.#record(keys.hintKey(name, tag), decodeHint, () => true, options);
  }

  putHint(name: DatasetName, tag: Tag, hint: TagHint, options?: CallOptions): Promise<void> {
    return this.#objects.put(keys.hintKey(name, tag), encodeHint(hint), options);
  }

  getHistory(
    name: DatasetName,
    tag: Tag,
    number: number,
    options?: CallOptions,
  ): Promise<HistoryRecord | undefined> {
    const key = keys.historyKey(name, tag, number);
    return this.#record(key, decodeHistory, (record) => record.number === number, options);
  }

  createHistory(name: DatasetName, tag: Tag, record: HistoryRecord, options?: CallOptions): Promise<boolean> {
    const key = keys.historyKey(name, tag, record.number);
    return this.#objects.create(key, encodeHistory(record), options);
  }

  getEvent(name: DatasetName, sequence: number, options?: CallOptions): Promise<EventRecord | undefined> {
    const key = keys.eventKey(name, sequence);
    return this.#record(key, decodeEvent, (record) => record.sequence === sequence, options);
  }

  createEvent(name: DatasetName, record: EventRecord, options?: CallOptions): Promise<boolean> {
    return this.#objects.create(keys.eventKey(name, record.sequence), encodeEvent(record), options);
  }

  async lastEvent(name: DatasetName, options?: CallOptions): Promise<number> {
    // Events are numbered without holes, so doubling and halving finds the last in 2·log2(n) questions.
    const has = async (sequence: number): Promise<boolean> =>
      (await this.#objects.stat(keys.eventKey(name, sequence), options)) !== undefined;
    let present = 0;
    let absent = 1;
    while (absent <= keys.NUMBER_MAX && (await has(absent))) {
      present = absent;
      absent *= 2;
    }
    absent = Math.min(absent, keys.NUMBER_MAX + 1);
    while (absent - present > 1) {
      const middle = Math.floor((present + absent) / 2);
      if (await has(middle)) present = middle;
      else absent = middle;
    }
    return present;
  }

  getView(key: ViewKey, options?: CallOptions): Promise<Revised<Uint8Array> | undefined> {
    return this.#objects.getRevised(keyOfView(key), { ...options, bytesMax: PAGE_OBJECT_BYTES_MAX });
  }

  putView(
    key: ViewKey,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#objects.replace(keyOfView(key), bytes, expected, options);
  }

  async quarantine(object: DamagedObject, options: CallOptions = {}): Promise<void> {
    const key = keys.damagedKey(object);
    const bytes = await this.#objects.get(key, { ...options, bytesMax: BLOCK_OBJECT_BYTES_MAX });
    if (bytes === undefined) return;
    await this.#objects.put(keys.quarantineKey(object), bytes, options);
    await this.#objects.flush(options);
    await this.#objects.remove(key, options);
  }

  async putLease(record: LeaseRecord, options?: CallOptions): Promise<void> {
    await this.#objects.put(keys.leaseKey(record.id), encodeLease(record), options);
  }

  async removeLease(id: string, options?: CallOptions): Promise<void> {
    await this.#objects.remove(keys.leaseKey(id), options);
  }

  async *listLeases(options?: CallOptions): AsyncGenerator<LeaseRecord> {
    for await (const { key } of this.#objects.list(keys.LEASES, options)) {
      const id = keys.parseLeaseKey(key);
      if (id === undefined) continue;
      const lease = await this.#record(keys.leaseKey(id), decodeLease, (record) => record.id === id, options);
      if (lease !== undefined) yield lease;
    }
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#objects.flush(options);
  }

  /** The dataset in a folder, unless a crash left the folder without a record or its name is not ours. */
  async *#datasetIn(folder: string, options?: CallOptions): AsyncGenerator<DatasetName> {
    const name = keys.datasetOfFolder(folder);
    if (name === undefined) return;
    if ((await this.#objects.stat(keys.datasetKey(name), options)) !== undefined) yield name;
  }

  async #record<T>(
    key: Key,
    decode: (bytes: Uint8Array) => T,
    fits: (record: T) => boolean,
    options?: CallOptions,
  ): Promise<T | undefined> {
    const bytes = await this.#objects.get(key, { ...options, bytesMax: RECORD_BYTES_MAX });
    return bytes === undefined ? undefined : this.#decoded(key, bytes, decode, fits);
  }

  #decoded<T>(
    key: Key,
    bytes: Uint8Array,
    decode: (bytes: Uint8Array) => T,
    fits: (record: T) => boolean,
  ): T {
    const where = `${key} in ${this.#objects.name}`;
    try {
      const record = decode(bytes);
      if (fits(record)) return record;
    } catch (cause) {
      if (!(cause instanceof AetherError)) throw cause;
      throw new AetherError(cause.code, `${where}: ${cause.message}`, {
        data: { ...cause.data, key },
        cause,
      });
    }
    throw new AetherError("OBJECT_INVALID", `${where} holds the record of another key`, { data: { key } });
  }
}
