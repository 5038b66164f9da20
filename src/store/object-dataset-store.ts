import { codeOf } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "../format/block.ts";
import type { Digest } from "../format/digest.ts";
import {
  decodeCondemned,
  decodeEpoch,
  decodeFloor,
  encodeCondemned,
  encodeEpoch,
  encodeFloor,
  type CondemnedRecord,
  type EpochRecord,
  type FloorRecord,
} from "../format/prune-record.ts";
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
import {
  decodeSecret,
  encodeSecret,
  type SecretPurpose,
  type SecretRecord,
} from "../format/secret-record.ts";
import type { CallOptions } from "./block-store.ts";
import type {
  DatasetState,
  DatasetStore,
  LastEventOptions,
  ListedObject,
  NamesOptions,
  PlanOptions,
  RemovalOptions,
  Revised,
  Revision,
  ViewKey,
} from "./dataset-store.ts";
import * as keys from "./keys.ts";
import { decodedRecord, type Decode, type Fits } from "./decoded-record.ts";
import { findLastEvent } from "./last-event.ts";
import type { DamagedObject, Key, ObjectKind } from "./keys.ts";
import type { ListOptions, ObjectStore } from "./object-store.ts";
import type { RecentManifests } from "./recent-manifests.ts";
import { removeRecordsOf } from "./remove-records.ts";

/** Bytes of a manifest object or a plan at most: pages keep both far below. */
const PAGE_OBJECT_BYTES_MAX = 64 * MiB;

/**
 * Datasets as objects of any driver. A record that says another name, number or id than its key is OBJECT_INVALID, so
 * that nobody can pass one object off as another. Errors besides the seam's: those of the ObjectStore.
 */
export class ObjectDatasetStore implements DatasetStore {
  readonly store: StoreRecord;
  readonly #objects: ObjectStore;
  readonly #recent: RecentManifests | undefined;

  /** `recent` spares reading manifests again where that takes long. */
  constructor(objects: ObjectStore, store: StoreRecord, recent?: RecentManifests) {
    this.#objects = objects;
    this.store = store;
    this.#recent = recent;
  }

  async getManifest(version: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted();
    const recent = this.#recent?.get(version);
    if (recent !== undefined) return recent;
    const key = keys.manifestKey(version);
    const bytes = await this.#objects.get(key, { ...options, bytesMax: PAGE_OBJECT_BYTES_MAX });
    if (bytes !== undefined) this.#recent?.put(version, bytes);
    return bytes;
  }

  async addManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<boolean> {
    try {
      await this.#objects.replace(keys.manifestKey(version), bytes, undefined, options);
    } catch (error) {
      if (codeOf(error) === "OBJECT_CONFLICT") return false;
      throw error;
    }
    this.#recent?.forget();
    return true;
  }

