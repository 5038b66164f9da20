/** Publishing a folder as a version. ARCHITECTURE.md "How a push works" */
import { join } from "node:path";
import { realpath } from "node:fs/promises";
import { AetherError, codeOf, type ErrorCode } from "../../base/errors.ts";
import { TAGS_PER_PUSH_MAX } from "../../base/limits.ts";
import {
  DEFAULT_CHUNKING,
  checkChunking,
  sameChunking,
  type ChunkingParameters,
} from "../../format/chunking.ts";
import { digestOf } from "../../format/digest.ts";
import { BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MAX, BLOCK_BYTES_MIN } from "../../format/block.ts";
import { scopeOf, type DatasetName } from "../../format/reference.ts";
import { makeFolders } from "../../store/make-folders.ts";
import type { PushOptions, PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { ChunkIndex } from "../ingest/chunk-index.ts";
import { LocalIngest } from "../ingest/local-ingest.ts";
import { syncIndex } from "../ingest/sync-index.ts";
import { removeAbandoned, statCacheVersion } from "../stat-cache.ts";
import { checkAnnotations } from "../tags.ts";
import type { Version } from "../version/version.ts";
import { checkPlaces } from "./places.ts";
import { PushJob, type PushJobOptions } from "./push-job.ts";
import { findPredecessor, openReadable } from "./predecessor.ts";
import { Reference } from "./reference.ts";

/** Times that a push begins anew because its source or its store changed under it. */
const TRIES_MAX = 3;
/** A block takes at most this part of the memory: one fills while another is on its way. */
const BLOCK_MEMORY_SHARE = 6;
/** zstd's highest. */
const COMPRESSION_LEVEL_MAX = 22;
/**
 * What says that something of the store is lost. The next try has no reference: it reads every file, and stores again what
 * is missing, so that a damaged version is mended by pushing its content once more.
 */
const DAMAGE: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "OBJECT_CORRUPT", "OBJECT_INVALID"]);

/**
 * Publishes `source` as a version and points the tags at it. What the store has is not sent again; a tag moves only when
 * everything is durable. Safe beside other pushes. Interrupted, it leaves the tags as they were, and what it stored is
 * found by the next push.
 * Errors: SOURCE_NOT_FOUND, SOURCE_UNREADABLE, SOURCE_UNSUPPORTED, SOURCE_CHANGED, PATH_INVALID, ARGUMENT_INVALID,
 * TAG_IMMUTABLE, CANCELLED, those of the store.
 */
export async function push(engine: Engine, options: PushOptions): Promise<PushResult> {
  const begunMs = engine.clock.elapsedMs();
  checkOptions(options);
  await checkPlaces(engine, options);
  let useReference = true;
  for (let tries = 1; ; tries++) {
    try {
      const result = await pushOnce(engine, options, useReference);
      return { ...result, seconds: (engine.clock.elapsedMs() - begunMs) / 1000 };
    } catch (error) {
      const code = codeOf(error);
      const isDamage = DAMAGE.has(code);
      const again = code === "SOURCE_CHANGED" || isDamage;
      if (!again || tries === TRIES_MAX || options.signal?.aborted === true) throw error;
      if (isDamage) useReference = false;
    }
  }
}

function checkOptions(options: PushOptions): void {
  const { tags, message = "", labels = {}, publisher, blockBytes, compressionLevel, chunking } = options;
  const [first] = tags;
  if (first === undefined || tags.length > TAGS_PER_PUSH_MAX) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `a push sets 1 to ${TAGS_PER_PUSH_MAX} tags, not ${tags.length}`,
    );
  }
  checkAnnotations({ publisher, message, labels });
  if (chunking !== undefined) checkChunking(chunking);
  checkNumber("a block size", blockBytes, BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
  checkNumber("a compression level", compressionLevel, 0, COMPRESSION_LEVEL_MAX);
}

function checkNumber(what: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return;
  throw new AetherError("ARGUMENT_INVALID", `${what} is a whole number from ${min} to ${max}, not ${value}`);
}

