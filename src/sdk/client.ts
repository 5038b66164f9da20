/** What AetherFS does for a program, on a hub or on a store of its own. */
import type { ByteRange } from "../base/byte-range.ts";
import type { AnalyzeLimits, AnalyzeResult, AnalyzeSource } from "../dataset/analyze/contract.ts";
import type {
  DiffResult,
  OperationOptions,
  PullOptions,
  PullResult,
  PushOptions,
  PushResult,
  TagReference,
  VerifyResult,
} from "../dataset/contract.ts";
import type { DatasetChange, DatasetSettings } from "../dataset/dataset-settings.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import type { PushEngine } from "../dataset/engine.ts";
import type { PruneResult } from "../dataset/prune/contract.ts";
import type { PruneSettings } from "../dataset/prune/pruner.ts";
import type { Resolved } from "../dataset/resolve.ts";
import type { RetentionReview } from "../dataset/retention-review.ts";
import type { Annotations, TagCommit } from "../dataset/tags.ts";
import type { Version } from "../dataset/version/version.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetRecord, EventRecord, HistoryRecord } from "../format/record.ts";
import type { DatasetName, Reference, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";

/** Which earlier state a rollback goes to: a history entry, a version, or (neither) the version before. */
export interface RollbackTarget {
  readonly number?: number;
  readonly digest?: Digest;
}

/** A version, and the dataset that it is read from. */
export interface VersionName {
  readonly name: DatasetName;
  readonly version: Digest;
}

/** What an analysis looks at: a source (after a version, when one is named), or the newest versions of a tag. */
export type AnalyzeOptions = AnalyzeLimits &
  (
    | (AnalyzeSource & { readonly against?: VersionName })
    /** `last`: how many different versions, 2 to 50; fewer when the tag has no more. */
    | { readonly name: DatasetName; readonly tag: Tag; readonly last: number }
  );

/** Which events. */
export interface WatchOptions extends CallOptions {
  /** The first event that is wanted; undefined: only those to come. */
  readonly sequence?: number;
  readonly tag?: Tag;
  /** Ends after the events that are there. */
  readonly untilNow?: boolean;
}

/**
 * A hub, or a store without one: both behave alike. Operations may run side by side. Errors of all: those of the table,
 * HUB_UNAVAILABLE or STORE_UNAVAILABLE when nobody answers.
 */
export interface Client {
  /** Publishes a folder, a file or an archive. */
  push(options: PushOptions): Promise<PushResult>;
  /** Brings a version to a folder. */
  pull(options: PullOptions): Promise<PullResult>;
  resolve(reference: Reference, options?: CallOptions): Promise<Resolved>;
  /** Every dataset, in byte order. */
  listDatasets(options?: CallOptions): AsyncIterable<DatasetName>;
  listTags(name: DatasetName, options?: CallOptions): AsyncIterable<TagPointer>;
  /** Newest first. */
  history(name: DatasetName, tag: Tag, options?: CallOptions): AsyncIterable<HistoryRecord>;
  /** A version for reading with entries(), listFolder(), getEntry(). */
  openVersion(name: DatasetName, version: Digest, options?: CallOptions): Promise<Version>;
  /** A file's bytes, or a range of them, verified. */
  cat(version: Version, path: string, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** What differs between two versions, of one dataset or of two. */
  diff(from: VersionName, to: VersionName, options?: OperationOptions): Promise<DiffResult>;
  verify(name: DatasetName, version: Digest, options?: OperationOptions): Promise<VerifyResult>;
  /** What publishing a source, or a tag's versions, costs in several ways. Stores nothing. docs/analyze.md */
  analyze(options: AnalyzeOptions): Promise<AnalyzeResult>;
  tag(
    target: TagReference,
    source: Reference,
    annotations: Annotations,
    options?: CallOptions,
  ): Promise<TagCommit>;
  rollback(
    target: TagReference,
    to: RollbackTarget,
    annotations: Annotations,
    options?: CallOptions,
  ): Promise<TagCommit>;
  removeTag(target: TagReference, annotations: Annotations, options?: CallOptions): Promise<TagCommit>;
  /** A dataset's identity and settings. */
  dataset(name: DatasetName, options?: CallOptions): Promise<DatasetRecord>;
  /** Changes settings; those that are not given stay as they are. */
  updateDataset(name: DatasetName, settings: DatasetSettings, options?: CallOptions): Promise<DatasetRecord>;
  /** What prune would keep and let go of a dataset, were its settings changed like this. */
  reviewRetention(
    name: DatasetName,
    settings?: DatasetSettings,
    options?: CallOptions,
  ): Promise<RetentionReview>;
  /** Deletes a dataset; until prune has removed it, undeleteDataset brings it back. */
  deleteDataset(name: DatasetName, publisher: string, options?: CallOptions): Promise<DatasetChange>;
  undeleteDataset(name: DatasetName, options?: CallOptions): Promise<DatasetChange>;
  /** What copies to and from this place work with. */
  copyEngine(name: DatasetName): PushEngine;
  watch(name: DatasetName, options?: WatchOptions): AsyncIterable<EventRecord>;
  /**
   * Removes from the store what no version needs. What is not said is as the hub has it; on a store a day of grace. One at a time:
   * OBJECT_CONFLICT else. docs/prune.md
   */
  prune(options?: PruneSettings): Promise<PruneResult>;
  close(): Promise<void>;
}