  async putManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#objects.put(keys.manifestKey(version), bytes, options);
    this.#recent?.forget();
  }

  async *listObjects(kind: ObjectKind, options?: CallOptions): AsyncGenerator<Digest> {
    for await (const { digest } of this.#list(kind, options)) yield digest;
  }

  listPlans(kind: ObjectKind, options?: CallOptions): AsyncGenerator<ListedObject> {
    return this.#list(kind, { ...options, revisions: true });
  }

  async *#list(kind: ObjectKind, options?: ListOptions): AsyncGenerator<ListedObject> {
    const prefix = keys.objectsPrefix(kind);
    for await (const { key, revision } of this.#objects.list(prefix, options)) {
      const digest = keys.parseDigestKey(prefix, key);
      if (digest !== undefined) yield { digest, revision };
    }
  }

  async hasObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<boolean> {
    return (await this.#objects.stat(keys.objectKey(kind, digest), options)) !== undefined;
  }

  async removeObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<void> {
    await this.#objects.remove(keys.objectKey(kind, digest), options);
    this.#recent?.forget();
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

  getDataset(name: DatasetName, options?: CallOptions): Promise<Revised<DatasetRecord> | undefined> {
    return this.#revised(keys.datasetKey(name), decodeDataset, (record) => record.name === name, options);
  }

  isStill({ name, revision, tag, number }: DatasetState): boolean {
    const now = this.#objects.revisedNow?.(keys.datasetKey(name), RECORD_BYTES_MAX);
    if (now === undefined || now === "absent" || now.revision !== revision) return false;
    return this.#objects.revisedNow?.(keys.historyKey(name, tag, number), RECORD_BYTES_MAX) === "absent";
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
        const name = keys.isNameAfter(folder, after) ? keys.datasetOfFolder(folder) : undefined;
        if (name !== undefined) yield name;
        continue;
      }
      if (after?.startsWith(`${folder}/`) !== true && !keys.isNameAfter(folder, after)) continue;
      for await (const inner of this.#objects.folders(scope, options)) {
        const path = `${folder}/${inner}`;
        const name = keys.isNameAfter(path, after) ? keys.datasetOfFolder(path) : undefined;
        if (name !== undefined) yield name;
      }
    }
  }

  async *listTags(name: DatasetName, options: NamesOptions<Tag> = {}): AsyncGenerator<Tag> {
    for await (const folder of this.#objects.folders(keys.historiesPrefix(name), options)) {
      const tag = keys.tagOfFolder(folder);
      if (tag !== undefined && keys.isNameAfter(tag, options.after)) yield tag;
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

  lastEvent(name: DatasetName, options: LastEventOptions = {}): Promise<number> {
    return findLastEvent(this.#objects, name, options);
  }

  async *listHistory(name: DatasetName, tag: Tag, options?: CallOptions): AsyncGenerator<number> {
    for await (const { key } of this.#objects.list(keys.historyPrefix(name, tag), options)) {
      const number = keys.parseHistoryKey(name, tag, key);
      if (number !== undefined) yield number;
    }
  }

  getFloor(name: DatasetName, tag: Tag, options?: CallOptions): Promise<Revised<FloorRecord> | undefined> {
    return this.#revised(keys.floorKey(name, tag), decodeFloor, () => true, options);
  }

  putFloor(
    name: DatasetName,
    tag: Tag,
    record: FloorRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#objects.replace(keys.floorKey(name, tag), encodeFloor(record), expected, options);
  }

  removeRecords(name: DatasetName, options?: RemovalOptions): Promise<boolean> {
    return removeRecordsOf(this.#objects, name, options);
  }

  getView(key: ViewKey, options?: CallOptions): Promise<Revised<Uint8Array> | undefined> {
    return this.#objects.getRevised(keys.viewKey(key), { ...options, bytesMax: PAGE_OBJECT_BYTES_MAX });
  }

  putView(
    key: ViewKey,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#objects.replace(keys.viewKey(key), bytes, expected, options);
  }

  async isQuarantined(object: DamagedObject, options?: CallOptions): Promise<boolean> {
    return (await this.#objects.stat(keys.quarantineKey(object), options)) !== undefined;
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

  async replaceLease(
    record: LeaseRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return await this.#objects.replace(keys.leaseKey(record.id), encodeLease(record), expected, options);
  }

  async getLease(id: string, options?: CallOptions): Promise<Revised<LeaseRecord> | undefined> {
    return await this.#revised(keys.leaseKey(id), decodeLease, (record) => record.id === id, options);
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

  async leaseTimeMs(id: string, options?: CallOptions): Promise<number | undefined> {
    const key = keys.leaseKey(id);
    for await (const found of this.#objects.list(keys.LEASES, options))
      if (found.key === key) return found.modifiedMs;
    return undefined;
  }

  async *listEpochs(options?: CallOptions): AsyncGenerator<number> {
    for await (const { key } of this.#objects.list(keys.EPOCHS, options)) {
      const number = keys.parseEpochKey(key);
      if (number !== undefined) yield number;
    }
  }

  getEpoch(number: number, options?: CallOptions): Promise<Revised<EpochRecord> | undefined> {
    return this.#revised(keys.epochKey(number), decodeEpoch, (record) => record.number === number, options);
  }

  putEpoch(record: EpochRecord, expected: Revision | undefined, options?: CallOptions): Promise<Revision> {
    return this.#objects.replace(keys.epochKey(record.number), encodeEpoch(record), expected, options);
  }

  removeEpoch(number: number, options?: CallOptions): Promise<void> {
    return this.#objects.remove(keys.epochKey(number), options);
  }

  async *listMarks(options?: CallOptions): AsyncGenerator<string> {
    for await (const folder of this.#objects.folders(keys.CONDEMNED, options)) {
      const mark = keys.markOfFolder(folder);
      if (mark !== undefined) yield mark;
    }
  }

  async getCondemned(
    mark: string,
    part: number,
    options?: CallOptions,
  ): Promise<CondemnedRecord | undefined> {
    const fits = (record: CondemnedRecord): boolean => record.mark === mark && record.part === part;
    return await this.#record(keys.condemnedKey(mark, part), decodeCondemned, fits, options);
  }

  async putCondemned(record: CondemnedRecord, options?: CallOptions): Promise<void> {
    await this.#objects.put(keys.condemnedKey(record.mark, record.part), encodeCondemned(record), options);
  }

  async removeCondemned(mark: string, options?: CallOptions): Promise<void> {
    const parts: number[] = [];
    for await (const { key } of this.#objects.list(keys.condemnedPrefix(mark), options)) {
      const part = keys.parseCondemnedKey(mark, key);
      if (part !== undefined) parts.push(part);
    }
    for (const part of parts) await this.#objects.remove(keys.condemnedKey(mark, part), options);
  }

  getSecret(purpose: SecretPurpose, options?: CallOptions): Promise<SecretRecord | undefined> {
    // There is one purpose, and a record of any other is refused as it is read.
    return this.#record(keys.secretKey(purpose), decodeSecret, () => true, options);
  }

  createSecret(record: SecretRecord, options?: CallOptions): Promise<boolean> {
    return this.#objects.create(keys.secretKey(record.purpose), encodeSecret(record), options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#objects.flush(options);
  }

  async #revised<T>(
    key: Key,
    decode: Decode<T>,
    fits: Fits<T>,
    options?: CallOptions,
  ): Promise<Revised<T> | undefined> {
    const found = await this.#objects.getRevised(key, { ...options, bytesMax: RECORD_BYTES_MAX });
    return found && { ...found, value: decodedRecord(key, this.#objects.name, found.value, decode, fits) };
  }

  async #record<T>(
    key: Key,
    decode: Decode<T>,
    fits: Fits<T>,
    options?: CallOptions,
  ): Promise<T | undefined> {
    const bytes = await this.#objects.get(key, { ...options, bytesMax: RECORD_BYTES_MAX });
    return bytes === undefined ? undefined : decodedRecord(key, this.#objects.name, bytes, decode, fits);
  }
}
