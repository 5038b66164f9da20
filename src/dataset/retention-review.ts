/** What a retention would let go of a dataset: for people, before prune does it. */
import { AetherError } from "../base/errors.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetRecord, HistoryRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import { withSettings, type DatasetSettings } from "./dataset-settings.ts";
import { requireDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { entriesBackwards } from "./prune/roots.ts";
import { isExpired, RetentionRules } from "./retention.ts";

/** Versions of a dataset that a review can count. */
const VERSIONS_MAX = 250_000;
/** Versions that are told one by one. */
const TOLD_MAX = 1000;

/** A version that nothing of its dataset keeps, and the newest entry of a tag that points at it. */
export interface ReleasedVersion {
  readonly version: Digest;
  readonly tag: Tag;
  readonly number: number;
  /** RFC 3339: when the tag was moved there. */
  readonly time: string;
  readonly files: number;
  readonly bytes: number;
}

/** What stays of a dataset, and what does not. */
export interface RetentionReview {
  /** The record as the settings would make it. */
  readonly dataset: DatasetRecord;
  /** Tags that point at a version, and are not over. */
  readonly tags: number;
  /** Different versions that stay. */
  readonly kept: number;
  /** Different versions that prune may take, those that it took already left out. Other datasets may need some of them. */
  readonly released: number;
  /** The first thousand of them, tag by tag, newest first. */
  readonly versions: readonly ReleasedVersion[];
}

/**
 * What prune would keep of the dataset's versions, and let go, if its settings were changed like this. Changes nothing.
 * Errors: DATASET_NOT_FOUND; those of withSettings; LIMIT_EXCEEDED for more versions than can be counted; OBJECT_MISSING where a
 * history has a gap; those of the store.
 */
export async function reviewRetention(
  engine: Engine,
  name: DatasetName,
  settings: DatasetSettings,
  options: CallOptions = {},
): Promise<RetentionReview> {
  const dataset = withSettings(await requireDataset(engine, name, options), settings);
  const kept = new Set<Digest>();
  const released = new Set<Digest>();
  const versions: ReleasedVersion[] = [];
  let tags = 0;
  for await (const { record, stays, isNewest } of judged(engine, dataset, options)) {
    if (!stays) continue;
    if (isNewest) tags += 1;
    add(kept, record.digest);
  }
  for await (const { tag, record } of judged(engine, dataset, options)) {
    if (record.state === "deleted") continue;
    const { digest: version, number, time, files, bytes } = record;
    if (kept.has(version) || released.has(version)) continue;
    if ((await engine.store.datasets.getManifest(version, options)) === undefined) continue;
    add(released, version);
    if (versions.length < TOLD_MAX) versions.push({ version, tag, number, time, files, bytes });
  }
  return { dataset, tags, kept: kept.size, released: released.size, versions };
}

/** An entry of a tag, and whether it stays. */
interface Judged {
  readonly tag: Tag;
  readonly record: HistoryRecord;
  readonly stays: boolean;
  readonly isNewest: boolean;
}

/** Every entry of every tag, newest first. */
async function* judged(
  { store: { datasets }, clock }: Engine,
  { name, retention }: DatasetRecord,
  options: CallOptions,
): AsyncGenerator<Judged> {
  const nowMs = clock.nowMs();
  for await (const tag of datasets.listTags(name, options)) {
    const rules = new RetentionRules(retention, tag, nowMs);
    let newest: HistoryRecord | undefined;
    for await (const record of entriesBackwards(datasets, name, tag, options)) {
      newest ??= record;
      const stays = rules.keeps(record) && !isExpired(newest, nowMs);
      yield { tag, record, stays, isNewest: record === newest };
    }
  }
}

function add(versions: Set<Digest>, version: Digest): void {
  versions.add(version);
  if (versions.size <= VERSIONS_MAX) return;
  throw new AetherError("LIMIT_EXCEEDED", `a review counts up to ${VERSIONS_MAX} versions`);
}
