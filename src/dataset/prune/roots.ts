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
import { FloorTally, isBelow, type EntriesBelow } from "./floors.ts";

/** History entries that are read at once. */
const BATCH_MAX = 32;

/** A version that must stay, and for whom. */
export interface LiveVersion {
  readonly version: Digest;
  readonly name: DatasetName;
  readonly domain: string;
  /** A tag points at it now: so all of it is there, or the store is damaged. */
  readonly isCurrent: boolean;
  /** Notes that something of it is missing since a prune took it before there were floors. */
  readonly lacks: () => void;
}

/** Options of liveVersions. */
export interface LiveOptions extends CallOptions {
  /** Whether floors are to say what is not given: what only that needs is about to be removed. */
  readonly recordsFloors?: boolean | undefined;
  /** Incarnations of deleted datasets that name none any more; undefined: all deleted ones. */
  readonly gone?: ReadonlySet<string> | undefined;
}

/**
 * Every version that a dataset's history within its retention names, by the engine's clock; one may come several times. A
 * deleted dataset, and a deleted tag, name none. Holds one batch of entries at a time. The store may no longer have a
 * version that comes: retention may have been shorter before. What floors say to be let go under the present retention is not read again.
 * Errors: OBJECT_MISSING when a history has a gap or no dataset's record above it; OBJECT_INVALID, FORMAT_UNSUPPORTED when
 * a record cannot be read; those of the store. Whatever fails, nothing may be taken for unneeded.
 */
export async function* liveVersions(engine: Engine, options: LiveOptions): AsyncGenerator<LiveVersion> {
  const { datasets } = engine.store;
  const nowMs = engine.clock.nowMs();
  for await (const dataset of presentDatasets(datasets, options, options.gone)) {
    const { name, domain, retention } = dataset;
    for await (const tag of datasets.listTags(name, options)) {
      const rules = new RetentionRules(retention, tag, nowMs);
      const tally = await FloorTally.open(datasets, dataset, tag, rules.keepsAll, options);
      let isCurrent = true;
      for await (const record of entriesBackwards(datasets, name, tag, options, tally.passed)) {
        const { digest: version, number, state } = record;
        const stays = rules.keeps(record);
        if (rules.isOver) break;
        if (state === "deleted" || isBelow(tally.passed, number)) continue;
        tally.note(number, stays);
        const lacks = (): void => {
          tally.lacks(number);
        };
        if (stays) yield { version, name, domain, isCurrent, lacks };
        isCurrent = false;
      }
      if (options.recordsFloors === true && !rules.isOver) await tally.store(options);
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
 * All entries of a tag's history, newest first, but for those that are `passed` over; the one after each that is not comes with it, since it says until when.
 * Where the history ends is seen from a list: looking for entries one by one would end at a gap. Errors: OBJECT_MISSING at a gap; those of the store.
 */
export async function* entriesBackwards(
  datasets: DatasetStore,
  name: DatasetName,
  tag: Tag,
  options: CallOptions,
  passed?: EntriesBelow,
): AsyncGenerator<HistoryRecord> {
  let last = 0;
  for await (const number of datasets.listHistory(name, tag, options)) last = Math.max(last, number);
  const wanted = numbersBackwards(last, passed);
  for (let size = 1; ; size = Math.min(2 * size, BATCH_MAX)) {
    const numbers = Array.from({ length: size }, () => wanted.next().value).filter(
      (number) => number !== undefined,
    );
    if (numbers.length === 0) return;
    const batch = await Promise.all(numbers.map((number) => datasets.getHistory(name, tag, number, options)));
    for (const [index, record] of batch.entries()) {
      if (record !== undefined) yield record;
      else throw missing(name, tag, numbers[index] ?? 0);
    }
  }
}

function* numbersBackwards(last: number, passed: EntriesBelow | undefined): Generator<number, undefined> {
  const floor = passed?.floor ?? 1;
  for (let number = last; number >= floor; number--) yield number;
  const below = new Set([...(passed?.kept ?? [])].flatMap((number) => [number, number + 1]));
  for (const number of [...below].sort((one, other) => other - one))
    if (number < floor && number <= last) yield number;
  return undefined;
}

function missing(name: DatasetName, tag: Tag, number: number): AetherError {
  return new AetherError("OBJECT_MISSING", `entry ${number} of the history of ${name}:${tag} is missing`, {
    data: { dataset: name, tag, number },
  });
}