async function pushOnce(
  engine: Engine,
  options: PushOptions,
  useReference: boolean,
): Promise<Omit<PushResult, "seconds">> {
  const { signal, tags } = options;
  const call = signal === undefined ? {} : { signal };
  const { domain, chunking: preset } = await sharedSettings(engine, options, call);
  const predecessor = await findPredecessor(engine, tags, call);
  const chunking = options.chunking ?? preset ?? predecessor?.root.chunking ?? DEFAULT_CHUNKING;
  const caches = await openCaches(engine, options, domain);
  const reference = useReference
    ? await chooseReference(engine, caches.stats, predecessor, chunking, options)
    : undefined;
  const index = new ChunkIndex(caches.index);
  try {
    await syncIndex(index, engine.store.blocks, domain, call);
    const { publisher, dryRun } = options;
    const session = new LocalIngest(engine, index, {
      domain,
      publisher,
      blockBytes: blockBytesFor(engine, options),
      dryRun,
      reference: reference?.version.digest,
    });
    try {
      return await pushThrough(engine, session, { ...options, chunking, reference, statCache: caches.stats });
    } catch (error) {
      await session.abort();
      throw error;
    }
  } finally {
    index.close();
  }
}

async function pushThrough(
  engine: Engine,
  session: LocalIngest,
  options: PushJobOptions,
): Promise<Omit<PushResult, "seconds">> {
  const { signal } = options;
  await session.begin(signal === undefined ? {} : { signal });
  const job = new PushJob(engine, session, options);
  try {
    return await job.run();
  } finally {
    await job.close();
  }
}

function blockBytesFor(engine: Engine, { blockBytes = BLOCK_BYTES_DEFAULT }: PushOptions): number {
  const affordable = Math.floor(engine.memoryBytes / BLOCK_MEMORY_SHARE);
  return Math.max(BLOCK_BYTES_MIN, Math.min(blockBytes, affordable));
}

/** All tags of a push lie in one domain, and have one wish for chunking at most. */
async function sharedSettings(
  engine: Engine,
  options: PushOptions,
  call: { signal?: AbortSignal },
): Promise<{ domain: string; chunking: ChunkingParameters | undefined }> {
  const names = [...new Set(options.tags.map((reference) => reference.name))];
  const settings = await Promise.all(
    names.map(async (name: DatasetName) => {
      const record = await engine.store.datasets.getDataset(name, call);
      return { domain: record?.value.domain ?? scopeOf(name), chunking: record?.value.chunking ?? undefined };
    }),
  );
  const domain = settings[0]?.domain ?? "";
  if (settings.some((setting) => setting.domain !== domain)) {
    throw new AetherError(
      "FEATURE_UNSUPPORTED",
      "the tags of one push must lie in one scope: push once for each scope",
    );
  }
  return { domain, chunking: settings[0]?.chunking };
}

interface CachePaths {
  readonly index: string | undefined;
  readonly stats: string | undefined;
}

/** The caches' places; none when there is no folder for them, or it cannot be written. */
async function openCaches(engine: Engine, options: PushOptions, domain: string): Promise<CachePaths> {
  const { cacheDir, store, clock } = engine;
  const none = { index: undefined, stats: undefined };
  if (cacheDir === undefined) return none;
  const storeId = store.datasets.store.id;
  const stats = join(cacheDir, "push");
  const index = join(cacheDir, "index", storeId);
  try {
    for (const folder of [stats, index]) makeFolders(folder, 0o700);
    removeAbandoned(stats, clock.nowMs());
  } catch {
    return none;
  }
  const source = keyOf([storeId, options.tags[0]?.name ?? "", await absolute(options.source)]);
  return { index: join(index, `${keyOf([domain])}.db`), stats: join(stats, source) };
}

async function absolute(source: string): Promise<string> {
  return realpath(source).catch(() => source);
}

function keyOf(parts: readonly string[]): string {
  return digestOf(Buffer.from(parts.join("\0"))).slice(0, 32);
}

/**
 * The version that the push is compared with: the one that the stat cache is about, when it is there and cut alike, else
 * the predecessor. Files that the cache knows as unchanged are not read, and old bytes serve as bases.
 */
async function chooseReference(
  engine: Engine,
  statCache: string | undefined,
  predecessor: Version | undefined,
  chunking: ChunkingParameters,
  options: PushOptions,
): Promise<Reference | undefined> {
  const cached = statCache === undefined || options.rehash === true ? undefined : statCacheVersion(statCache);
  if (cached !== undefined) {
    const call = options.signal === undefined ? {} : { signal: options.signal };
    const version = cached === predecessor?.digest ? predecessor : await openReadable(engine, cached, call);
    if (version !== undefined && sameChunking(version.root.chunking, chunking)) {
      return new Reference(engine, version, { isStatCacheValid: true });
    }
  }
  if (predecessor === undefined || !sameChunking(predecessor.root.chunking, chunking)) return undefined;
  return new Reference(engine, predecessor, { isStatCacheValid: false });
}
