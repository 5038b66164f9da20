/** A client that works on a store itself. */
import type { ByteRange } from "../base/byte-range.ts";
import { SILENT_LOG } from "../base/log.ts";
import { openEngine, type LocalEngine, type LocalOptions } from "../daemon/local.ts";
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
import { updateDataset, type DatasetChange, type DatasetSettings } from "../dataset/dataset-settings.ts";
import { history, listDatasets, listTags, requireDataset, type TagPointer } from "../dataset/datasets.ts";
import { watchEvents } from "../dataset/events.ts";
import type { PushEngine } from "../dataset/engine.ts";
import { withCheckedIngest } from "../dataset/ingest/checked-ingest.ts";
import type { PruneResult } from "../dataset/prune/contract.ts";
import type { Pruner, PruneSettings } from "../dataset/prune/pruner.ts";
import { resolve, type Resolved } from "../dataset/resolve.ts";
import type { RetentionReview } from "../dataset/retention-review.ts";
import { removeTag, rollback, tagVersion } from "../dataset/tag-changes.ts";
import type { Annotations, TagCommit } from "../dataset/tags.ts";
import { openVersion, type Version } from "../dataset/version/version.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetRecord, EventRecord, HistoryRecord } from "../format/record.ts";
import type { DatasetName, Reference, Tag } from "../format/reference.ts";
import { isFar, type CallOptions } from "../store/block-store.ts";
import { analyzeInput } from "./analyze-input.ts";
import type { AnalyzeOptions, Client, RollbackTarget, VersionName, WatchOptions } from "./client.ts";

/** Opens a store for working on it without a hub. close() lets it go. Errors: those of openEngine. */
export async function openLocal(options: LocalOptions): Promise<Client> {
  return new LocalClient(await openEngine(options));
}

/** Loads an operation's modules when it is first asked for: a command needs one of them. */
class LocalClient implements Client {
  readonly #local: LocalEngine;
  #pruner: Pruner | undefined;

  constructor(local: LocalEngine) {
    this.#local = local;
  }

  async push(options: PushOptions): Promise<PushResult> {
    const { withLocalIngest } = await import("../dataset/ingest/local-ingest.ts");
    const { push } = await import("../dataset/push/push.ts");
    return await push(withLocalIngest(this.#local.engine), options);
  }

  async pull(options: PullOptions): Promise<PullResult> {
    const { pull } = await import("../dataset/pull/pull.ts");
    return await pull(this.#local.engine, options);
  }

  resolve(reference: Reference, options?: CallOptions): Promise<Resolved> {
    return resolve(this.#local.engine, reference, options);
  }

  listDatasets(options?: CallOptions): AsyncIterable<DatasetName> {
    return listDatasets(this.#local.engine, options);
  }

  listTags(name: DatasetName, options?: CallOptions): AsyncIterable<TagPointer> {
    return listTags(this.#local.engine, name, options);
  }

  history(name: DatasetName, tag: Tag, options?: CallOptions): AsyncIterable<HistoryRecord> {
    return history(this.#local.engine, name, tag, options);
  }

  openVersion(_name: DatasetName, version: Digest, options?: CallOptions): Promise<Version> {
    const { engine } = this.#local;
    return openVersion(engine, version, { ...options, isEager: isFar(engine.store.blocks.features) });
  }

  cat(version: Version, path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
    return cat(this.#local.engine, version, path, range);
  }

  async diff(from: VersionName, to: VersionName, options?: OperationOptions): Promise<DiffResult> {
    const { diffVersions } = await import("../dataset/diff.ts");
    return await diffVersions(this.#local.engine, from.version, to.version, options);
  }

  async verify(_name: DatasetName, version: Digest, options?: OperationOptions): Promise<VerifyResult> {
    const { verifyVersion } = await import("../dataset/verify.ts");
    return await verifyVersion(this.#local.engine, version, options);
  }

  async analyze(options: AnalyzeOptions): Promise<AnalyzeResult> {
    const { analyze } = await import("../dataset/analyze/analyze.ts");
    const { input } = await analyzeInput(this, options);
    return await analyze(this.#local.engine, input);
  }

  tag(
    target: TagReference,
    source: Reference,
    annotations: Annotations,
    options: CallOptions = {},
  ): Promise<TagCommit> {
    return tagVersion(this.#local.engine, source, target, { ...annotations, ...options });
  }

  rollback(
    target: TagReference,
    { number, digest }: RollbackTarget,
    annotations: Annotations,
    options: CallOptions = {},
  ): Promise<TagCommit> {
    const to = number ?? digest;
    const goal = to === undefined ? {} : { to };
    return rollback(this.#local.engine, target, { ...annotations, ...goal, ...options });
  }

  removeTag(target: TagReference, annotations: Annotations, options: CallOptions = {}): Promise<TagCommit> {
    return removeTag(this.#local.engine, target, { ...annotations, ...options });
  }

  dataset(name: DatasetName, options?: CallOptions): Promise<DatasetRecord> {
    return requireDataset(this.#local.engine, name, options);
  }

  updateDataset(name: DatasetName, settings: DatasetSettings, options?: CallOptions): Promise<DatasetRecord> {
    return updateDataset(this.#local.engine, name, settings, options);
  }

  async reviewRetention(
    name: DatasetName,
    settings: DatasetSettings = {},
    options?: CallOptions,
  ): Promise<RetentionReview> {
    const { reviewRetention } = await import("../dataset/retention-review.ts");
    return await reviewRetention(this.#local.engine, name, settings, options);
  }

  async deleteDataset(
    name: DatasetName,
    publisher: string,
    options: CallOptions = {},
  ): Promise<DatasetChange> {
    const { deleteDataset } = await import("../dataset/deletion.ts");
    return await deleteDataset(this.#local.engine, name, { publisher, ...options });
  }

  async undeleteDataset(name: DatasetName, options?: CallOptions): Promise<DatasetChange> {
    const { undeleteDataset } = await import("../dataset/deletion.ts");
    return await undeleteDataset(this.#local.engine, name, options);
  }

  copyEngine(): PushEngine {
    return withCheckedIngest(this.#local.engine);
  }

  watch(name: DatasetName, options?: WatchOptions): AsyncIterable<EventRecord> {
    return watchEvents(this.#local.engine, name, options);
  }

  async prune(options: PruneSettings = {}): Promise<PruneResult> {
    const { Pruner } = await import("../dataset/prune/pruner.ts");
    this.#pruner ??= new Pruner({ engine: this.#local.engine, log: SILENT_LOG });
    return await this.#pruner.run("client", options);
  }

  close(): Promise<void> {
    return this.#local.close();
  }
}
