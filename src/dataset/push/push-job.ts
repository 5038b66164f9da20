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
import type { Progress, PushOptions, PushResult } from "../contract.ts";
import type { ReadEngine } from "../engine.ts";
import type { IngestSession, PushAttempt } from "../ingest/ingest.ts";
import type { Archive } from "./archive/archive.ts";
import { EncodeStage } from "./encode-stage.ts";
import { ManifestWriter } from "./manifest-writer.ts";
import { LayStage, entriesOf, hasBytes, type Item } from "./lay-stage.ts";
import type { OldSegment, Reference } from "./reference.ts";
import { PageStage } from "./page-stage.ts";
import { ScanStage } from "./scan-stage.ts";
import type { PieceResult } from "./segment-push.ts";
import { SlotPool } from "./slots.ts";
import { Source, type SourceEntry } from "./source.ts";
import { changed, fileTime } from "./walk.ts";
import { WalkAhead } from "./walk-ahead.ts";

/** What a job is about. */
export interface PushJobOptions extends PushOptions {
  readonly chunking: ChunkingParameters;
  readonly reference: Reference | undefined;
  /** Where the stat cache lies, when there is one. */
  readonly statCache: string | undefined;
  /** The source, when it is an archive. */
  readonly archive: Archive | undefined;
  /** Of which push it is a try. */
  readonly attempt?: PushAttempt;
}

/** What a file turned out to be when it was read, or is known to be. */
interface FileContent {
  readonly size: number;
  readonly digest: Digest;
  readonly mode?: number;
  readonly mtimeNs?: bigint;
}

/** Entries that wait for the storing stage at most: as many again as the walk is ahead. */
const QUEUE_ENTRIES_MAX = 1 << 16;
/** Chunks of a file that wait for its end at most, in case it changes while it is read. */
const CHUNKS_HELD_MAX = 1 << 16;
const PROGRESS_INTERVAL_MS = 50;

/** One run: run() once, then close(). */
export class PushJob {
  readonly #engine: ReadEngine;
  readonly #session: IngestSession;
  readonly #options: PushJobOptions;
  readonly #source: Source;
  readonly #walk: WalkAhead;
  readonly #scan: ScanStage;
  readonly #manifest: ManifestWriter;
  readonly #queue = new Channel<Item>(QUEUE_ENTRIES_MAX, entriesOf);
  readonly #counts = { chunks: 0, newChunks: 0, newBytes: 0, plainBytes: 0, readBytes: 0, reusedBytes: 0 };
  #progressMs = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(engine: ReadEngine, session: IngestSession, options: PushJobOptions) {
    const { chunking, reference, statCache, signal, archive } = options;
    this.#engine = engine;
    this.#session = session;
    this.#options = options;
    const slots = new SlotPool(chunking, engine.memoryBytes, engine.pool.threads);
    this.#source = new Source({
      source: archive?.files ?? options.source,
      exclude: options.exclude ?? [],
      skipUnreadable: options.skipUnreadable ?? false,
      chunking,
      memory: slots.memory,
      statCache: {
        read:
          reference?.isStatCacheValid === true && statCache !== undefined
            ? { file: statCache, version: reference.version.digest }
            : undefined,
        write: options.dryRun === true ? undefined : statCache,
        id: engine.random.id(),
      },
    });
    this.#walk = new WalkAhead(this.#source);
    const { pool } = engine;
    const { memory } = slots;
    const encode = new EncodeStage({
      session,
      pool,
      memory,
      level: this.#level,
      isUpdate: reference !== undefined,
      signal,
    });
    this.#scan = new ScanStage(this.#source, slots, encode, (bytes) => {
      this.#counts.readBytes += bytes;
      this.#report("read");
    });
    const pages = new PageStage(engine, session, reference?.version);
    this.#manifest = new ManifestWriter(chunking, pages);
  }

  /** Runs to the end. Errors: as push(). */
  async run(): Promise<Omit<PushResult, "seconds">> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const onAbort = (): void => {
      this.#fail(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort);
    const stages = [this.#lay(), this.#scan.run(), this.#store()];
    for (const stage of stages) {
      stage.catch((error: unknown) => {
        this.#fail(error);
      });
    }
    // All of them: nothing may go on in the background when an error is reported.
    await Promise.allSettled(stages);
    signal?.removeEventListener("abort", onAbort);
    if (this.#failure !== undefined) throw this.#failure.error as Error;
    return this.#publish();
  }

  /** Ends all stages; of several errors the first is the one that is reported. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#queue.fail(error);
    this.#scan.fail(error);
    this.#walk.fail(error);
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

  #lay(): Promise<void> {
    const { chunking, reference, signal } = this.#options;
    return new LayStage({
      averageBytes: chunking.averageBytes,
      walk: this.#walk,
      scan: this.#scan,
      session: this.#session,
      queue: this.#queue,
      reference,
      level: this.#level,
      signal,
    }).run();
  }

  /** The storing stage. */
  async #store(): Promise<void> {
    for await (const item of this.#queue) {
      if (item.kind === "entry") this.#addEntry(item.entry, undefined);
      else if (item.kind === "known") await this.#storeKnown(item.old, item.held);
      else await this.#storeScanned(item);
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

  async #storeScanned({ segment, held, continues }: Item & { kind: "scan" }): Promise<void> {
    const wanted = continues ? held.filter(hasBytes).length : Infinity;
    // Chunks wait for the segment's end: they are void if its file turns out to have changed.
    let chunks: ChunkItem[] = [];
    let contents: FileContent[] = [];
    let isPartAdded = false;
    for await (const event of segment.events) {
      if (event.kind === "restart") {
        if (isPartAdded) throw changed(held.find(hasBytes)?.path ?? "");
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
      if (contents.length === wanted) break;
      if (chunks.length < CHUNKS_HELD_MAX) continue;
      await this.#addChunks(chunks.splice(0));
      isPartAdded = true;
    }
    await this.#addChunks(chunks);
    this.#addHeld(held, contents);
  }

  async #addChunks(chunks: readonly ChunkItem[]): Promise<void> {
    for (const chunk of chunks) this.#addChunk(chunk);
    await this.#manifest.drain(this.#call);
  }

  #addHeld(held: readonly SourceEntry[], contents: readonly FileContent[]): void {
    let index = 0;
    for (const entry of held) {
      this.#addEntry(
        entry,
        hasBytes(entry) ? must(contents[index++], "each file of a segment was read") : undefined,
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
    this.#counts.plainBytes += piece.plainBytes;
    this.#counts.reusedBytes += piece.bytes - piece.newBytes;
  }

  async #publish(): Promise<Omit<PushResult, "seconds">> {
    this.#report("publish", true);
    const { tags, publisher, message = "", labels = {}, reference, attempt } = this.#options;
    const { root, rootBytes, inlinePages } = await this.#manifest.finish(this.#call);
    const base = inlinePages.length === 0 ? undefined : await reference?.manifestBase();
    const publication = { root: rootBytes, inlinePages, base, tags, publisher, message, labels, attempt };
    const { version, moved, totals } = await this.#session.publish(publication, this.#call);
    if (this.#options.dryRun !== true) await this.#source.commit(version);
    const { chunks, newChunks, newBytes, plainBytes } = this.#counts;
    return {
      digest: version,
      files: root.files,
      bytes: root.bytes,
      chunks,
      newChunks,
      newBytes,
      plainBytes,
      sentBytes: totals.sentBytes,
      storedBytes: totals.storedBytes,
      manifestBytes: totals.manifestBytes,
      skipped: [...(this.#options.archive?.skipped ?? []), ...this.#walk.skipped],
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
