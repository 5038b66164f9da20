/** Datasets, their tags and histories, as lists. */
import { AetherError, codeOf } from "../base/errors.ts";
import { didYouMean } from "../base/nearest.ts";
import type { DatasetRecord, HistoryRecord } from "../format/record.ts";
import { scopeOf, type DatasetName, type Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore, NamesOptions, Revised } from "../store/dataset-store.ts";
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
 * Durable when it resolves. Of many who make one at once, all get the same. Errors: those of findDataset.
 */
export async function ensureDataset(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<DatasetRecord> {
  return (await makeDataset(engine, name, options)).record;
}

/** Options of makeDataset. */
export interface MakeDatasetOptions extends CallOptions {
  /** There was none a moment ago: it is made without a look, unless somebody else is faster. */
  readonly wasAbsent?: boolean;
}

/** A dataset's record, and whether it was made just now: then nothing was in it. */
export interface MadeDataset {
  readonly record: DatasetRecord;
  readonly isNew: boolean;
}

/** As ensureDataset. */
export async function makeDataset(
  engine: Engine,
  name: DatasetName,
  { wasAbsent = false, ...options }: MakeDatasetOptions,
): Promise<MadeDataset> {
  const { datasets } = engine.store;
  const present = wasAbsent ? undefined : await datasets.getDataset(name, options);
  if (present !== undefined && !isRemoved(present.value)) {
    return { record: requirePresent(present.value), isNew: false };
  }
  const record: DatasetRecord = {
    name,
    incarnation: engine.random.id(),
    domain: scopeOf(name),
    created: new Date(engine.clock.nowMs()).toISOString(),
    chunking: null,
    immutableTags: [],
    retention: null,
    deleted: null,
  };
  try {
    await datasets.putDataset(record, present?.revision, options);
  } catch (error) {
    if (!(error instanceof AetherError && error.code === "OBJECT_CONFLICT")) throw error;
    if (wasAbsent) return await makeDataset(engine, name, options);
    return { record: await requireDataset(engine, name, options), isNew: false };
  }
  await datasets.flush(options);
  return { record, isNew: true };
}

/**
 * The dataset's record, or undefined when there is none. Errors: DATASET_NOT_FOUND when it is deleted and its name not free
 * yet; those of the store.
 */
export async function findDataset(
  datasets: DatasetStore,
  name: DatasetName,
  options: CallOptions = {},
): Promise<Revised<DatasetRecord> | undefined> {
  const found = await datasets.getDataset(name, options);
  if (found === undefined || isRemoved(found.value)) return undefined;
  return { ...found, value: requirePresent(found.value) };
}

/** Whether all is removed that a deleted dataset had, so that its name is free. */
function isRemoved({ deleted }: DatasetRecord): boolean {
  return deleted?.state === "removed";
}

/** The record, when its dataset is not deleted. Errors: DATASET_NOT_FOUND. */
function requirePresent(record: DatasetRecord): DatasetRecord {
  const { name, deleted } = record;
  if (deleted === null) return record;
  const way =
    deleted.state === "deleted"
      ? `bring it back with: aetherfs undelete ${name}`
      : "its records are being removed, and its name is free when they are";
  throw new AetherError(
    "DATASET_NOT_FOUND",
    `the dataset ${name} was deleted by ${deleted.publisher} at ${deleted.time}; ${way}`,
    { data: { dataset: name } },
  );
}

/** The dataset's record. Errors: DATASET_NOT_FOUND, naming near names; those of the store. */
export async function requireDataset(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<DatasetRecord> {
  return (await requireRevised(engine, name, options)).value;
}

/** The dataset's record, as requireDataset, and its revision. */
export async function requireRevised(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<Revised<DatasetRecord>> {
  const { datasets } = engine.store;
  const found = await findDataset(datasets, name, options);
  if (found !== undefined) return found;
  const others = (await first(datasets.listDatasets(options), CANDIDATES_MAX)).filter(
    (each) => each !== name,
  );
  const hint = others.length === 0 ? "; the store holds none yet: push one" : didYouMean(name, others);
  throw new AetherError("DATASET_NOT_FOUND", `there is no dataset ${name}${hint}`, {
    data: { dataset: name },
  });
}

/** The name of every dataset that is not deleted, in the order of the seam. Errors: those of the store. */
export async function* listDatasets(
  engine: Engine,
  options: NamesOptions<DatasetName> = {},
): AsyncGenerator<DatasetName> {
  const { datasets } = engine.store;
  const { after, ...call } = options;
  for await (const name of datasets.listDatasets({ ...call, after })) {
    if (await isThere(datasets, name, call)) yield name;
  }
}

/** A record that cannot be read is one: whoever opens the dataset is told what is wrong with it. */
async function isThere(datasets: DatasetStore, name: DatasetName, options: CallOptions): Promise<boolean> {
  try {
    const found = await datasets.getDataset(name, options);
    return found !== undefined && found.value.deleted === null;
  } catch (error) {
    const code = codeOf(error);
    if (code === "OBJECT_INVALID" || code === "FORMAT_UNSUPPORTED") return true;
    throw error;
  }
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
