/** A dataset's settings: what of them may be changed, and the change. docs/format.md §8.2 */
import { AetherError, codeOf } from "../base/errors.ts";
import { checkChunking, type ChunkingParameters } from "../format/chunking.ts";
import {
  KEEP_LAST_MAX,
  PATTERN_LENGTH_MAX,
  PATTERNS_MAX,
  type DatasetRecord,
  type Retention,
} from "../format/record.ts";
import type { DatasetName } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { Revised } from "../store/dataset-store.ts";
import { requireRevised } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { keepsAll } from "./retention.ts";

/** Changes that one attempt may lose to others before it gives up. */
const ATTEMPTS_MAX = 64;
/** A window is a thousand years at most, in seconds. */
const KEEP_WITHIN_MAX = 1000 * 366 * 24 * 60 * 60;
const PATTERN = /^[a-z0-9*][a-z0-9._*-]*$/;

/** Settings to change; one that is not there stays as it is. */
export interface DatasetSettings {
  /** Null: as the version before, else the default. */
  readonly chunking?: ChunkingParameters | null;
  readonly immutableTags?: readonly string[];
  /** The rules of the retention, one by one. Where none is left, everything stays. */
  readonly keepLast?: number | null;
  readonly keepWithinSeconds?: number | null;
  readonly keepTags?: readonly string[];
}

/** Errors: ARGUMENT_INVALID, LIMIT_EXCEEDED for a setting that no dataset may have. */
export function checkSettings(settings: DatasetSettings): void {
  const { chunking = null, immutableTags = [], keepLast = null, keepWithinSeconds = null } = settings;
  if (chunking !== null) checkChunking(chunking);
  checkPatterns(immutableTags);
  checkPatterns(settings.keepTags ?? []);
  checkCount("keep the last", keepLast, KEEP_LAST_MAX);
  checkCount("keep what is younger than so many seconds:", keepWithinSeconds, KEEP_WITHIN_MAX);
}

/** The record with other settings. Errors: those of checkSettings. */
export function withSettings(record: DatasetRecord, settings: DatasetSettings): DatasetRecord {
  checkSettings(settings);
  const { chunking = record.chunking, immutableTags = record.immutableTags } = settings;
  const present = record.retention ?? { keepLast: null, keepWithinSeconds: null, keepTags: [] };
  const { keepLast, keepWithinSeconds, keepTags } = settings;
  const retention: Retention = {
    keepLast: keepLast === undefined ? present.keepLast : keepLast,
    keepWithinSeconds: keepWithinSeconds === undefined ? present.keepWithinSeconds : keepWithinSeconds,
    keepTags: keepTags ?? present.keepTags,
  };
  return { ...record, chunking, immutableTags, retention: keepsAll(retention) ? null : retention };
}

/**
 * Changes a dataset's settings, durably, whatever others change meanwhile. Gives the record as it is then.
 * Errors: DATASET_NOT_FOUND; those of withSettings and replaceDataset.
 */
export async function updateDataset(
  engine: Engine,
  name: DatasetName,
  settings: DatasetSettings,
  options: CallOptions = {},
): Promise<DatasetRecord> {
  const read = (): Promise<Revised<DatasetRecord>> => requireRevised(engine, name, options);
  const { record } = await replaceDataset(
    engine,
    read,
    (present) => withSettings(present, settings),
    options,
  );
  return record;
}

/** What became of a dataset's record. */
export interface DatasetChange {
  readonly record: DatasetRecord;
  /** False when it was as wanted already. */
  readonly changed: boolean;
}

/**
 * Replaces a dataset's record by what `change` makes of it, durably; the same record: nothing is written. When somebody else was
 * faster, it is read and changed again. Errors: those of `read` and `change`; OBJECT_CONFLICT when too many change it at once; the
 * store's.
 */
export async function replaceDataset(
  engine: Engine,
  read: () => Promise<Revised<DatasetRecord>>,
  change: (present: DatasetRecord) => DatasetRecord,
  options: CallOptions,
): Promise<DatasetChange> {
  const { datasets } = engine.store;
  for (let attempt = 1; ; attempt++) {
    const { value, revision } = await read();
    const record = change(value);
    if (record === value) return { record, changed: false };
    try {
      await datasets.putDataset(record, revision, options);
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT" || attempt === ATTEMPTS_MAX) throw error;
      continue;
    }
    await datasets.flush(options);
    return { record, changed: true };
  }
}

function checkPatterns(patterns: readonly string[]): void {
  if (patterns.length > PATTERNS_MAX) {
    throw new AetherError("LIMIT_EXCEEDED", `${PATTERNS_MAX} patterns are allowed, not ${patterns.length}`);
  }
  for (const pattern of patterns) {
    if (pattern.length <= PATTERN_LENGTH_MAX && PATTERN.test(pattern)) continue;
    throw new AetherError(
      "ARGUMENT_INVALID",
      `no tag matches "${pattern.slice(0, 100)}": a pattern is a tag in which * stands for any run of characters`,
    );
  }
}

function checkCount(what: string, count: number | null, max: number): void {
  if (count === null || (Number.isSafeInteger(count) && count >= 1 && count <= max)) return;
  throw new AetherError("ARGUMENT_INVALID", `${what} ${count}: it is not a whole number from 1 to ${max}`);
}
