import { equalBytes } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import {
  encodeEpoch,
  encodeFloor,
  type CondemnedRecord,
  type EpochRecord,
  type FloorRecord,
} from "../../format/prune-record.ts";
import {
  encodeDataset,
  encodeEvent,
  encodeLease,
  type DatasetRecord,
  type EventRecord,
  type HistoryRecord,
  type LeaseRecord,
  type StoreRecord,
  type TagHint,
} from "../../format/record.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { SecretPurpose, SecretRecord } from "../../format/secret-record.ts";
import type { CallOptions } from "../block-store.ts";
import type {
  DatasetStore,
  LastEventOptions,
  ListedObject,
  NamesOptions,
  PlanOptions,
  RemovalOptions,
  Revised,
  Revision,
  ViewKey,
} from "../dataset-store.ts";
import type { DamagedObject, ObjectKind } from "../keys.ts";
import type { Retry } from "./retry.ts";

/**
 * Repeats calls on datasets. A repeated creation or replacement that finds its own record there was the first try's,
 * whose answer was lost: it succeeds.
 */
export class RetriedDatasetStore implements DatasetStore {
  readonly #inner: DatasetStore;
  readonly #retry: Retry;

  constructor(inner: DatasetStore, retry: Retry) {
    this.#inner = inner;
    this.#retry = retry;
  }

  get store(): StoreRecord {
    return this.#inner.store;
  }

  getManifest(version: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#retry.run(() => this.#inner.getManifest(version, options), options?.signal);
  }

  addManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(async (retries) => {
      if (await this.#inner.addManifest(version, bytes, options)) return true;
      if (retries === 0) return false;
      const found = await this.#inner.getManifest(version, options);
      return found !== undefined && equalBytes(found, bytes);
    }, options?.signal);
  }

  putManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.putManifest(version, bytes, options), options?.signal);
  }

  listObjects(kind: ObjectKind, options?: CallOptions): AsyncIterable<Digest> {
    return this.#retry.iterate(() => this.#inner.listObjects(kind, options), String, options?.signal);
  }

  listPlans(kind: "plans" | "domain-plans", options?: CallOptions): AsyncIterable<ListedObject> {
    const list = (): AsyncIterable<ListedObject> => this.#inner.listPlans(kind, options);
    return this.#retry.iterate(list, ({ digest }) => digest, options?.signal);
  }

  hasObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(() => this.#inner.hasObject(kind, digest, options), options?.signal);
  }

  removeObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.removeObject(kind, digest, options), options?.signal);
  }

  getPlan(key: Digest, options?: PlanOptions): Promise<Revised<Uint8Array> | undefined> {
    return this.#retry.run(() => this.#inner.getPlan(key, options), options?.signal);
  }

  putPlan(
    key: Digest,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: PlanOptions,
  ): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.putPlan(key, bytes, expected, options),
      () => this.#inner.getPlan(key, options),
      (plan) => equalBytes(plan, bytes),
      options,
    );
  }

  getDataset(name: DatasetName, options?: CallOptions): Promise<Revised<DatasetRecord> | undefined> {
    return this.#retry.run(() => this.#inner.getDataset(name, options), options?.signal);
  }

  putDataset(
    record: DatasetRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.putDataset(record, expected, options),
      () => this.#inner.getDataset(record.name, options),
      (found) => equalBytes(encodeDataset(found), encodeDataset(record)),
      options,
    );
  }

  listDatasets(options?: NamesOptions<DatasetName>): AsyncIterable<DatasetName> {
    return this.#retry.iterate(
      () => this.#inner.listDatasets(options),
      (name) => `${name}/`,
      options?.signal,
    );
  }

  listTags(name: DatasetName, options?: NamesOptions<Tag>): AsyncIterable<Tag> {
    return this.#retry.iterate(
      () => this.#inner.listTags(name, options),
      (tag) => `${tag}/`,
      options?.signal,
    );
  }

  getHint(name: DatasetName, tag: Tag, options?: CallOptions): Promise<TagHint | undefined> {
    return this.#retry.run(() => this.#inner.getHint(name, tag, options), options?.signal);
  }

  putHint(name: DatasetName, tag: Tag, hint: TagHint, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.putHint(name, tag, hint, options), options?.signal);
  }

  getHistory(
    name: DatasetName,
    tag: Tag,
    number: number,
    options?: CallOptions,
  ): Promise<HistoryRecord | undefined> {
    return this.#retry.run(() => this.#inner.getHistory(name, tag, number, options), options?.signal);
  }

  createHistory(name: DatasetName, tag: Tag, record: HistoryRecord, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(async (retries) => {
      if (await this.#inner.createHistory(name, tag, record, options)) return true;
      if (retries === 0) return false;
      const found = await this.#inner.getHistory(name, tag, record.number, options);
      return found?.writeId === record.writeId;
    }, options?.signal);
  }

  getEvent(name: DatasetName, sequence: number, options?: CallOptions): Promise<EventRecord | undefined> {
    return this.#retry.run(() => this.#inner.getEvent(name, sequence, options), options?.signal);
  }

  createEvent(name: DatasetName, record: EventRecord, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(async (retries) => {
      if (await this.#inner.createEvent(name, record, options)) return true;
      if (retries === 0) return false;
      const found = await this.#inner.getEvent(name, record.sequence, options);
      return found !== undefined && equalBytes(encodeEvent(found), encodeEvent(record));
    }, options?.signal);
  }

  lastEvent(name: DatasetName, options?: LastEventOptions): Promise<number> {
    return this.#retry.run(() => this.#inner.lastEvent(name, options), options?.signal);
  }

  listHistory(name: DatasetName, tag: Tag, options?: CallOptions): AsyncIterable<number> {
    const keyOf = (number: number): string => String(number).padStart(16, "0");
    return this.#retry.iterate(() => this.#inner.listHistory(name, tag, options), keyOf, options?.signal);
  }

  removeRecords(name: DatasetName, options?: RemovalOptions): Promise<boolean> {
    return this.#retry.run(() => this.#inner.removeRecords(name, options), options?.signal);
  }

  getView(key: ViewKey, options?: CallOptions): Promise<Revised<Uint8Array> | undefined> {
    return this.#retry.run(() => this.#inner.getView(key, options), options?.signal);
  }

  putView(
    key: ViewKey,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.putView(key, bytes, expected, options),
      () => this.#inner.getView(key, options),
      (found) => equalBytes(found, bytes),
      options,
    );
  }

  isQuarantined(object: DamagedObject, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(() => this.#inner.isQuarantined(object, options), options?.signal);
  }

  quarantine(object: DamagedObject, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.quarantine(object, options), options?.signal);
  }

  putLease(record: LeaseRecord, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.putLease(record, options), options?.signal);
  }

  getFloor(name: DatasetName, tag: Tag, options?: CallOptions): Promise<Revised<FloorRecord> | undefined> {
    return this.#retry.run(() => this.#inner.getFloor(name, tag, options), options?.signal);
  }

  putFloor(
    name: DatasetName,
    tag: Tag,
    record: FloorRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.putFloor(name, tag, record, expected, options),
      () => this.#inner.getFloor(name, tag, options),
      (found) => equalBytes(encodeFloor(found), encodeFloor(record)),
      options,
    );
  }

  replaceLease(
    record: LeaseRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.replaceLease(record, expected, options),
      () => this.#inner.getLease(record.id, options),
      (found) => equalBytes(encodeLease(found), encodeLease(record)),
      options,
    );
  }

  getLease(id: string, options?: CallOptions): Promise<Revised<LeaseRecord> | undefined> {
    return this.#retry.run(() => this.#inner.getLease(id, options), options?.signal);
  }

  removeLease(id: string, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.removeLease(id, options), options?.signal);
  }

  listLeases(options?: CallOptions): AsyncIterable<LeaseRecord> {
    return this.#retry.iterate(
      () => this.#inner.listLeases(options),
      ({ id }) => id,
      options?.signal,
    );
  }

  leaseTimeMs(id: string, options?: CallOptions): Promise<number | undefined> {
    return this.#retry.run(() => this.#inner.leaseTimeMs(id, options), options?.signal);
  }

  listEpochs(options?: CallOptions): AsyncIterable<number> {
    const keyOf = (number: number): string => String(number).padStart(16, "0");
    return this.#retry.iterate(() => this.#inner.listEpochs(options), keyOf, options?.signal);
  }

  getEpoch(number: number, options?: CallOptions): Promise<Revised<EpochRecord> | undefined> {
    return this.#retry.run(() => this.#inner.getEpoch(number, options), options?.signal);
  }

  putEpoch(record: EpochRecord, expected: Revision | undefined, options?: CallOptions): Promise<Revision> {
    return this.#replaced(
      () => this.#inner.putEpoch(record, expected, options),
      () => this.#inner.getEpoch(record.number, options),
      (found) => equalBytes(encodeEpoch(found), encodeEpoch(record)),
      options,
    );
  }

  removeEpoch(number: number, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.removeEpoch(number, options), options?.signal);
  }

  listMarks(options?: CallOptions): AsyncIterable<string> {
    return this.#retry.iterate(() => this.#inner.listMarks(options), String, options?.signal);
  }

  getCondemned(mark: string, part: number, options?: CallOptions): Promise<CondemnedRecord | undefined> {
    return this.#retry.run(() => this.#inner.getCondemned(mark, part, options), options?.signal);
  }

  removeCondemned(mark: string, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.removeCondemned(mark, options), options?.signal);
  }

  putCondemned(record: CondemnedRecord, options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.putCondemned(record, options), options?.signal);
  }

  getSecret(purpose: SecretPurpose, options?: CallOptions): Promise<SecretRecord | undefined> {
    return this.#retry.run(() => this.#inner.getSecret(purpose, options), options?.signal);
  }

  createSecret(record: SecretRecord, options?: CallOptions): Promise<boolean> {
    return this.#retry.run(async (retries) => {
      if (await this.#inner.createSecret(record, options)) return true;
      if (retries === 0) return false;
      return (await this.#inner.getSecret(record.purpose, options))?.secret === record.secret;
    }, options?.signal);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#retry.run(() => this.#inner.flush(options), options?.signal);
  }

  #replaced<T>(
    replace: () => Promise<Revision>,
    read: () => Promise<Revised<T> | undefined>,
    isOurs: (found: T) => boolean,
    options?: CallOptions,
  ): Promise<Revision> {
    return this.#retry.run(async (retries) => {
      try {
        return await replace();
      } catch (error) {
        if (retries === 0 || codeOf(error) !== "OBJECT_CONFLICT") throw error;
        const found = await read();
        if (found !== undefined && isOurs(found.value)) return found.revision;
        throw error;
      }
    }, options?.signal);
  }
}
