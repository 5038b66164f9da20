import type { TagPointer } from "../dataset/datasets.ts";
import type { OnLikely } from "../dataset/tag-head.ts";
import type { Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import type { VersionName } from "./tree-path.ts";

/** Which datasets, tags and versions there are, wherever that is known. */
export interface Catalog {
  /** The datasets, in byte order. Errors: those of the store. */
  datasets(options?: NamesOptions<DatasetName>): AsyncIterable<DatasetName>;
  /** When the dataset was made, as RFC 3339 has it; undefined: there is none. Errors: those of the store. */
  created(name: DatasetName): Promise<string | undefined>;
  /** The newest change of a tag that points at a version; undefined: there is no such tag. Errors: those of the store. */
  pointer(name: DatasetName, tag: Tag): Promise<HistoryRecord | undefined>;
  /** The tags of a dataset that point at a version, in byte order. Errors: DATASET_NOT_FOUND; those of the store. */
  tags(name: DatasetName, options?: NamesOptions<Tag>): AsyncIterable<TagPointer>;
  /**
   * The version that a tag points at now, or that a digest names among those of the dataset. `onLikely` is told of it as
   * soon as somebody has an idea, if anybody has.
   * Errors: DATASET_NOT_FOUND, TAG_NOT_FOUND, VERSION_NOT_FOUND; those of the store.
   */
  find(version: VersionName, onLikely?: OnLikely): Promise<Digest>;
}
