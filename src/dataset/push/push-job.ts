/**
 * One run through a source. Stages work at the same time, in stream order: the walk lays segments; the source's thread
 * reads, hashes and cuts them; the pool's threads compress what is new; the session packs and stores.
 */
import { must } from "../../base/assert.ts";
import { Channel } from "../../base/channel.ts";
import { digestFromHex, type Digest } from "../../format/digest.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { DEFAULT_COMPRESSION_LEVEL } from "../../format/frame.ts";
import type { ChunkItem, TimelessEntry } from "../../format/page.ts";
import { Segmenter } from "../../format/segment.ts";
import type { Progress, PushOptions, PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { EncodeStage } from "./encode-stage.ts";
import { ManifestWriter } from "./manifest-writer.ts";
import { sameFiles, type OldSegment, type Reference } from "./reference.ts";
import { ScanStage } from "./scan-stage.ts";
import { SegmentPush, type PieceResult } from "./segment-push.ts";
import { SlotPool } from "./slots.ts";
import { Source, fileTime, type SourceEntry } from "./source.ts";
import { WalkAhead } from "./walk-ahead.ts";

export interface PushJobOptions extends PushOptions {
  readonly chunking: ChunkingParameters;
  readonly reference: Reference | undefined;
  /** Where the stat cache lies, when there is one. */
  readonly statCache: string | undefined;
}

/** What a file turned out to be when it was read, or is known to be. */
interface FileContent {
  readonly size: number;
  readonly digest: Digest;
  readonly mode?: number;
  readonly mtimeNs?: bigint;
}

/** What goes from the laying stage to the storing one, in stream order. */
type Item =
  | { readonly kind: "entry"; readonly entry: SourceEntry }
  | { readonly kind: "known"; readonly old: OldSegment; readonly held: readonly SourceEntry[] }
  | { readonly kind: "scan"; readonly segment: SegmentPush; readonly held: readonly SourceEntry[] };

/** Items that wait for the storing stage at most. */
const QUEUE_MAX = 1024;
const PROGRESS_INTERVAL_MS = 50;

export class PushJob {
  readonly #engine: Engine;
  readonly #session: IngestSession;
  readonly #options: PushJobOptions;
  readonly #source: Source;
  readonly #walk: WalkAhead;
  readonly #scan: ScanStage;
  readonly #manifest: ManifestWriter;
  readonly #queue = new Channel<Item>(QUEUE_MAX);
  readonly #counts = { chunks: 0, newChunks: 0, newBytes: 0, readBytes: 0, reusedBytes: 0 };
  #segments = 0;
  #progressMs = 0;

  constructor(engine: Engine, session: IngestSession, options: PushJobOptions) {
    const { chunking, reference, statCache, signal } = options;
    this.#engine = engine;
    this.#session = session;
    this.#options = options;
    const slots = new SlotPool(chunking, engine.memoryBytes, engine.pool.threads);
    this.#source = new Source({
      source: options.source,
      exclude: options.exclude ?? [],
      skipUnreadable: options.skipUnreadable ?? false,
      chunking,
      memory: slots.memory,
      statCache: {
        read: reference?.isStatCacheValid === true ? statCache : undefined,
        write: options.dryRun === true ? undefined : statCache,
        id: engine.random.id(),
      },
    });
    this.#walk = new WalkAhead(this.#source);
    const encode = new EncodeStage(engine.pool, slots.memory, this.#level, signal);
    this.#scan = new ScanStage(this.#source, slots, encode, (bytes) => {
      this.#counts.readBytes += bytes;
      this.#report("read");
    });
    this.#manifest = new ManifestWriter(chunking, session);
  }

  /** Runs to the end. Errors: as push(). */
  async run(): Promise<Omit<PushResult, "seconds">> {
    const stages = [this.#lay(), this.#scan.run(), this.#store()];
    for (const stage of stages) {
      stage.catch((error: unknown) => {
        this.#queue.fail(error);
        this.#scan.fail(error);
        this.#walk.fail(error);
      });
    }
    // All of them: nothing may go on in the background when an error is reported.
    const outcomes = await Promise.allSettled(stages);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    return this.#publish();
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  get #level(): number {
    return this.#options.compressionLevel ?? DEFAULT_COMPRESSION_LEVEL;
  }

  get #call(): { signal?: AbortSignal } {
    const { signal } = this.#options;
    return signal === undefined ? {} : { signal };
  }

  /** The laying stage: entries in order, gathered into segments. */
  async #lay(): Promise<void> {
    const segmenter = new Segmenter(this.#options.chunking.averageBytes);
    let held: SourceEntry[] = [];
    let files: SourceEntry[] = [];
    for await (const batch of this.#walk.batches()) {
      this.#options.signal?.throwIfAborted();
      for (const entry of batch) {
        const hasBytes = entry.kind === "file" && entry.size > 0;
        if (hasBytes && segmenter.next(entry.path, entry.size) && files.length > 0) {
          await this.#laySegment(held, files);
          held = [];
          files = [];
        }
        if (hasBytes) files.push(entry);
        if (files.length > 0) held.push(entry);
        else await this.#queue.send({ kind: "entry", entry });
      }
    }
    await this.#laySegment(held, files);
    this.#scan.complete();
    this.#queue.close();
  }

  /** `held`: the segment's files and the entries between and after them, in order. */
  async #laySegment(held: readonly SourceEntry[], files: readonly SourceEntry[]): Promise<void> {
    const first = files[0];
    const last = files.at(-1);
    if (first === undefined || last === undefined) return;
    const { reference, signal } = this.#options;
    const old = (await reference?.overlapping(first.path, last.path)) ?? [];
    const same = old.length === 1 ? old[0] : undefined;
    if (same !== undefined && files.every((file) => file.unchanged) && sameFiles(files, same)) {
      await this.#queue.send({ kind: "known", old: same, held });
      return;
    }
    const id = this.#segments++;
    const segment = new SegmentPush(this.#session, { id, files, old, reference, level: this.#level, signal });
    await this.#scan.add(segment);
    await this.#queue.send({ kind: "scan", segment, held });
  }

  /** The storing stage. */
  async #store(): Promise<void> {
    for await (const item of this.#queue) {
      if (item.kind === "entry") this.#addEntry(item.entry, undefined);
      else if (item.kind === "known") await this.#storeKnown(item.old, item.held);
      else await this.#storeScanned(item.segment, item.held);
      await this.#manifest.drain(this.#call);
    }
  }

  /** Takes an unchanged segment from the reference. */
  async #storeKnown(old: OldSegment, held: readonly SourceEntry[]): Promise<void> {
    const reference = must(this.#options.reference, "an old segment comes from the reference");
    for await (const chunks of reference.chunkBatches(old.start, old.end)) {
      for (const chunk of chunks) this.#addChunk(chunk);
      await this.#manifest.drain(this.#call);
    }
    this.#counts.reusedBytes += old.end - old.start;
    this.#counts.readBytes += old.end - old.start;
    this.#addHeld(held, old.files);
    this.#report("read");
  }

  async #storeScanned(segment: SegmentPush, held: readonly SourceEntry[]): Promise<void> {
    // Chunks wait for the segment's end: they are void if its file turns out to have changed.
    let chunks: ChunkItem[] = [];
    let contents: FileContent[] = [];
    for await (const event of segment.events) {
      if (event.kind === "restart") {
        chunks = [];
        contents = [];
        continue;
      }
      const result = await event.result;
      for (const chunk of result.chunks) chunks.push(chunk);
      for (const file of event.piece.files) {
        contents.push({ ...file, digest: must(digestFromHex(file.digest), "a digest is 64 hex digits") });
      }
      this.#count(result);
      await this.#session.put(result.frames, this.#call);
      event.release();
    }
    for (const chunk of chunks) this.#addChunk(chunk);
    this.#addHeld(held, contents);
  }

  #addHeld(held: readonly SourceEntry[], contents: readonly FileContent[]): void {
    let index = 0;
    for (const entry of held) {
      const hasBytes = entry.kind === "file" && entry.size > 0;
      this.#addEntry(
        entry,
        hasBytes ? must(contents[index++], "each file of a segment was read") : undefined,
      );
    }
  }

  #addChunk(chunk: ChunkItem): void {
    this.#manifest.addChunk(chunk);
    this.#counts.chunks++;
  }

  #addEntry(entry: SourceEntry, content: FileContent | undefined): void {
    const mtime = content?.mtimeNs === undefined ? entry.mtime : fileTime(content.mtimeNs);
    this.#manifest.addEntry(timelessEntry(entry, content), mtime);
  }

  #count(piece: PieceResult): void {
    this.#counts.newChunks += piece.newChunks;
    this.#counts.newBytes += piece.newBytes;
    this.#counts.reusedBytes += piece.bytes - piece.newBytes;
  }

  async #publish(): Promise<Omit<PushResult, "seconds">> {
    this.#report("publish", true);
    const { tags, publisher, message = "", labels = {}, reference } = this.#options;
    const { root, rootBytes, inlinePages } = await this.#manifest.finish(this.#call);
    const base = inlinePages.length === 0 ? undefined : await reference?.manifestBase();
    const publication = { root: rootBytes, inlinePages, base, tags, publisher, message, labels };
    const { version, moved, totals } = await this.#session.publish(publication, this.#call);
    if (this.#options.dryRun !== true) await this.#source.commit(version);
    const { chunks, newChunks, newBytes } = this.#counts;
    return {
      digest: version,
      files: root.files,
      bytes: root.bytes,
      chunks,
      newChunks,
      newBytes,
      sentBytes: totals.storedBytes,
      storedBytes: totals.storedBytes,
      manifestBytes: totals.manifestBytes,
      skipped: this.#walk.skipped,
      moved,
    };
  }

  #report(phase: Progress["phase"], always = false): void {
    const { onProgress } = this.#options;
    const nowMs = this.#engine.clock.elapsedMs();
    if (onProgress === undefined || (!always && nowMs - this.#progressMs < PROGRESS_INTERVAL_MS)) return;
    this.#progressMs = nowMs;
    const { readBytes, reusedBytes } = this.#counts;
    const { files } = this.#manifest.counts;
    onProgress({ phase, files, bytes: readBytes, totalBytes: this.#walk.totalBytes, reusedBytes });
  }
}

/** The digest of no bytes. */
const EMPTY_DIGEST = must(
  digestFromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  "64 hex digits",
);

function timelessEntry(entry: SourceEntry, content: FileContent | undefined): TimelessEntry {
  const { path, kind, target } = entry;
  const mode = content?.mode ?? entry.mode;
  if (kind === "symlink") return { path, kind, mode, target };
  if (kind === "directory") return { path, kind, mode };
  return { path, kind, mode, size: content?.size ?? 0, digest: content?.digest ?? EMPTY_DIGEST };
}
