/** A client of a hub. Pushes and pulls run the engine here: the hub keeps, orders and hands out. */
import { must } from "../base/assert.ts";
import type { ByteRange } from "../base/byte-range.ts";
import { systemClock } from "../base/clock.ts";
import { GiB } from "../base/limits.ts";
import { systemRandom } from "../base/random.ts";
import type { AnalyzeResult } from "../dataset/analyze/contract.ts";
import { cat } from "../dataset/cat.ts";
import type {
  DiffResult,
  OperationOptions,
  PullOptions,
  PullResult,
  PushOptions,
  PushResult,
  TagReference,
  VerifyResult,
} from "../dataset/contract.ts";
import type { DatasetChange, DatasetSettings } from "../dataset/dataset-settings.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import type { PushEngine, ReadEngine } from "../dataset/engine.ts";
import type { PruneResult } from "../dataset/prune/contract.ts";
import type { PruneSettings } from "../dataset/prune/pruner.ts";
import type { Resolved } from "../dataset/resolve.ts";
import type { RetentionReview } from "../dataset/retention-review.ts";
import type { Annotations, TagCommit } from "../dataset/tags.ts";
import { openVersion, type Version } from "../dataset/version/version.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { DatasetRecord, EventRecord, HistoryRecord } from "../format/record.ts";
import { parseDatasetName, type DatasetName, type Reference, type Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import { analyzeInput } from "./analyze-input.ts";
import type { AnalyzeOptions, Client, RollbackTarget, VersionName, WatchOptions } from "./client.ts";
import { commitOf, pages, pointerOf, reading, recordOf, resolvedOf } from "./hub/hub-catalog.ts";
import { HubConnection } from "./hub/hub-connection.ts";
import type { HubTls } from "./hub/hub-endpoint.ts";
import { datasetChangeOf, datasetRecordOf, reviewOf, settingsMessageOf } from "./hub/hub-dataset.ts";
import { HubIngest } from "./hub/hub-ingest.ts";
import type { SentChunks } from "./hub/sent-chunks.ts";
import { pruneHub } from "./hub/prune-hub.ts";
import { eitherStore, hubStore } from "./hub/hub-store.ts";
import { watchHub } from "./hub/watch-hub.ts";

/** How long a hub that was there may be away. */
const WAIT_MS_DEFAULT = 30_000;
/** What is kept of what was pushed. */
const SENT_BYTES_MAX_DEFAULT = GiB;

/** Which hub, and what the engine may use. */
export interface HubOptions {
  /** `host[:port]` (8080 when it names none), or a URL; several hubs on one store, of which the first that answers is asked: `a,b`. */
  readonly address: string;
  /** Present: TLS, whatever the address says. */
  readonly tls?: HubTls | undefined;
  readonly memoryBytes: number;
  readonly threads: number;
  /** A folder for hints; undefined: none. */
  readonly cacheDir: string | undefined;
  /** What of pushed content is kept in `cacheDir`, so that the next push sends deltas, in bytes: 1 GiB when not given, 0: nothing. */
  readonly sentBytesMax?: number | undefined;
  /** How long calls wait for a hub that was there and is away, in milliseconds. */
  readonly waitMs?: number | undefined;
}

/** Makes a client of a hub, which is connected to by the first call. Errors: ARGUMENT_INVALID. */
export function openHub(options: HubOptions): Client {
  return new HubClient(options);
}

/** Loads an operation's modules when it is first asked for: a command needs one of them. */
class HubClient implements Client {
  readonly #hub: HubConnection;
  readonly #parts: Omit<ReadEngine, "store">;
  readonly #sentBytesMax: number;
  /** What each open version is read with. */
  readonly #engines = new WeakMap<Version, ReadEngine>();

  constructor(options: HubOptions) {
    const { address, tls, memoryBytes, threads, cacheDir, waitMs = WAIT_MS_DEFAULT } = options;
    this.#sentBytesMax = options.sentBytesMax ?? SENT_BYTES_MAX_DEFAULT;
    const clock = systemClock;
    const random = systemRandom;
    this.#hub = new HubConnection({ address, tls, waitMs, clock, random });
    this.#parts = { clock, random, pool: new WorkerPool(threads), memoryBytes, cacheDir };
  }

  async push(options: PushOptions): Promise<PushResult> {
    const { push } = await import("../dataset/push/push.ts");
    const name = options.tags[0]?.name ?? ("" as DatasetName);
    const ingest = new HubIngest(this.#hub, (storeId) => this.#openSent(storeId));
    return await push({ ...this.#engine(name), ingest }, options);
  }

  async #openSent(storeId: string): Promise<SentChunks | undefined> {
    const { cacheDir, ...parts } = this.#parts;
    const bytesMax = this.#sentBytesMax;
    if (cacheDir === undefined || bytesMax === 0) return undefined;
    const { SentChunks } = await import("./hub/sent-chunks.ts");
    return await SentChunks.open({ ...parts, cacheDir, hub: this.#hub.name, storeId, bytesMax });
  }

  async pull(options: PullOptions): Promise<PullResult> {
    const { pull } = await import("../dataset/pull/pull.ts");
    return await pull(this.#engine(options.name), options);
  }

  async resolve({ name, tag = "" as Tag, digest }: Reference, options: CallOptions = {}): Promise<Resolved> {
    const request = { name, tag, digest: digest === undefined ? "" : formatDigest(digest) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.resolve(request, call));
    return reading(this.#hub.hub, () => resolvedOf(answer));
  }

  listDatasets(options: CallOptions = {}): AsyncIterable<DatasetName> {
    return pages(async (pageToken) => {
      const request = { pageToken };
      const answer = await this.#call(options, (call) => this.#hub.catalog.listDatasets(request, call));
      const items = reading(this.#hub.hub, () => answer.names.map(parseDatasetName));
      return { items, next: answer.nextPageToken };
    });
  }

  listTags(name: DatasetName, options: CallOptions = {}): AsyncIterable<TagPointer> {
    return pages(async (pageToken) => {
      const request = { name, pageToken };
      const answer = await this.#call(options, (call) => this.#hub.catalog.listTags(request, call));
      const items = reading(this.#hub.hub, () => answer.tags.map(pointerOf));
      return { items, next: answer.nextPageToken };
    });
  }

  history(name: DatasetName, tag: Tag, options: CallOptions = {}): AsyncIterable<HistoryRecord> {
    return pages(async (pageToken) => {
      const request = { name, tag, pageToken };
      const answer = await this.#call(options, (call) => this.#hub.catalog.listHistory(request, call));
      const items = reading(this.#hub.hub, () => answer.entries.map(recordOf));
      return { items, next: answer.nextPageToken };
    });
  }

  async openVersion(name: DatasetName, digest: Digest, options: CallOptions = {}): Promise<Version> {
    const engine = this.#engine(name);
    const version = await openVersion(engine, digest, options);
    this.#engines.set(version, engine);
    return version;
  }

  cat(version: Version, path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
    return cat(must(this.#engines.get(version), "this client opened the version"), version, path, range);
  }

  async diff(from: VersionName, to: VersionName, options?: OperationOptions): Promise<DiffResult> {
    const { diffVersions } = await import("../dataset/diff.ts");
    const engine = this.#engine(from.name);
    const both =
      from.name === to.name
        ? engine
        : { ...engine, store: eitherStore(engine.store, hubStore(this.#hub, to.name)) };
    return await diffVersions(both, from.version, to.version, options);
  }

  async verify(name: DatasetName, version: Digest, options?: OperationOptions): Promise<VerifyResult> {
    const { verifyVersion } = await import("../dataset/verify.ts");
    return await verifyVersion(this.#engine(name), version, options);
  }

  async analyze(options: AnalyzeOptions): Promise<AnalyzeResult> {
    const { analyze } = await import("../dataset/analyze/analyze.ts");
    const { name, input } = await analyzeInput(this, options);
    return await analyze(this.#engine(name ?? ("" as DatasetName)), input);
  }

  async tag(
    target: TagReference,
    source: Reference,
    annotations: Annotations,
    options: CallOptions = {},
  ): Promise<TagCommit> {
    const { name, tag } = target;
    const from =
      source.digest === undefined
        ? { fromTag: source.tag ?? "latest" }
        : { digest: formatDigest(source.digest) };
    const request = { name, tag, fromName: source.name, ...from, annotations: this.#says(annotations) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.setTag(request, call));
    return reading(this.#hub.hub, () => commitOf(answer));
  }

  async rollback(
    { name, tag }: TagReference,
    { number = 0, digest }: RollbackTarget,
    annotations: Annotations,
    options: CallOptions = {},
  ): Promise<TagCommit> {
    const to = { number: BigInt(number), digest: digest === undefined ? "" : formatDigest(digest) };
    const request = { name, tag, ...to, annotations: this.#says(annotations) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.rollback(request, call));
    return reading(this.#hub.hub, () => commitOf(answer));
  }

  async removeTag(
    { name, tag }: TagReference,
    annotations: Annotations,
    options: CallOptions = {},
  ): Promise<TagCommit> {
    const request = { name, tag, annotations: this.#says(annotations) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.deleteTag(request, call));
    return reading(this.#hub.hub, () => commitOf(answer));
  }

  async dataset(name: DatasetName, options: CallOptions = {}): Promise<DatasetRecord> {
    const answer = await this.#call(options, (call) => this.#hub.catalog.getDataset({ name }, call));
    return reading(this.#hub.hub, () => datasetRecordOf(answer));
  }

  async updateDataset(
    name: DatasetName,
    settings: DatasetSettings,
    options: CallOptions = {},
  ): Promise<DatasetRecord> {
    const request = { name, settings: settingsMessageOf(settings) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.updateDataset(request, call));
    return reading(this.#hub.hub, () => datasetRecordOf(answer));
  }

  async reviewRetention(
    name: DatasetName,
    settings: DatasetSettings = {},
    options: CallOptions = {},
  ): Promise<RetentionReview> {
    const request = { name, settings: settingsMessageOf(settings) };
    const answer = await this.#call(options, (call) => this.#hub.catalog.reviewRetention(request, call));
    return reading(this.#hub.hub, () => reviewOf(answer));
  }

  async deleteDataset(
    name: DatasetName,
    publisher: string,
    options: CallOptions = {},
  ): Promise<DatasetChange> {
    const request = { name, publisher };
    const answer = await this.#call(options, (call) => this.#hub.catalog.deleteDataset(request, call));
    return reading(this.#hub.hub, () => datasetChangeOf(answer));
  }

  async undeleteDataset(name: DatasetName, options: CallOptions = {}): Promise<DatasetChange> {
    const answer = await this.#call(options, (call) => this.#hub.catalog.undeleteDataset({ name }, call));
    return reading(this.#hub.hub, () => datasetChangeOf(answer));
  }

  copyEngine(name: DatasetName): PushEngine {
    // What was copied serves no push of this machine.
    const ingest = new HubIngest(this.#hub, () => Promise.resolve(undefined));
    return { ...this.#engine(name), ingest };
  }

  watch(name: DatasetName, options: WatchOptions = {}): AsyncIterable<EventRecord> {
    return watchHub(this.#hub, name, options);
  }

  prune(options: PruneSettings = {}): Promise<PruneResult> {
    return pruneHub(this.#hub, options);
  }

  async close(): Promise<void> {
    await this.#parts.pool.close();
    await this.#hub.close();
  }

  #engine(name: DatasetName): ReadEngine {
    return { ...this.#parts, store: hubStore(this.#hub, name) };
  }

  #call<T>({ signal }: CallOptions, work: (call: { signal?: AbortSignal }) => Promise<T>): Promise<T> {
    return this.#hub.call(signal, () => work(signal === undefined ? {} : { signal }));
  }

  /** The write id stays the same when the call is made again. */
  #says({ publisher, message, labels }: Annotations) {
    return { publisher, message, labels: { ...labels }, writeId: this.#parts.random.id() };
  }
}
