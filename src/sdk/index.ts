/** What `import ... from "aetherfs"` gives. docs/sdk.md */
import { availableParallelism } from "node:os";
import { MiB } from "../base/limits.ts";
import type { PullOptions, PullResult, PushOptions, PushResult } from "../dataset/contract.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import type { EventRecord } from "../format/record.ts";
import { parseReference, type Reference } from "../format/reference.ts";
import type { Client, WatchOptions } from "./client.ts";
import { AetherError } from "../base/errors.ts";
import type { S3Settings } from "../store/drivers/all.ts";
import { openHub } from "./hub-client.ts";
import type { HubTls } from "./hub/hub-endpoint.ts";
import { HUB_DEFAULT, hubOf } from "./hub/which-hub.ts";
import { defaultPublisher } from "./publisher.ts";
import { openLocal } from "./local-client.ts";

export { AetherError, type ErrorCode } from "../base/errors.ts";
export type { AnalyzeResult } from "../dataset/analyze/contract.ts";
export type { DatasetChange, DatasetSettings } from "../dataset/dataset-settings.ts";
export type { RetentionReview } from "../dataset/retention-review.ts";
export type { DatasetRecord, Retention } from "../format/record.ts";
export type { CopyResult } from "../dataset/copy/contract.ts";
export type { DiffResult, Progress, PullResult, PushResult, VerifyResult } from "../dataset/contract.ts";
export { entries, getEntry, listFolder } from "../dataset/version/entries.ts";
export type { Version } from "../dataset/version/version.ts";
export { formatDigest, parseDigest, type Digest } from "../format/digest.ts";
export {
  formatReference,
  parseDatasetName,
  parseReference,
  parseTag,
  type DatasetName,
  type Reference,
  type Tag,
} from "../format/reference.ts";
export type { S3Settings } from "../store/drivers/all.ts";
export { copy, type ClientCopyOptions } from "./copy.ts";
export type { AnalyzeOptions, Client, RollbackTarget, WatchOptions } from "./client.ts";

const MEMORY_BYTES_DEFAULT = 256 * MiB;

/** What a client may use. */
export interface ClientOptions {
  /** What buffers and caches of one operation may hold together; 256 MiB when not given. */
  readonly memoryBytes?: number;
  /** Threads that hash and compress; as many as there are cores when not given. */
  readonly threads?: number;
  /** A folder for hints that save work and may be deleted at any time; none when not given. */
  readonly cacheDir?: string;
}

/** How a hub is reached. */
export interface ConnectOptions extends ClientOptions {
  /** Certificates in PEM. Present: TLS, whatever the address says. */
  readonly tls?: HubTls;
  /** What of pushed content is kept in `cacheDir`, so that the next push sends deltas; 1 GiB when not given, 0: nothing. */
  readonly sentBytesMax?: number;
  /** How long calls wait for a hub that was there and is away, in milliseconds; 30 seconds when not given. */
  readonly waitMs?: number;
}

/** Where a push or pull of one call works: a store of its own, or the hub that the reference names. */
export interface PlaceOptions extends ConnectOptions {
  /** A store's address: a path, file:///DIR, or s3://BUCKET[/PREFIX]. */
  readonly store?: string;
  /** How a store in S3 is reached. */
  readonly s3?: S3Settings;
}

/**
 * A client of the hub at `host[:port]` (8080 when it names no port) or a URL; of this machine's when none is given. Several
 * hubs on one store may be named with commas between them: when one does not answer, the next is asked, and kept. The first
 * call connects. Errors: ARGUMENT_INVALID.
 */
export function connect(address = HUB_DEFAULT, options: ConnectOptions = {}): Client {
  const { tls, waitMs, sentBytesMax, ...rest } = options;
  return openHub({ address, tls, waitMs, sentBytesMax, ...withDefaults(rest) });
}

/** How a store is opened. */
export interface OpenOptions extends ClientOptions {
  /** Make a store where nothing is. */
  readonly create?: boolean;
  /** How a store in S3 is reached; what is left open, AWS's variables, shared files and machines say. */
  readonly s3?: S3Settings;
}

/**
 * A client that works on a store itself: a path, file:///DIR, s3://BUCKET[/PREFIX], or memory:.
 * Errors: those of openStore.
 */
export function open(store: string, { create = false, s3, ...options }: OpenOptions = {}): Promise<Client> {
  return openLocal({ store, create, s3, ...withDefaults(options) });
}

/**
 * Publishes a folder, file or archive, and points tags at it: each `[host[:port]/][@scope/]name:tag`.
 * Errors: those of Client.push; ARGUMENT_INVALID when the tags lie on several hubs.
 */
export async function push(
  source: string,
  tags: string | readonly string[],
  options: Partial<Omit<PushOptions, "source" | "tags">> & PlaceOptions = {},
): Promise<PushResult> {
  const references = (typeof tags === "string" ? [tags] : tags).map(parseReference);
  const client = await clientFor(references, options, options.dryRun !== true);
  try {
    const { publisher = defaultPublisher(), ...rest } = options;
    return await client.push({ ...rest, publisher, source, tags: references.map(tagOf) });
  } finally {
    await client.close();
  }
}

/** Makes a folder what `[host[:port]/][@scope/]name:tag` (or `…@sha256:…`) holds. Errors: those of resolve and Client.pull. */
export async function pull(
  reference: string,
  target: string,
  options: Omit<PullOptions, "name" | "version" | "target"> & PlaceOptions = {},
): Promise<PullResult> {
  const parsed = parseReference(reference);
  const client = await clientFor([parsed], options, false);
  try {
    const { name, version } = await client.resolve(parsed, options);
    return await client.pull({ ...options, name, version, target });
  } finally {
    await client.close();
  }
}

/**
 * Follows a dataset, or one tag of it: `[host[:port]/][@scope/]name[:tag]`. Ends when the loop over it does, or the signal
 * aborts. Errors: those of Client.watch.
 */
export async function* watch(
  reference: string,
  options: Omit<WatchOptions, "tag"> & PlaceOptions = {},
): AsyncGenerator<EventRecord> {
  const parsed = parseReference(reference);
  const client = await clientFor([parsed], options, false);
  try {
    const { tag } = parsed;
    yield* client.watch(parsed.name, tag === undefined ? options : { ...options, tag });
  } finally {
    await client.close();
  }
}

async function clientFor(
  references: readonly Reference[],
  options: PlaceOptions,
  create: boolean,
): Promise<Client> {
  const { store } = options;
  if (store === undefined) return connect(hubOf(references, HUB_DEFAULT), options);
  const host = references.find((reference) => reference.host !== undefined)?.host;
  if (host === undefined) return await open(store, { ...options, create });
  throw new AetherError("ARGUMENT_INVALID", `name the hub ${host} or the store ${store}, not both`);
}

function withDefaults({ memoryBytes, threads, cacheDir }: ClientOptions): {
  memoryBytes: number;
  threads: number;
  cacheDir: string | undefined;
} {
  return {
    memoryBytes: memoryBytes ?? MEMORY_BYTES_DEFAULT,
    threads: threads ?? availableParallelism(),
    cacheDir,
  };
}
