/**
 * Deleting a whole dataset, which can be undone until prune removes its records. Each step is a compare-and-set of the
 * dataset's record. docs/format.md §8.2
 */
import { AetherError } from "../base/errors.ts";
import type { DatasetDeletion, DatasetRecord } from "../format/record.ts";
import type { DatasetName } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore, Revised } from "../store/dataset-store.ts";
import { replaceDataset, type DatasetChange } from "./dataset-settings.ts";
import { requireRevised } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { checkAnnotations } from "./tags.ts";

/** Who deletes a dataset. */
export interface DeleteOptions extends CallOptions {
  readonly publisher: string;
}

/**
 * Deletes a dataset: nobody finds it any more, and prune takes what only it needs, after its grace time. One that is deleted
 * already stays as it is. A push whose commit is under way may still be in it when it is brought back.
 * Errors: DATASET_NOT_FOUND; LIMIT_EXCEEDED; OBJECT_CONFLICT; those of the store.
 */
export async function deleteDataset(
  engine: Engine,
  name: DatasetName,
  { publisher, ...options }: DeleteOptions,
): Promise<DatasetChange> {
  checkAnnotations({ publisher, message: "", labels: {} });
  const deleted = {
    time: new Date(engine.clock.nowMs()).toISOString(),
    publisher,
    state: "deleted",
  } as const;
  const mark = (present: DatasetRecord): DatasetRecord =>
    present.deleted === null ? { ...present, deleted } : present;
  return await replaceDataset(engine, () => readAny(engine, name, options), mark, options);
}

/**
 * Brings a deleted dataset back, as it was. One that is there stays as it is. Its content is there: prune takes none of it before
 * removeDeleted has ended the way back.
 * Errors: DATASET_NOT_FOUND when there is none, or its records are being removed; OBJECT_CONFLICT; those of the store.
 */
export async function undeleteDataset(
  engine: Engine,
  name: DatasetName,
  options: CallOptions = {},
): Promise<DatasetChange> {
  const unmark = (present: DatasetRecord): DatasetRecord => {
    if (present.deleted === null) return present;
    if (present.deleted.state === "deleted") return { ...present, deleted: null };
    throw new AetherError(
      "DATASET_NOT_FOUND",
      `the dataset ${name} cannot be brought back: prune removed it`,
      {
        data: { dataset: name },
      },
    );
  };
  return await replaceDataset(engine, () => readAny(engine, name, options), unmark, options);
}

/** A dataset that is deleted, as prune meets it. */
export interface DeletedDataset {
  readonly name: DatasetName;
  readonly incarnation: string;
  /** RFC 3339. */
  readonly time: string;
}

/** The deleted datasets whose records are still there. Errors: those of the store. */
export async function* deletedDatasets(engine: Engine, options: CallOptions): AsyncGenerator<DeletedDataset> {
  const { datasets } = engine.store;
  for await (const name of datasets.listDatasets(options)) {
    const { deleted, incarnation } = (await datasets.getDataset(name, options))?.value ?? { deleted: null };
    if (deleted === null || deleted.state === "removed") continue;
    yield { name, incarnation, time: deleted.time };
  }
}

type State = DatasetDeletion["state"];

/** How a deleted dataset is removed. */
export interface RemoveOptions extends CallOptions {
  /** When it was deleted: one that came back and was deleted again stays; undefined: whenever. */
  readonly time?: string | undefined;
  /**
   * Called before some records are removed, again and again: rejects when the caller may not remove any more. Who may be
   * stopped for long must see here that its claim still holds, since the name may be another dataset's by then.
   */
  readonly check?: (() => Promise<void>) | undefined;
}

/**
 * Removes a deleted dataset's histories, hints and events; its name is free then. False: it was brought back (and perhaps deleted again). Who takes what only
 * deleted datasets need calls this for each of them before: bringing back is refused from then on, and where it was first,
 * nothing may be taken. What was begun may be called again, and by several at once. True also when another dataset has
 * its name already. Errors: those of `check`; OBJECT_CONFLICT; those of the store.
 */
export async function removeDeleted(
  engine: Engine,
  name: DatasetName,
  incarnation: string,
  { check, time, ...options }: RemoveOptions,
): Promise<boolean> {
  const { datasets } = engine.store;
  const read = (): Promise<Revised<DatasetRecord>> => requireRecord(datasets, name, options);
  const go = async (from: State, to: State): Promise<DatasetRecord> => {
    const change = (present: DatasetRecord): DatasetRecord =>
      present.incarnation === incarnation &&
      present.deleted?.state === from &&
      (time === undefined || present.deleted.time === time)
        ? { ...present, deleted: { ...present.deleted, state: to } }
        : present;
    return (await replaceDataset(engine, read, change, options)).record;
  };
  let record = await go("deleted", "removing");
  if (record.incarnation === incarnation && (record.deleted === null || record.deleted.state === "deleted"))
    return false;
  // Records of another dataset may lie here as soon as this one has left its state.
  while (record.incarnation === incarnation && record.deleted?.state === "removing") {
    if (await datasets.removeRecords(name, { ...options, check })) record = (await read()).value;
    else {
      await datasets.flush(options);
      record = await go("removing", "removed");
    }
  }
  return true;
}

/** The record as it is; it is never removed. Errors: OBJECT_MISSING; those of the store. */
async function requireRecord(
  datasets: DatasetStore,
  name: DatasetName,
  options: CallOptions,
): Promise<Revised<DatasetRecord>> {
  const found = await datasets.getDataset(name, options);
  if (found !== undefined) return found;
  throw new AetherError("OBJECT_MISSING", `the record of the dataset ${name} is missing`, {
    data: { dataset: name },
  });
}

/** The record of a dataset that is there, or deleted and not removed. Errors: DATASET_NOT_FOUND, naming near names. */
async function readAny(
  engine: Engine,
  name: DatasetName,
  options: CallOptions,
): Promise<Revised<DatasetRecord>> {
  const found = await engine.store.datasets.getDataset(name, options);
  if (found !== undefined && found.value.deleted?.state !== "removed") return found;
  return await requireRevised(engine, name, options);
}
