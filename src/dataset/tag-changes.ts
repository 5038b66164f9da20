/** Changes of tags that publish nothing new. */
import { must } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { HistoryRecord, TagOpening } from "../format/record.ts";
import {
  DEFAULT_TAG,
  formatReference,
  scopeOf,
  type DatasetName,
  type Reference,
  type Tag,
} from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { TagReference } from "./contract.ts";
import { ensureDataset, findDataset, history, requireDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { resolve } from "./resolve.ts";
import { revive } from "./ingest/revive.ts";
import { openingFrom } from "./version/opening.ts";
import { announce } from "./tag-events.ts";
import { currentOf, readHead } from "./tag-head.ts";
import { commitTag, type Annotations, type TagCommit } from "./tags.ts";

/** History entries that are looked through for a change that was made already. */
const RETRY_ENTRIES_MAX = 16;

/** Who changes a tag, and what is said about it. */
export interface TagChangeOptions extends CallOptions, Annotations {
  /**
   * 32 hex digits: a change that is asked for again with the same, since its answer was lost, is found among the tag's
   * newest entries and not made again. undefined: nobody asks again.
   */
  readonly writeId?: string | undefined;
}

interface CommitOptions extends TagChangeOptions {
  /** Whether a tag points at the version now. */
  readonly isCurrent: () => Promise<boolean>;
  /** The version that the tag must point at; undefined: any. */
  readonly expected?: Digest | null;
}

/** Where a rollback goes, and what is said about it. */
export interface RollbackOptions extends TagChangeOptions {
  /** The number of a history entry, or the version itself; undefined: the version before the present one. */
  readonly to?: number | Digest;
}

/**
 * Points `target` at the version that `source` means. A version that is named by its digest must stand in the history
 * of a tag of that dataset. The target's dataset is made when there is none; it must share the source's domain.
 * Errors: DATASET_NOT_FOUND, TAG_NOT_FOUND, VERSION_NOT_FOUND; FEATURE_UNSUPPORTED between domains; those of commitTag.
 */
export async function tagVersion(
  engine: Engine,
  source: Reference,
  target: TagReference,
  options: TagChangeOptions,
): Promise<TagCommit> {
  const made = await madeAlready(engine, target, options);
  if (made !== undefined) return made;
  const { name, record } = await resolve(engine, source, options);
  const origin = record ?? (await findInDataset(engine, source, options));
  await requireSameDomain(engine, name, target.name, options);
  const isCurrent = async (): Promise<boolean> =>
    source.digest === undefined && (await resolve(engine, source, options)).version === origin.digest;
  return await commitAs(engine, target, origin, { ...options, isCurrent });
}

/**
 * Points a tag at a version that it pointed at before, as a new history entry; a removed tag comes back. Without `to` that
 * is the newest announced or pinned version in its history that differs from the present one.
 * Errors: DATASET_NOT_FOUND, TAG_NOT_FOUND; VERSION_NOT_FOUND when the history has no such version or the store no longer
 * holds it; TAG_CONFLICT when the tag is moved meanwhile; those of commitTag.
 */
export async function rollback(
  engine: Engine,
  { name, tag }: TagReference,
  options: RollbackOptions,
): Promise<TagCommit> {
  const made = await madeAlready(engine, { name, tag }, options);
  if (made !== undefined) return made;
  let newest: HistoryRecord | undefined;
  let chosen: HistoryRecord | undefined;
  for await (const record of history(engine, name, tag, options)) {
    newest ??= record;
    if (!isChosen(record, currentOf(newest), options.to)) continue;
    chosen = record;
    break;
  }
  if (chosen === undefined) throw noSuchEntry(name, tag, options.to);
  const isCurrent = (): Promise<boolean> => Promise.resolve(false);
  const expected = currentOf(newest);
  return await commitAs(engine, { name, tag }, chosen, { ...options, isCurrent, expected });
}

/**
 * Removes a tag: its history stays and gets an entry that says so. The version stays while other tags or the history's
 * retention need it. Errors: DATASET_NOT_FOUND, TAG_NOT_FOUND; TAG_CONFLICT when the tag is moved meanwhile; those of
 * commitTag.
 */
export async function removeTag(
  engine: Engine,
  { name, tag }: TagReference,
  options: TagChangeOptions,
): Promise<TagCommit> {
  const made = await madeAlready(engine, { name, tag }, options);
  if (made !== undefined) return made;
  const reference: Reference = { host: undefined, name, tag, digest: undefined };
  const { record, version } = await resolve(engine, reference, options);
  const { publisher, message, labels, writeId = engine.random.id() } = options;
  const { files, bytes } = must(record, "a tag has an entry");
  const says = { publisher, message, labels, writeId, files, bytes };
  return await commitTag(
    engine,
    name,
    tag,
    { state: "deleted", digest: version, expected: version, ...says },
    options,
  );
}

/** What this change made of the tag when it was asked for before. */
async function madeAlready(
  { store: { datasets } }: Engine,
  { name, tag }: TagReference,
  options: TagChangeOptions,
): Promise<TagCommit | undefined> {
  if (options.writeId === undefined) return undefined;
  const head = await readHead(datasets, name, tag, options);
  let record = head.record;
  for (let entries = 0; record !== undefined && entries < RETRY_ENTRIES_MAX; entries++) {
    if (record.writeId === options.writeId) {
      await announce(datasets, name, tag, head.announced, record.number, options);
      return { record, moved: true };
    }
    record =
      record.number === 1 ? undefined : await datasets.getHistory(name, tag, record.number - 1, options);
  }
  return undefined;
}

async function commitAs(
  engine: Engine,
  { name, tag }: TagReference,
  origin: HistoryRecord,
  options: CommitOptions,
): Promise<TagCommit> {
  const { digest, files, bytes } = origin;
  const { publisher, message, labels, writeId = engine.random.id(), expected, isCurrent } = options;
  const condition = expected === undefined ? {} : { expected };
  const change = { state: "announced", digest, files, bytes, publisher, message, labels, writeId } as const;
  const call = options.signal === undefined ? {} : { signal: options.signal };
  const opening = await openingIn(engine, name, digest, call);
  const { domain } = await ensureDataset(engine, name, call);
  const target = { name, tag };
  return await revive(engine, { version: digest, domain, publisher, target, isCurrent, ...call }, () =>
    commitTag(engine, name, tag, { ...change, ...condition, opening }, call),
  );
}

function isChosen(record: HistoryRecord, current: Digest | null, to: number | Digest | undefined): boolean {
  if (record.state === "deleted") return false;
  if (typeof to === "number") return record.number === to;
  if (to !== undefined) return record.digest === to;
  return record.state !== "staged" && record.digest !== current;
}

function noSuchEntry(name: DatasetName, tag: Tag, to: number | Digest | undefined): AetherError {
  const data = { dataset: name, tag };
  const where = `the history of ${name}:${tag}`;
  if (to === undefined) {
    return new AetherError("VERSION_NOT_FOUND", `${where} has no earlier version to go back to`, { data });
  }
  const what = typeof to === "number" ? `a version at number ${to}` : formatDigest(to);
  return new AetherError("VERSION_NOT_FOUND", `${where} has not ${what}; see what it has with: history`, {
    data,
  });
}

/** The newest history entry, of any tag of the reference's dataset, with the reference's digest. */
async function findInDataset(
  engine: Engine,
  reference: Reference,
  options: CallOptions,
): Promise<HistoryRecord> {
  const { name, digest } = reference;
  for await (const tag of engine.store.datasets.listTags(name, options)) {
    for await (const record of history(engine, name, tag, options)) {
      if (record.digest === digest) return record;
    }
  }
  throw new AetherError(
    "VERSION_NOT_FOUND",
    `no tag of ${name} ever pointed at the version of ${formatReference(reference)}`,
    { data: { reference: formatReference(reference) } },
  );
}

async function requireSameDomain(
  engine: Engine,
  source: DatasetName,
  target: DatasetName,
  options: CallOptions,
): Promise<void> {
  if (source === target) return;
  const { domain } = await requireDataset(engine, source, options);
  const present = await findDataset(engine.store.datasets, target, options);
  if (domain === (present?.value.domain ?? scopeOf(target))) return;
  throw new AetherError(
    "FEATURE_UNSUPPORTED",
    `${source} and ${target} do not share content, so a version cannot move between them: pull ${source} and push it as ${target}`,
    { data: { source, target } },
  );
}

/** What the tag's hint is to say of the version, whose manifest object must be there. Errors: VERSION_NOT_FOUND; those of the store. */
async function openingIn(
  engine: Engine,
  name: DatasetName,
  version: Digest,
  options: CallOptions,
): Promise<TagOpening | undefined> {
  const { datasets } = engine.store;
  const object = await datasets.getManifest(version, options);
  if (object !== undefined) return await openingFrom(datasets, version, object, options);
  throw new AetherError(
    "VERSION_NOT_FOUND",
    `the store no longer holds ${name}@${formatDigest(version)}: nothing kept it, and prune removed it`,
    {
      data: { dataset: name, digest: formatDigest(version) },
    },
  );
}

/** The tag that a reference names, `latest` when it names none. Errors: ARGUMENT_INVALID when it names a digest. */
export function tagOf(reference: Reference): TagReference {
  if (reference.digest === undefined) return { name: reference.name, tag: reference.tag ?? DEFAULT_TAG };
  throw new AetherError(
    "ARGUMENT_INVALID",
    `${formatReference(reference)} names a version, which never changes: name a tag`,
    { data: { reference: formatReference(reference) } },
  );
}
