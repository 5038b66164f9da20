/** The chunks of a version on their way to another place: frames are moved as they lie where the target can take them so. */
import { must } from "../../base/assert.ts";
import type { Digest } from "../../format/digest.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { sumLengths } from "../ingest/based-runs.ts";
import { encodeRun } from "../ingest/encode-run.ts";
import type { IngestFrame, IngestSession } from "../ingest/ingest.ts";
import { fetchFrames } from "../version/block-ranges.ts";
import { ChunkReader, UNIT_BYTES } from "../version/chunk-reader.ts";
import { placeChunk, spansOf, type ChunkSpan } from "../version/chunks.ts";
import { walkLeaves } from "../version/leaves.ts";
import { inlineChunks } from "../version/load-plan.ts";
import { mapAhead } from "../version/read-ahead.ts";
import type { PlacedChunk } from "../version/unit.ts";
import { topRef, type Version } from "../version/version.ts";
import { MovedFrames, type MovedFrame } from "./moved-frames.ts";

/** Chunks of one batch at most: of 4 KiB ones there are many. */
const BATCH_CHUNKS_MAX = 1024;
/** Batches under way at most. */
const BATCHES_AHEAD = 2;
/** Delta frames that are remembered as moved. */
const MOVED_KEPT_MAX = 1 << 16;

/** Chunks that are copied together. */
interface Batch {
  readonly spans: readonly ChunkSpan[];
  /** What each leaf of these chunks names. */
  readonly leaves: ReadonlyMap<Digest, readonly ChunkSpan[]>;
}

/** A batch that was fetched. */
interface FetchedBatch {
  readonly frames: readonly IngestFrame[];
  /** Where it ends in the stream. */
  readonly end: number;
  /** Bytes of chunks that the target lacked. */
  readonly newBytes: number;
}

/** What a copy of chunks works with. */
export interface ChunkCopyParts {
  /** Reads the version. */
  readonly source: ReadEngine;
  readonly version: Version;
  readonly session: IngestSession;
  /** Decodes everything here, and moves nothing as it lies: what is damaged is found before it is sent. */
  readonly decodesAll: boolean;
  /** `end`: how far in the stream. */
  readonly onBatch: (end: number, newBytes: number) => void;
}

/** Copies the chunks of one version. */
export class ChunkCopy {
  readonly #parts: ChunkCopyParts;
  readonly #reader: ChunkReader;
  readonly #moved: MovedFrames;
  /** Delta frames by their places: whether they are moved whole, with chunks that come later in the stream. */
  readonly #decided = new Map<string, Promise<MovedFrame | undefined>>();
  /** Of a version whose pages lie with its root, what its plan is about. */
  readonly #inline: readonly ChunkItem[];

  constructor(parts: ChunkCopyParts) {
    const { source, version, session } = parts;
    this.#parts = parts;
    this.#reader = new ChunkReader(source, version);
    this.#moved = new MovedFrames(session, source.store.blocks);
    this.#inline = version.bundle.pages.length > 0 ? inlineChunks(version.bundle) : [];
  }

