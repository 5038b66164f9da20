/** Publishing a folder as a version. ARCHITECTURE.md "How a push works" */
import { join } from "node:path";
import { mkdir, realpath } from "node:fs/promises";
import { AetherError, codeOf } from "../../base/errors.ts";
import { TAGS_PER_PUSH_MAX } from "../../base/limits.ts";
import { DEFAULT_CHUNKING, sameChunking, type ChunkingParameters } from "../../format/chunking.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MIN } from "../../format/block.ts";
import { scopeOf, type DatasetName } from "../../format/reference.ts";
import type { PushOptions, PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { ChunkIndex } from "../ingest/chunk-index.ts";
import { LocalIngest } from "../ingest/local-ingest.ts";
import { syncIndex } from "../ingest/sync-index.ts";
import { statCacheVersion } from "../stat-cache.ts";
import { checkAnnotations } from "../tags.ts";
import { openVersion, type Version } from "../version/version.ts";
import { PushJob } from "./push-job.ts";
import { findPredecessor } from "./predecessor.ts";
import { Reference } from "./reference.ts";

/** Times that a push begins anew because its source or its store changed under it. */
const TRIES_MAX = 3;
/** A block takes at most this part of the memory: one fills while another is on its way. */
const BLOCK_MEMORY_SHARE = 6;

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
  for (let tries = 1; ; tries++) {
    try {
      const result = await pushOnce(engine, options);
      return { ...result, seconds: (engine.clock.elapsedMs() - begunMs) / 1000 };
    } catch (error) {
      const code = codeOf(error);
      const again = code === "SOURCE_CHANGED" || code === "OBJECT_MISSING";
      if (!again || tries === TRIES_MAX || options.signal?.aborted === true) throw error;
    }
  }
}

function checkOptions(options: PushOptions): void {
  const { tags, message = "", labels = {}, publisher } = options;
  const [first] = tags;
  if (first === undefined || tags.length > TAGS_PER_PUSH_MAX) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `a push sets 1 to ${TAGS_PER_PUSH_MAX} tags, not ${tags.length}`,
    );
  }
  checkAnnotations({ publisher, message, labels });
}

async function pushOnce(engine: Engine, options: PushOptions): Promise<Omit<PushResult, "seconds">> {
  const { signal, tags } = options;
  const call = signal === undefined ? {} : { signal };
  const { domain, chunking: preset } = await sharedSettings(engine, options, call);
  const predecessor = await findPredecessor(engine, tags, call);
  const chunking = options.chunking ?? preset ?? predecessor?.root.chunking ?? DEFAULT_CHUNKING;
  const caches = await cachePaths(engine, options, domain);
  const reference = await chooseReference(engine, caches.stats, predecessor, chunking, options);
  const index = new ChunkIndex(caches.index);
  try {
    await syncIndex(index, engine.store.blocks, domain, call);
    const blockBytes = Math.max(
      BLOCK_BYTES_MIN,
      Math.min(
        options.blockBytes ?? BLOCK_BYTES_DEFAULT,
        Math.floor(engine.memoryBytes / BLOCK_MEMORY_SHARE),
      ),
    );
    const { publisher, dryRun } = options;
    const session = new LocalIngest(engine, index, {
      domain,
      publisher,
      blockBytes,
      dryRun,
      reference: reference?.version.digest,
    });
    const job = new PushJob(engine, session, { ...options, chunking, reference, statCache: caches.stats });
    try {
      await session.begin(call);
      return await job.run();
    } catch (error) {
      await session.abort();
      throw error;
    } finally {
      await job.close();
    }
  } finally {
    index.close();
  }
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

async function cachePaths(engine: Engine, options: PushOptions, domain: string): Promise<CachePaths> {
  const { cacheDir, store } = engine;
  if (cacheDir === undefined) return { index: undefined, stats: undefined };
  const storeId = store.datasets.store.id;
  const stats = join(cacheDir, "push");
  const index = join(cacheDir, "index", storeId);
  await Promise.all([stats, index].map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })));
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
    const version =
      cached === predecessor?.digest ? predecessor : await openIfThere(engine, cached, options.signal);
    if (version !== undefined && sameChunking(version.root.chunking, chunking)) {
      return new Reference(engine, version, { isStatCacheValid: true });
    }
  }
  if (predecessor === undefined || !sameChunking(predecessor.root.chunking, chunking)) return undefined;
  return new Reference(engine, predecessor, { isStatCacheValid: false });
}

async function openIfThere(
  engine: Engine,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<Version | undefined> {
  try {
    return await openVersion(engine, digest, { signal });
  } catch (error) {
    if (codeOf(error) === "VERSION_NOT_FOUND") return undefined;
    throw error;
  }
}
