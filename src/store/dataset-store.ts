/** The seam below which manifests, plans and records are kept. docs/format.md §6–8; ARCHITECTURE.md "Seams". */
import type { Digest } from "../format/digest.ts";
import type { CondemnedRecord, EpochRecord, FloorRecord } from "../format/prune-record.ts";
import type {
  DatasetRecord,
  EventRecord,
  HistoryRecord,
  LeaseRecord,
  StoreRecord,
  TagHint,
} from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { SecretPurpose, SecretRecord } from "../format/secret-record.ts";
import type { BlockStore, CallOptions, RangeReader } from "./block-store.ts";
import type { DamagedObject, ObjectKind } from "./keys.ts";

/** Names one state of a replaceable object; compared, never interpreted. */
export type Revision = string & { readonly __brand: "Revision" };

/** A value and the state it was read in. */
export interface Revised<T> {
  readonly value: T;
  readonly revision: Revision;
}

/** Options of a call about a plan. */
export interface PlanOptions extends CallOptions {
  /** The plan that this domain keeps apart, since the one that all share leads to another's blocks; undefined: that one. */
  readonly domain?: string | undefined;
}

/** Reading manifests and plans: opaque bytes, verified above. Errors of every call: STORE_UNAVAILABLE. */
export interface ManifestReader {
  /** The manifest object of a version, or undefined. */
  getManifest(version: Digest, options?: CallOptions): Promise<Uint8Array | undefined>;
  /** The plan of a page or root, or undefined. */
  getPlan(key: Digest, options?: PlanOptions): Promise<Revised<Uint8Array> | undefined>;
}

/** What belongs to the first AetherFS's interface: a signature's record, or a version's view. */
export interface ViewKey {
  readonly kind: "signature" | "view";
  /** The signature's 32 bytes as hex digits, or the version. */
  readonly digest: Digest;
}

/** A state of a dataset's record, and the first entry that a tag's history had not then. */
export interface DatasetState {
  readonly name: DatasetName;
  readonly revision: Revision;
  readonly tag: Tag;
  readonly number: number;
}

/** Options of DatasetStore.lastEvent(). */
export interface LastEventOptions extends CallOptions {
  /** An event that is there, as far as the caller knows: the search begins with it. */
  readonly known?: number;
}

/** Options of a list of names. */
export interface NamesOptions<T> extends CallOptions {
  /** Only names after this one, which need not be there, in the order of the list. */
  readonly after?: T | undefined;
}

/** An object of a list, and the state it is in; undefined where lists do not say it. */
export interface ListedObject {
  readonly digest: Digest;
  readonly revision: Revision | undefined;
}

/** Options of removeRecords(). */
export interface RemovalOptions extends CallOptions {
  /** Called before a few dozen records are removed, again and again: rejects when the caller may not remove any more. */
  readonly check?: (() => Promise<void>) | undefined;
}

/**
 * Everything of a store that is not a block. Records are parsed and checked here (OBJECT_INVALID, FORMAT_UNSUPPORTED);
 * manifests and plans are opaque bytes, verified above. Every write is durable once flush() has resolved after it;
 * create* calls are durable when they resolve, because they commit.
 * Errors of every call: STORE_UNAVAILABLE; of writes also SPACE_EXHAUSTED, STORE_UNWRITABLE.
 */
export interface DatasetStore extends ManifestReader {
  /** The store's own record. */
  readonly store: StoreRecord;

