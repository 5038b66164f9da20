/** Publishing a folder or an archive as a version. ARCHITECTURE.md "How a push works" */
import { join } from "node:path";
import { realpath } from "node:fs/promises";
import { AetherError, codeOf } from "../../base/errors.ts";
import { TAGS_PER_PUSH_MAX } from "../../base/limits.ts";
import {
  DEFAULT_CHUNKING,
  checkChunking,
  sameChunking,
  type ChunkingParameters,
} from "../../format/chunking.ts";
import { digestOf } from "../../format/digest.ts";
import { BLOCK_BYTES_MAX, BLOCK_BYTES_MIN } from "../../format/block.ts";
import { makeFolders } from "../../store/make-folders.ts";
import { isDamage } from "../damage.ts";
import { STDIN_SOURCE, type PushOptions, type PushResult } from "../contract.ts";
import type { PushEngine } from "../engine.ts";
import { removeAbandoned, statCacheVersion } from "../stat-cache.ts";
import { checkAnnotations } from "../tags.ts";
import type { Version } from "../version/version.ts";
import { openArchive, type Archive } from "./archive/archive.ts";
import { checkPlaces } from "./places.ts";
import { PushJob } from "./push-job.ts";
import { openFirst, openReadable } from "./predecessor.ts";
import { Reference } from "./reference.ts";

/** Times that a push begins anew because its source or its store changed under it, and because its hub forgot it. */
const TRIES_MAX = 3;
const SESSIONS_MAX = 8;
/** zstd's highest. */
const COMPRESSION_LEVEL_MAX = 22;

/**
 * Publishes `source` as a version and points the tags at it. What the store has is not sent again; a tag moves only when
 * everything is durable. Safe beside other pushes. Interrupted, it leaves the tags as they were, and what it stored is
 * found by the next push.
 * Errors: SOURCE_NOT_FOUND, SOURCE_UNREADABLE, SOURCE_UNSUPPORTED, SOURCE_CHANGED, PATH_INVALID, ARGUMENT_INVALID,
 * those of openArchive, TAG_IMMUTABLE, CANCELLED, those of the store.
 */
export async function push(engine: PushEngine, options: PushOptions): Promise<PushResult> {
  const begunMs = engine.clock.elapsedMs();
  let archive: Archive | undefined;
  try {
    checkOptions(options);
    if (options.source !== STDIN_SOURCE) await checkPlaces(engine, options);
    archive = await openArchive(engine, options);
    const result = await pushSource(engine, options, archive);
    return { ...result, seconds: (engine.clock.elapsedMs() - begunMs) / 1000 };
  } finally {
    options.input?.destroy();
    await archive?.close();
  }
}

async function pushSource(
  engine: PushEngine,
  options: PushOptions,
  archive: Archive | undefined,
): Promise<Omit<PushResult, "seconds">> {
  let useReference = true;
  const attempt: BegunAttempt = { writeId: engine.random.id(), heads: undefined };
  for (let tries = 1, sessions = 1; ;) {
    try {
      return await pushOnce(engine, options, archive, attempt, useReference);
    } catch (error) {
      const code = codeOf(error);
      const isLost = code === "SESSION_LOST" && sessions++ < SESSIONS_MAX;
      const isAgain = isLost || ((code === "SOURCE_CHANGED" || isDamage(error)) && tries++ < TRIES_MAX);
      if (!isAgain || options.signal?.aborted === true) throw error;
      // Then every file is read, and what is missing is stored again: so pushing its content once more mends a version.
      if (isDamage(error)) useReference = false;
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

/** The push as its tries share it: `heads` are those of the first. */
interface BegunAttempt {
  readonly writeId: string;
  heads: readonly number[] | undefined;
}

async function pushOnce(
  engine: PushEngine,
  options: PushOptions,
  archive: Archive | undefined,
  attempt: BegunAttempt,
  useReference: boolean,
): Promise<Omit<PushResult, "seconds">> {
  const { signal, tags, publisher, dryRun, blockBytes } = options;
  const call = signal === undefined ? {} : { signal };
  const { storeId, chunking: preset, predecessors, heads, seen } = await engine.ingest.prepare(tags, call);
  attempt.heads ??= heads;
  const predecessor = await openFirst(engine, predecessors, call);
  const chunking = options.chunking ?? preset ?? predecessor?.root.chunking ?? DEFAULT_CHUNKING;
  const statCache = archive === undefined ? await openStatCache(engine, options, storeId) : undefined;
  const reference = useReference
    ? await chooseReference(engine, statCache, predecessor, chunking, options)
    : undefined;
  const wanted = { tags, publisher, blockBytes, dryRun, reference: reference?.version.digest, seen };
  const session = await engine.ingest.begin(wanted, call);
  const once = { writeId: attempt.writeId, heads: attempt.heads };
  const parts = { chunking, reference, statCache, archive, attempt: once };
  const job = new PushJob(engine, session, { ...options, ...parts });
  try {
    return await job.run();
  } catch (error) {
    await session.abort();
    throw error;
  } finally {
    await job.close();
  }
}

/** The stat cache's place; none when there is no folder for it, or it cannot be written. */
async function openStatCache(
  engine: PushEngine,
  options: PushOptions,
  storeId: string,
): Promise<string | undefined> {
  const { cacheDir, clock } = engine;
  if (cacheDir === undefined) return undefined;
  const folder = join(cacheDir, "push");
  try {
    makeFolders(folder, 0o700);
    removeAbandoned(folder, clock.nowMs());
  } catch {
    return undefined;
  }
  return join(folder, keyOf([storeId, options.tags[0]?.name ?? "", await absolute(options.source)]));
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
  engine: PushEngine,
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
