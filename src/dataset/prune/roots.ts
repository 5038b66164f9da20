/** What must stay: the versions that datasets' histories name, as far as their retention keeps them. docs/format.md §8.2 */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { DatasetRecord, HistoryRecord } from "../../format/record.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";
import type { Engine } from "../engine.ts";
import { EXPIRES_LABEL, isExpired, RetentionRules } from "../retention.ts";
import { readHead } from "../tag-head.ts";
import { commitTag } from "../tags.ts";

/** History entries that are read at once. */
const BATCH_MAX = 32;

/** A version that must stay, and for whom. */
export interface LiveVersion {
  readonly version: Digest;
  readonly name: DatasetName;
  readonly domain: string;
  /** A tag points at it now: so all of it is there, or the store is damaged. */
  readonly isCurrent: boolean;
}

/** Options of liveVersions. */
export interface LiveOptions extends CallOptions {
  /** Incarnations of deleted datasets that name none any more; undefined: all deleted ones. */
  readonly gone?: ReadonlySet<string> | undefined;
}

/**
 * Every version that a dataset's history within its retention names, by the engine's clock; one may come several times. A
 * deleted dataset, and a deleted tag, name none. Holds one batch of entries at a time. The store may no longer have a
 * version that comes: retention may have been shorter before.
 * Errors: OBJECT_MISSING when a history has a gap or no dataset's record above it; OBJECT_INVALID, FORMAT_UNSUPPORTED when
 * a record cannot be read; those of the store. Whatever fails, nothing may be taken for unneeded.
 */
export async function* liveVersions(engine: Engine, options: LiveOptions): AsyncGenerator<LiveVersion> {
  const { datasets } = engine.store;
  const nowMs = engine.clock.nowMs();
  for await (const { name, domain, retention } of presentDatasets(datasets, options, options.gone)) {
    for await (const tag of datasets.listTags(name, options)) {
      const rules = new RetentionRules(retention, tag, nowMs);
      let isCurrent = true;
      for await (const record of entriesBackwards(datasets, name, tag, options)) {
        if (rules.keeps(record)) yield { version: record.digest, name, domain, isCurrent };
        isCurrent = false;
        if (rules.isOver) break;
      }
    }
  }
}

/** A tag whose time is over. */
export interface ExpiredTag {
  readonly name: DatasetName;
  readonly tag: Tag;
  /** What it pointed at. */
  readonly version: Digest;
  /** What its label said. */
  readonly expires: string;
}

/** Options of expireTags. */
export interface ExpireOptions extends CallOptions {
  /** Who removes them, for the history. */
  readonly publisher: string;
  /** Only tells which tags are over. */
  readonly dryRun?: boolean;
}

/**
 * Removes the tags whose newest entry says that their time is over, by the engine's clock, and gives each once it is done. A tag
 * that somebody changes meanwhile is left for the next time. Errors: those of liveVersions but for gaps; those of commitTag.
 */
export async function* expireTags(engine: Engine, options: ExpireOptions): AsyncGenerator<ExpiredTag> {
  const { datasets } = engine.store;
  const { publisher, dryRun = false, ...call } = options;
  const nowMs = engine.clock.nowMs();
  for await (const { name } of presentDatasets(datasets, call)) {
    for await (const tag of datasets.listTags(name, call)) {
      const { record } = await readHead(datasets, name, tag, call);
      if (record === undefined || !isExpired(record, nowMs)) continue;
      if (!dryRun && !(await removeExpired(engine, { name, tag, record, publisher }, call))) continue;
      yield { name, tag, version: record.digest, expires: record.labels[EXPIRES_LABEL] ?? "" };
    }
  }
}

interface Expired {
  readonly name: DatasetName;
  readonly tag: Tag;
  /** The tag's newest entry. */
  readonly record: HistoryRecord;
  readonly publisher: string;
}

async function removeExpired(engine: Engine, expired: Expired, options: CallOptions): Promise<boolean> {
  const { name, tag, record, publisher } = expired;
  const { digest, files, bytes, number } = record;
  const message = `it expired: ${record.labels[EXPIRES_LABEL] ?? ""}`;
  const says = { publisher, message, labels: {}, files, bytes, writeId: engine.random.id() };
  const expected = { expected: digest, expectedNumber: number };
  try {
    await commitTag(engine, name, tag, { state: "deleted", digest, ...says, ...expected }, options);
    return true;
  } catch (error) {
    // Somebody moved the tag, or deleted its dataset.
    const code = codeOf(error);
    if (code === "TAG_CONFLICT" || code === "DATASET_NOT_FOUND") return false;
    throw error;
  }
}

/**
 * The records of all datasets that are not deleted, or are and not `gone` yet. Errors: OBJECT_MISSING when a name has a history and no record, since its
 * versions may be needed; those of the store.
 */
async function* presentDatasets(
  datasets: DatasetStore,
  options: CallOptions,
  gone?: ReadonlySet<string>,
): AsyncGenerator<DatasetRecord> {
  for await (const name of datasets.listDatasets(options)) {
    const found = await datasets.getDataset(name, options);
    if (found === undefined) {
      for await (const tag of datasets.listTags(name, options)) {
        throw new AetherError(
          "OBJECT_MISSING",
          `${name} has the history of a tag ${tag}, but its dataset.json is missing: bring that back first`,
          { data: { dataset: name } },
        );
      }
    } else {
      const { deleted, incarnation } = found.value;
      const isWaiting = deleted?.state === "deleted" && gone?.has(incarnation) === false;
      if (deleted === null || isWaiting) yield found.value;
    }
  }
}

/**
 * All entries of a tag's history, newest first. Where it ends is seen from a list: looking for entries one by one would end at
 * a gap. Errors: OBJECT_MISSING at a gap; those of the store.
 */
export async function* entriesBackwards(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
): AsyncGenerator<HistoryRecord> {
  let last = 0;
  for await (const number of datasets.listHistory(name, tag, options)) last = Math.max(last, number);
  for (let end = last, size = 1; end > 0; end -= size, size = Math.min(2 * size, BATCH_MAX)) {
    const numbers = Array.from({ length: Math.min(size, end) }, (_, index) => end - index);
    const batch = await Promise.all(numbers.map((number) => datasets.getHistory(name, tag, number, options)));
    for (const [index, record] of batch.entries()) {
      if (record !== undefined) yield record;
      else throw missing(name, tag, end - index);
    }
  }
}

function missing(name: DatasetName, tag: Tag, number: number): AetherError {
  return new AetherError("OBJECT_MISSING", `entry ${number} of the history of ${name}:${tag} is missing`, {
    data: { dataset: name, tag, number },
  });
}