  /**
   * Puts what the target lacks, in the order of the stream; what lies below `held` pages is there. Errors: those of reading
   * the source, and of the session.
   */
  async run(held: ReadonlySet<Digest>, options: CallOptions): Promise<void> {
    const ahead = Math.min(BATCHES_AHEAD, this.#reader.unitsAhead);
    const fetched = mapAhead(this.#batches(held), ahead, (batch) => this.#fetch(batch, options));
    for await (const { frames, end, newBytes } of fetched) {
      await this.#parts.session.put(frames, options);
      this.#parts.onBatch(end, newBytes);
    }
  }

  async *#batches(held: ReadonlySet<Digest>): AsyncGenerator<Batch> {
    const { version } = this.#parts;
    const top = topRef(version, "chunks");
    if (top === undefined || held.has(top.digest)) return;
    let spans: ChunkSpan[] = [];
    let leaves = new Map<Digest, readonly ChunkSpan[]>();
    let bytes = 0;
    for await (const { page, ref, items, bytes: start } of walkLeaves(version, top, (child) =>
      held.has(child.digest),
    )) {
      const all = spansOf(page, { digest: ref.digest, items, bytes: start });
      for (const span of all) {
        if (spans.length > 0 && (bytes + span.length > UNIT_BYTES || spans.length === BATCH_CHUNKS_MAX)) {
          yield { spans, leaves };
          [spans, leaves, bytes] = [[], new Map<Digest, readonly ChunkSpan[]>(), 0];
        }
        leaves.set(ref.digest, all);
        spans.push(span);
        bytes += span.length;
      }
    }
    if (spans.length > 0) yield { spans, leaves };
  }

  async #fetch(batch: Batch, options: CallOptions): Promise<FetchedBatch> {
    const last = must(batch.spans.at(-1), "a batch has a chunk");
    const each = [...new Map(batch.spans.map((span) => [span.digest, span])).values()];
    const missing = await this.#parts.session.missing(
      each.map(({ digest }) => digest),
      options,
    );
    const wanted = each.filter((_, index) => missing[index]);
    const frames =
      wanted.length === 0
        ? []
        : await this.#reader.withFreshPlans(wanted, () => this.#framesOf(wanted, batch.leaves, options));
    return { frames, end: last.start + last.length, newBytes: sumLengths(wanted) };
  }

  /** What holds these chunks, in the order of the stream: frames of the source, and new ones of what cannot be moved so. */
  async #framesOf(
    wanted: readonly ChunkSpan[],
    leaves: Batch["leaves"],
    options: CallOptions,
  ): Promise<IngestFrame[]> {
    const own: string[] = [];
    try {
      const moves = new Map<MovedFrame, number>();
      const decodes: ChunkSpan[] = [];
      for (const span of wanted) {
        const moved = await this.#movedFrame(span, leaves, own, options);
        if (moved === undefined) decodes.push(span);
        else if (moved !== "before") moves.set(moved, span.start);
      }
      const [fetched, encoded] = await Promise.all([
        this.#read([...moves.keys()], options),
        this.#encode(decodes, options),
      ]);
      const placed = [...moves.values()].map((start, index) => ({
        start,
        frame: must(fetched[index], "a frame each"),
      }));
      const anew = decodes.map(({ start }, index) => ({
        start,
        frame: must(encoded[index], "a frame each"),
      }));
      return [...placed, ...anew].sort((one, other) => one.start - other.start).map(({ frame }) => frame);
    } catch (error) {
      for (const key of own) this.#decided.delete(key);
      throw error;
    }
  }

  /**
   * The frame to move for a chunk; "before": one that was moved already holds it; undefined: it must be decoded. What is
   * decided here is noted in `own`.
   */
  async #movedFrame(
    span: ChunkSpan,
    leaves: Batch["leaves"],
    own: string[],
    options: CallOptions,
  ): Promise<MovedFrame | "before" | undefined> {
    if (this.#parts.decodesAll) return undefined;
    const { plan, place } = await this.#place(span);
    const planned = plan.frames[place.frame];
    if (planned === undefined) return undefined;
    const { digest, length } = span;
    if (planned.delta === undefined)
      return { planned, form: { codec: planned.codec, chunks: [{ digest, length }], base: undefined } };
    const key = `${planned.block}:${planned.offset}`;
    const before = this.#decided.get(key);
    if (before !== undefined) return (await before) === undefined ? undefined : "before";
    if (this.#decided.size === MOVED_KEPT_MAX) this.#decided.clear();
    const items = plan.covers === "version" ? this.#inline : (leaves.get(span.leaf) ?? []);
    const deciding = this.#moved.delta(plan, place.frame, items, options).then((moved) =>
      // What it holds is not what the plan says: whoever decodes it tells what is wrong.
      moved?.form.chunks.some((chunk) => chunk.digest === digest) === true ? moved : undefined,
    );
    deciding.catch(() => undefined);
    this.#decided.set(key, deciding);
    own.push(key);
    return await deciding;
  }

  /** Where a chunk lies: by the plan that leaves something to another, where that says it. */
  async #place(span: ChunkSpan): Promise<PlacedChunk> {
    const { version } = this.#parts;
    const short = await placeChunk(version, span, true);
    const frame = short.plan.frames[short.place.frame];
    return frame === undefined ? await placeChunk(version, span) : short;
  }

  async #read(moves: readonly MovedFrame[], options: CallOptions): Promise<IngestFrame[]> {
    const { source, version } = this.#parts;
    const fetched = await fetchFrames(
      source.store.blocks,
      moves.map(({ planned }) => planned),
      options,
    );
    version.traffic.chunkBytes += fetched.fetchedBytes;
    return moves.map(({ form }, index) => ({
      ...form,
      stored: must(fetched.stored[index], "every frame was read"),
    }));
  }

  /** The chunks as plain frames, in order. */
  async #encode(spans: readonly ChunkSpan[], options: CallOptions): Promise<IngestFrame[]> {
    if (spans.length === 0) return [];
    const bytes = await this.#reader.read(spans);
    return encodeRun(this.#parts.source, { chunks: spans, bytes }, undefined, options);
  }
}
