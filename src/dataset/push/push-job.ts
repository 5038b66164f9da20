/**
 * One run through a source. Three stages work at the same time, in stream order: the source's thread walks, reads, hashes
 * and cuts; the pool's threads compress what is new; the session packs and stores.
 */
import { must } from "../../base/assert.ts";
import { Channel } from "../../base/channel.ts";
import { digestFromHex, type Digest } from "../../format/digest.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { DEFAULT_COMPRESSION_LEVEL } from "../../format/frame.ts";
import type { FileTime } from "../../format/entry.ts";
import type { ChunkItem, TimelessEntry } from "../../format/page.ts";
import { Segmenter } from "../../format/segment.ts";
import type { Progress, PushOptions, PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { ManifestWriter } from "./manifest-writer.ts";
import { sameFiles, type OldSegment, type Reference } from "./reference.ts";
import { SegmentPush, type SpanResult } from "./segment-push.ts";
import { SlotPool } from "./slots.ts";
import { Source, fileTime, type SourceEntry } from "./source.ts";
import { WalkAhead } from "./walk-ahead.ts";

export interface PushJobOptions extends PushOptions {
  readonly chunking: ChunkingParameters;
  readonly reference: Reference | undefined;
  /** Where the stat cache lies, when there is one. */
  readonly statCache: string | undefined;
}

/** What goes from the reading stages to the storing one, in stream order. */
type Item =
  | { readonly kind: "entry"; readonly entry: TimelessEntry; readonly mtime: FileTime }
  | { readonly kind: "known"; readonly chunks: readonly ChunkItem[] }
  | { readonly kind: "restart" }
  | { readonly kind: "span"; readonly span: Promise<SpanResult> };

/** Items that wait for the storing stage at most; spans are bounded by the slots. */
const QUEUE_MAX = 4096;
const PROGRESS_INTERVAL_MS = 50;

export class PushJob {
  readonly #engine: Engine;
  readonly #session: IngestSession;
  readonly #options: PushJobOptions;
  readonly #slots: SlotPool;
  readonly #source: Source;
  readonly #walk: WalkAhead;
  readonly #manifest: ManifestWriter;
  readonly #queue = new Channel<Item>(QUEUE_MAX);
  readonly #counts = { chunks: 0, newChunks: 0, newBytes: 0, readBytes: 0, reusedBytes: 0 };
  #progressMs = 0;

  constructor(engine: Engine, session: IngestSession, options: PushJobOptions) {
    const { chunking, reference, statCache, exclude = [], skipUnreadable = false } = options;
    this.#engine = engine;
    this.#session = session;
    this.#options = options;
    this.#slots = new SlotPool(chunking, engine.memoryBytes, engine.pool.threads);
    this.#source = new Source({
      source: options.source,
      exclude,
      skipUnreadable,
      chunking,
      memory: this.#slots.memory,
      statCache: {
        read: reference?.isStatCacheValid === true ? statCache : undefined,
        write: options.dryRun === true ? undefined : statCache,
        id: engine.random.id(),
      },
    });
    this.#walk = new WalkAhead(this.#source);
    this.#manifest = new ManifestWriter(chunking, session);
  }

  /** Runs to the end. Errors: as push(). */
  async run(): Promise<Omit<PushResult, "seconds">> {
    const reading = this.#read().then(
      () => {
        this.#queue.close();
      },
      (error: unknown) => {
        this.#queue.fail(error);
      },
    );
    try {
      await this.#store();
    } catch (error) {
      this.#queue.fail(error);
      throw error;
    } finally {
      await reading;
    }
    return this.#publish();
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  get #call(): { signal?: AbortSignal } {
    const { signal } = this.#options;
    return signal === undefined ? {} : { signal };
  }

  /** The reading stages: entries in order, their segments laid and scanned. */
  async #read(): Promise<void> {
    const segmenter = new Segmenter(this.#options.chunking.averageBytes);
    let held: SourceEntry[] = [];
    let files: SourceEntry[] = [];
    for await (const batch of this.#walk.batches()) {
      this.#options.signal?.throwIfAborted();
      for (const entry of batch) {
        const hasBytes = entry.kind === "file" && entry.size > 0;
        if (hasBytes && segmenter.next(entry.path, entry.size) && files.length > 0) {
          await this.#readSegment(held, files);
          held = [];
          files = [];
        }
        if (hasBytes) files.push(entry);
        if (files.length > 0) held.push(entry);
        else await this.#send(bodilessItem(entry));
      }
    }
    await this.#readSegment(held, files);
  }

  /** `held`: the segment's files and the entries between and after them, in order. */
  async #readSegment(held: readonly SourceEntry[], files: readonly SourceEntry[]): Promise<void> {
    const first = files[0];
    const last = files.at(-1);
    if (first === undefined || last === undefined) return;
    const { reference } = this.#options;
    const old = (await reference?.overlapping(first.path, last.path)) ?? [];
    const same = old.length === 1 ? old[0] : undefined;
    const isKnown = same !== undefined && files.every((file) => file.unchanged) && sameFiles(files, same);
    const digests = isKnown ? await this.#reuse(same) : await this.#scan(files, old);
    let index = 0;
    for (const entry of held) {
      const scanned = entry === files[index] ? digests[index++] : undefined;
      await this.#send(scanned === undefined ? bodilessItem(entry) : fileItem(entry, scanned));
    }
  }

  /** Takes an unchanged segment from the reference. */
  async #reuse(old: OldSegment): Promise<readonly FileContent[]> {
    const reference = must(this.#options.reference, "an old segment comes from the reference");
    for await (const chunks of reference.chunkBatches(old.start, old.end)) {
      await this.#send({ kind: "known", chunks });
    }
    this.#counts.reusedBytes += old.end - old.start;
    this.#counts.readBytes += old.end - old.start;
    this.#report("read");
    return old.files;
  }

  /** Reads, cuts and encodes a segment. */
  async #scan(files: readonly SourceEntry[], old: readonly OldSegment[]): Promise<FileContent[]> {
    const { reference, compressionLevel, dryRun, signal } = this.#options;
    const segment = new SegmentPush(this.#engine.pool, this.#session, {
      memory: this.#slots.memory,
      level: compressionLevel ?? DEFAULT_COMPRESSION_LEVEL,
      reference,
      dryRun: dryRun === true,
      signal,
    });
    await segment.open(old);
    await this.#source.open(files.map(({ path, size }) => ({ path, size })));
    const contents: FileContent[] = [];
    for (let done = false; !done; ) {
      const slot = await this.#slots.acquire();
      const span = await this.#source.scan(slot.start, slot.end).catch((error: unknown) => {
        this.#slots.release(slot);
        throw error;
      });
      if (span.restarted) {
        this.#slots.release(slot);
        await segment.open(old);
        await this.#send({ kind: "restart" });
        continue;
      }
      for (const file of span.files) {
        const digest = must(digestFromHex(file.digest), "a digest is 64 hex digits");
        contents.push({ ...file, digest });
      }
      this.#counts.readBytes += (span.chunkEnds.at(-1) ?? slot.start) - slot.start;
      const result = segment.push(slot.start, span).finally(() => {
        this.#slots.release(slot);
      });
      result.catch(() => undefined); // the storing stage hears of it
      await this.#send({ kind: "span", span: result });
      this.#report("read");
      done = span.done;
    }
    return contents;
  }

  #send(item: Item): Promise<void> {
    return this.#queue.send(item);
  }

  /** The storing stage. */
  async #store(): Promise<void> {
    /** Chunks of the segment under way: void if its file turns out to have changed. */
    let chunks: ChunkItem[] = [];
    for await (const item of this.#queue) {
      if (item.kind === "restart") chunks = [];
      else if (item.kind === "known") chunks.push(...item.chunks);
      else if (item.kind === "span") {
        const span = await item.span;
        chunks.push(...span.chunks);
        this.#count(span);
        await this.#session.put(span.frames, this.#call);
      } else {
        for (const chunk of chunks) this.#manifest.addChunk(chunk);
        this.#counts.chunks += chunks.length;
        chunks = [];
        this.#manifest.addEntry(item.entry, item.mtime);
      }
      await this.#manifest.drain(this.#call);
    }
  }

  #count(span: SpanResult): void {
    this.#counts.newChunks += span.newChunks;
    this.#counts.newBytes += span.newBytes;
    this.#counts.reusedBytes += span.bytes - span.newBytes;
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

/** What a file turned out to be when it was read, or is known to be. */
interface FileContent {
  readonly size: number;
  readonly digest: Digest;
  readonly mode?: number;
  readonly mtimeNs?: bigint;
}

/** The digest of no bytes. */
const EMPTY_DIGEST = must(
  digestFromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  "64 hex digits",
);

function bodilessItem(entry: SourceEntry): Item {
  const { path, kind, mode, mtime, target } = entry;
  if (kind === "symlink") return { kind: "entry", entry: { path, kind, mode, target }, mtime };
  if (kind === "directory") return { kind: "entry", entry: { path, kind, mode }, mtime };
  return { kind: "entry", entry: { path, kind, mode, size: 0, digest: EMPTY_DIGEST }, mtime };
}

function fileItem(entry: SourceEntry, content: FileContent): Item {
  const { path } = entry;
  const { size, digest } = content;
  const mode = content.mode ?? entry.mode;
  const mtime = content.mtimeNs === undefined ? entry.mtime : fileTime(content.mtimeNs);
  return { kind: "entry", entry: { path, kind: "file", mode, size, digest }, mtime };
}
