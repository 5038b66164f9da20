/** What a copy takes and gives. The result's names are a contract with users. */
import type { ErrorCode } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { HistoryRecord } from "../../format/record.ts";
import type { DatasetName, Reference, Tag } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { OperationOptions, TagReference } from "../contract.ts";
import type { TagPointer } from "../datasets.ts";
import type { PushEngine } from "../engine.ts";
import type { Resolved } from "../resolve.ts";
import type { Annotations } from "../tags.ts";

/** A place that versions are copied from, or to: a store, or a hub. Errors: as those of the operations on one. */
export interface CopyEnd {
  resolve(reference: Reference, options?: CallOptions): Promise<Resolved>;
  listDatasets(options?: CallOptions): AsyncIterable<DatasetName>;
  listTags(name: DatasetName, options?: CallOptions): AsyncIterable<TagPointer>;
  /** Newest first. */
  history(name: DatasetName, tag: Tag, options?: CallOptions): AsyncIterable<HistoryRecord>;
  removeTag(target: TagReference, annotations: Annotations, options?: CallOptions): Promise<unknown>;
  /** What reads the dataset's versions there, and a way in that verifies what it is given. */
  copyEngine(name: DatasetName): PushEngine;
}

/** What is copied: one version, or whole datasets. */
export type CopySelection =
  | {
      /** A tag, or a version by its digest. */
      readonly reference: Reference;
      /** The tags to set at the target; none: the reference's own. */
      readonly tags: readonly TagReference[];
    }
  | { readonly dataset: DatasetName }
  /** Every dataset whose name matches; `text` stands for that in messages. */
  | { readonly matches: (name: DatasetName) => boolean; readonly text: string };

/** Options of a copy. */
export interface CopyOptions extends OperationOptions {
  readonly selection: CopySelection;
  /** How many of each tag's newest entries are wanted at the target, 1 or more: of those that it has not. */
  readonly historyMax: number;
  /** Of whole datasets: removes tags from the target that the source has not. */
  readonly delete?: boolean | undefined;
  /** Moves tags also where somebody else moved them at the target. */
  readonly force?: boolean | undefined;
  /** Goes through versions that the target has, too, and stores anew what it lost of them. */
  readonly repair?: boolean | undefined;
  /** Compares, and writes nothing. */
  readonly dryRun?: boolean | undefined;
  /** Who copies: publisher of versions that are named by digest, and of removals. */
  readonly publisher: string;
  /** The source's address, for the label `copied-from`; undefined: entries get none. */
  readonly origin?: string | undefined;
}

/** A tag that was changed at the target, or (dry run) would be. */
export interface CopyChange {
  readonly dataset: DatasetName;
  readonly tag: Tag;
  /** What it points at now; null: the tag is removed. */
  readonly digest: Digest | null;
  /** Entries that its history got. */
  readonly entries: number;
}

/** A tag that was not copied as wanted, and why. */
export interface CopyFailure {
  readonly dataset: DatasetName;
  readonly tag: Tag;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a copy did. */
export interface CopyResult {
  /** Datasets and tags that were looked at. */
  readonly datasets: number;
  readonly tags: number;
  /** Of these tags, those that the target had already. */
  readonly unchangedTags: number;
  /** Earlier entries of tags that are left out, since the source no longer has their versions. */
  readonly lackingEntries: number;
  /** Versions that were gone through, and bytes of their files. */
  readonly versions: number;
  readonly bytes: number;
  /** Bytes read from the source, handed to the target, and by which the target grew. */
  readonly fetchedBytes: number;
  readonly sentBytes: number;
  readonly storedBytes: number;
  readonly changes: readonly CopyChange[];
  readonly failures: readonly CopyFailure[];
  readonly seconds: number;
}
