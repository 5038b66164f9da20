import { must } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetRecord, HistoryRecord } from "../format/record.ts";
import { DEFAULT_TAG, type DatasetName, type Reference, type Tag } from "../format/reference.ts";
import type { Revision } from "../store/dataset-store.ts";
import type { TagReference } from "./contract.ts";
import { requireRevised, tagNotFound } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { currentOf, readHead, type HeadOptions } from "./tag-head.ts";

/** What a reference means now. */
export interface Resolved {
  readonly name: DatasetName;
  readonly version: Digest;
  /** Undefined when the reference names a digest. */
  readonly tag: Tag | undefined;
  /** The history entry that made the tag point there; undefined when the reference names a digest. */
  readonly record: HistoryRecord | undefined;
  /** The state of the dataset's record, where a store was read and a tag found. */
  readonly revision?: Revision;
}

/**
 * The version that a reference means: the end of its tag's history (`latest` when it names no tag), or the digest as it
 * stands there. Whether the store has the version's manifest is told by who opens it (VERSION_NOT_FOUND). The
 * reference's host is not looked at. Errors: DATASET_NOT_FOUND, TAG_NOT_FOUND, both naming near names; those of the store.
 */
export async function resolve(
  engine: Engine,
  reference: Reference,
  options: HeadOptions = {},
): Promise<Resolved> {
  const { datasets } = engine.store;
  const { name, digest } = reference;
  const revised = requireRevised(engine, name, options);
  if (digest !== undefined) {
    await revised;
    return { name, version: digest, tag: undefined, record: undefined };
  }
  const dataset = revised.then(({ value }) => value);
  const tag = reference.tag ?? DEFAULT_TAG;
  const record = await newestEntry(engine, dataset, { name, tag }, options);
  const version = currentOf(record);
  const { revision } = await revised;
  if (version !== null)
    return { name, version, tag, record: must(record, "a version has an entry"), revision };
  if (record === undefined) throw await tagNotFound(datasets, name, tag, options);
  throw new AetherError(
    "TAG_NOT_FOUND",
    `the tag ${name}:${tag} was removed at ${record.time}; a rollback brings it back`,
    { data: { dataset: name, tag } },
  );
}

async function newestEntry(
  { store, heads }: Engine,
  dataset: Promise<DatasetRecord>,
  { name, tag }: TagReference,
  options: HeadOptions,
): Promise<HistoryRecord | undefined> {
  if (heads !== undefined) return await heads.newestEntry(store.datasets, dataset, { name, tag }, options);
  const [head] = await Promise.all([readHead(store.datasets, name, tag, options), dataset]);
  return head.record;
}
