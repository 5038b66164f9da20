/** Datasets, their tags and histories, as lists. */
import { AetherError } from "../base/errors.ts";
import { didYouMean } from "../base/nearest.ts";
import type { DatasetRecord, HistoryRecord } from "../format/record.ts";
import { scopeOf, type DatasetName, type Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore, NamesOptions } from "../store/dataset-store.ts";
import type { Engine } from "./engine.ts";
import { currentOf, readHead } from "./tag-head.ts";

/** Names that are read to suggest one for a name that is not there. */
const CANDIDATES_MAX = 1000;
/** History entries that are read at once. */
const BATCH_MAX = 32;

/** A tag that points at a version, and the history entry that made it do so. */
export interface TagPointer {
  readonly tag: Tag;
  readonly record: HistoryRecord;
}

/**
 * The dataset's record, made when there is none: a new incarnation, whose content is deduplicated within its scope.
 * Durable when it resolves. Of many who make one at once, all get the same. Errors: those of the store.
 */
export async function ensureDataset(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<DatasetRecord> {
  const { datasets } = engine.store;
  const found = await datasets.getDataset(name, options);
  if (found !== undefined) return found.value;
  const record: DatasetRecord = {
    name,
    incarnation: engine.random.id(),
    domain: scopeOf(name),
    created: new Date(engine.clock.nowMs()).toISOString(),
    chunking: null,
    immutableTags: [],
  };
  try {
    await datasets.putDataset(record, undefined, options);
  } catch (error) {
    if (!(error instanceof AetherError && error.code === "OBJECT_CONFLICT")) throw error;
    return await requireDataset(engine, name, options);
  }
  await datasets.flush(options);
  return record;
}

/** The dataset's record. Errors: DATASET_NOT_FOUND, naming near names; those of the store. */
export async function requireDataset(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<DatasetRecord> {
  const { datasets } = engine.store;
  const found = await datasets.getDataset(name, options);
  if (found !== undefined) return found.value;
  const others = await first(datasets.listDatasets(options), CANDIDATES_MAX);
  const hint = others.length === 0 ? "; the store holds none yet: push one" : didYouMean(name, others);
  throw new AetherError("DATASET_NOT_FOUND", `there is no dataset ${name}${hint}`, {
    data: { dataset: name },
  });
}

/** Every dataset's name, in the order of the seam. Errors: those of the store. */
export function listDatasets(
  engine: Engine,
  options: NamesOptions<DatasetName> = {},
): AsyncIterable<DatasetName> {
  return engine.store.datasets.listDatasets(options);
}

/**
 * The dataset's tags that point at a version, in the order of the seam, each with its newest history entry.
 * Errors: DATASET_NOT_FOUND; those of the store.
 */
export async function* listTags(
  engine: Engine,
  name: DatasetName,
  options: NamesOptions<Tag> = {},
): AsyncGenerator<TagPointer> {
  const { datasets } = engine.store;
  const { after, ...call } = options;
  await requireDataset(engine, name, call);
  for await (const tag of datasets.listTags(name, { ...call, after })) {
    const { record } = await readHead(datasets, name, tag, call);
    if (record !== undefined && currentOf(record) !== null) yield { tag, record };
  }
}

/** Where a history begins. */
export interface HistoryOptions extends CallOptions {
  /** Only changes with lower numbers; undefined: from the newest on. */
  readonly before?: number | undefined;
}

/**
 * The tag's changes, newest first, deletions too. Ends at the oldest one that the store still has.
 * Errors: DATASET_NOT_FOUND; TAG_NOT_FOUND when the tag never was; those of the store.
 */
export async function* history(
  engine: Engine,
  name: DatasetName,
  tag: Tag,
  options: HistoryOptions = {},
): AsyncGenerator<HistoryRecord> {
  const { datasets } = engine.store;
  await requireDataset(engine, name, options);
  const { record } = await readHead(datasets, name, tag, options);
  if (record === undefined) throw await tagNotFound(datasets, name, tag, options);
  const { before = record.number + 1 } = options;
  if (before > record.number) yield record;
  for (
    let end = Math.min(record.number, before), size = 1;
    end > 1;
    end -= size, size = Math.min(2 * size, BATCH_MAX)
  ) {
    const numbers = Array.from({ length: Math.min(size, end - 1) }, (_, index) => end - 1 - index);
    const batch = await Promise.all(numbers.map((number) => datasets.getHistory(name, tag, number, options)));
    for (const older of batch) {
      if (older === undefined) return;
      yield older;
    }
  }
}

/** The error TAG_NOT_FOUND, naming near tags. */
export async function tagNotFound(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
): Promise<AetherError> {
  const others = (await first(datasets.listTags(name, options), CANDIDATES_MAX)).filter(
    (other) => other !== tag,
  );
  const hint = didYouMean(tag, others);
  return new AetherError("TAG_NOT_FOUND", `${name} has no tag ${tag}${hint}`, {
    data: { dataset: name, tag },
  });
}

async function first<T>(items: AsyncIterable<T>, countMax: number): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
    if (found.length === countMax) break;
  }
  return found;
}