  /** Stores a manifest object unless there is one: false then. */
  addManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<boolean>;
  /** Stores a manifest object; replaces an equal-named one, which says the same. */
  putManifest(version: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** The digests of all objects of a kind, in order. One that is put or removed meanwhile may or may not appear. */
  listObjects(kind: ObjectKind, options?: CallOptions): AsyncIterable<Digest>;
  /** The digests of all plans, as listObjects gives them, with what getPlan gives as revision; undefined where lists do not say it. */
  listPlans(kind: "plans" | "domain-plans", options?: CallOptions): AsyncIterable<ListedObject>;
  /** Whether an object is there. */
  hasObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<boolean>;
  /** Removes an object: for prune alone. One that is not there is no error. */
  removeObject(kind: ObjectKind, digest: Digest, options?: CallOptions): Promise<void>;

  /**
   * Writes a plan in place of `expected` (undefined: there must be none).
   * Errors: OBJECT_CONFLICT when there is another.
   */
  putPlan(
    key: Digest,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: PlanOptions,
  ): Promise<Revision>;

  getDataset(name: DatasetName, options?: CallOptions): Promise<Revised<DatasetRecord> | undefined>;
  /**
   * Whether a dataset's record is in that state still, and a tag's history has no entry `number`, told without waiting; false: it is
   * otherwise, or cannot be told so. A place that never can has no such method.
   */
  isStill?(state: DatasetState): boolean;
  /** Writes a dataset's record in place of `expected` (undefined: there must be none). Errors: OBJECT_CONFLICT. */
  putDataset(record: DatasetRecord, expected: Revision | undefined, options?: CallOptions): Promise<Revision>;
  /**
   * Every name that a record lies under, in the byte order of `name/`: the order of keys. That getDataset gives one for it that
   * is not deleted is for the caller to see.
   */
  listDatasets(options?: NamesOptions<DatasetName>): AsyncIterable<DatasetName>;

  /** Every tag that has a history, in the byte order of `tag/`, deleted ones too. */
  listTags(name: DatasetName, options?: NamesOptions<Tag>): AsyncIterable<Tag>;
  /** Where the tag's history ended when somebody last looked. */
  getHint(name: DatasetName, tag: Tag, options?: CallOptions): Promise<TagHint | undefined>;
  putHint(name: DatasetName, tag: Tag, hint: TagHint, options?: CallOptions): Promise<void>;
  /** Entry `number` (from 1) of a tag's history. */
  getHistory(
    name: DatasetName,
    tag: Tag,
    number: number,
    options?: CallOptions,
  ): Promise<HistoryRecord | undefined>;
  /** Creates entry `record.number`, durably; false when there is one. This is the compare-and-set of a tag. */
  createHistory(name: DatasetName, tag: Tag, record: HistoryRecord, options?: CallOptions): Promise<boolean>;

  /** Event `sequence` (from 1) of a dataset. */
  getEvent(name: DatasetName, sequence: number, options?: CallOptions): Promise<EventRecord | undefined>;
  /** Creates event `record.sequence`, durably; false when there is one. */
  createEvent(name: DatasetName, record: EventRecord, options?: CallOptions): Promise<boolean>;
  /** The highest sequence, or 0. */
  lastEvent(name: DatasetName, options?: LastEventOptions): Promise<number>;

  /** The numbers of a tag's entries that are there, ascending. */
  listHistory(name: DatasetName, tag: Tag, options?: CallOptions): AsyncIterable<number>;
  /**
   * Removes some of the entries, hints, floors and events of a deleted dataset, the dataset's record never. Gives whether there may be
   * more; false: it found none. Errors: those of `check`, which ends it.
   */
  removeRecords(name: DatasetName, options?: RemovalOptions): Promise<boolean>;

  /** What prunes took of a tag's history, or undefined: nothing was recorded. */
  getFloor(name: DatasetName, tag: Tag, options?: CallOptions): Promise<Revised<FloorRecord> | undefined>;
  /** Writes it in place of `expected` (undefined: there must be none). Errors: OBJECT_CONFLICT. */
  putFloor(
    name: DatasetName,
    tag: Tag,
    record: FloorRecord,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision>;

  /** The record of a signature, or the view of a version: opaque bytes, checked above. */
  getView(key: ViewKey, options?: CallOptions): Promise<Revised<Uint8Array> | undefined>;
  /** Writes one in place of `expected` (undefined: there must be none). Errors: OBJECT_CONFLICT. */
  putView(
    key: ViewKey,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision>;

  /**
   * Moves an object that was found damaged out of the way: it is not there any more, so that it can be stored anew, and its bytes
   * lie under `quarantine/`. Holds it in memory meanwhile. One that is not there is no error. Errors: OBJECT_INVALID when it has more than 1 GiB.
   */
  quarantine(object: DamagedObject, options?: CallOptions): Promise<void>;
  /** Whether bytes of an object lie in quarantine. */
  isQuarantined(object: DamagedObject, options?: CallOptions): Promise<boolean>;

  putLease(record: LeaseRecord, options?: CallOptions): Promise<void>;
  /** Writes a lease in place of `expected` (undefined: there must be none). Errors: OBJECT_CONFLICT. */
  replaceLease(record: LeaseRecord, expected: Revision | undefined, options?: CallOptions): Promise<Revision>;
  getLease(id: string, options?: CallOptions): Promise<Revised<LeaseRecord> | undefined>;
  removeLease(id: string, options?: CallOptions): Promise<void>;
  listLeases(options?: CallOptions): AsyncIterable<LeaseRecord>;
  /** When a lease was last written, by the store's own clock, in milliseconds since 1970; undefined where nobody knows. */
  leaseTimeMs(id: string, options?: CallOptions): Promise<number | undefined>;

  /** The numbers of all epochs that are there, ascending. */
  listEpochs(options?: CallOptions): AsyncIterable<number>;
  getEpoch(number: number, options?: CallOptions): Promise<Revised<EpochRecord> | undefined>;
  /** Writes an epoch in place of `expected` (undefined: there must be none). Errors: OBJECT_CONFLICT. */
  putEpoch(record: EpochRecord, expected: Revision | undefined, options?: CallOptions): Promise<Revision>;
  removeEpoch(number: number, options?: CallOptions): Promise<void>;
  /** The leases under which condemned names were written. */
  listMarks(options?: CallOptions): AsyncIterable<string>;
  /** A part, from 1, of condemned names. */
  getCondemned(mark: string, part: number, options?: CallOptions): Promise<CondemnedRecord | undefined>;
  putCondemned(record: CondemnedRecord, options?: CallOptions): Promise<void>;
  /** Removes all parts that were written under a lease. */
  removeCondemned(mark: string, options?: CallOptions): Promise<void>;

  /** A secret that all who have the store share, or undefined: nobody made it yet. No interface gives it over. */
  getSecret(purpose: SecretPurpose, options?: CallOptions): Promise<SecretRecord | undefined>;
  /** Creates a secret, durably; false when there is one: whoever loses reads the winner's. */
  createSecret(record: SecretRecord, options?: CallOptions): Promise<boolean>;

  /** The barrier: what this process put before survives a power failure when it resolves. */
  flush(options?: CallOptions): Promise<void>;
}

/** What reading versions takes of a store. */
export interface VersionStore {
  readonly blocks: RangeReader;
  readonly datasets: ManifestReader;
}

/** A whole store: what a driver opens. */
export interface Store extends VersionStore {
  readonly blocks: BlockStore;
  readonly datasets: DatasetStore;
  /** Releases descriptors and timers. Nothing may be under way. */
  close(): Promise<void>;
}
