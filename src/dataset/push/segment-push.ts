/** One segment on its way: what of it is new, and on what it may be a delta. */
import { must } from "../../base/assert.ts";
import { Channel } from "../../base/channel.ts";
import { MiB } from "../../base/limits.ts";
import { DIGEST_BYTES, digestFromBytes } from "../../format/digest.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { DeltaHint, IngestFrame, IngestSession } from "../ingest/ingest.ts";
import type { ChunkSpan } from "../version/chunks.ts";
import type { EncodeRequest } from "../workers/encode-task.ts";
import { DeltaPlanner, type NewChunk, type Run } from "./delta-planner.ts";
import type { OldSegment, Reference } from "./reference.ts";
import type { ScannedPiece } from "./scan.ts";

/** A piece, ready to be stored. */
export interface PieceResult {
  readonly chunks: readonly ChunkItem[];
  readonly frames: readonly IngestFrame[];
  readonly bytes: number;
  readonly newChunks: number;
  readonly newBytes: number;
  /** What the new chunks take as plain frames: where they became deltas, about. */
  readonly plainBytes: number;
}

/** A piece that is being encoded, or the word that the segment begins anew. */
export type PieceEvent =
  | {
      readonly kind: "piece";
      readonly piece: ScannedPiece;
      readonly result: Promise<PieceResult>;
      /** To be called once the frames are stored: they lie in a slot that others wait for. */
      readonly release: () => void;
    }
  | { readonly kind: "restart" };

/** What a segment is, and what it is compared with. */
export interface SegmentPushOptions {
  readonly id: number;
  /** The old segments that stood in its place. */
  readonly old: readonly OldSegment[];
  readonly reference: Reference | undefined;
  /** zstd's level; 0: nothing is compressed, and so no delta is made. */
  readonly level: number;
  readonly signal: AbortSignal | undefined;
}

/** A chunk and where it lies in the shared memory. */
export interface PlacedChunk extends NewChunk {
  readonly start: number;
  readonly end: number;
}

/** A run of missing chunks, and what a thread is asked to make of it. */
export interface Work {
  readonly chunks: readonly PlacedChunk[];
  readonly run: Run;
  readonly request: EncodeRequest;
  /** What the session may encode it against, where it makes deltas itself. */
  readonly hint: DeltaHint | undefined;
}

/** What is to be done for a piece. */
export interface PiecePlan {
  readonly chunks: readonly PlacedChunk[];
  readonly works: readonly Work[];
}

/** Dictionaries of one piece together: pieces are many, and each of their runs may want one. */
const DICTIONARIES_BYTES_MAX = 8 * MiB;
/** Pieces of one segment that wait to be stored: the slots bound them before this does. */
const EVENTS_MAX = 1024;

/** Plans the pieces of one segment, and carries them to the storing stage. */
export class SegmentPush {
  readonly id: number;
  /** What the storing stage takes, in order. */
  readonly events = new Channel<PieceEvent>(EVENTS_MAX);
  readonly #session: IngestSession;
  readonly #options: SegmentPushOptions;
  #planner: DeltaPlanner | undefined;
  /** Pieces are looked up and planned one after another, also while others are encoded. */
  #planned: Promise<unknown> = Promise.resolve();

  constructor(session: IngestSession, options: SegmentPushOptions) {
    this.id = options.id;
    this.#session = session;
    this.#options = options;
  }

  /** Forgets everything: the segment begins anew. */
  restart(): void {
    this.#planned = this.#planned.then(() => {
      this.#planner = undefined;
    });
  }

  /** Finds out what is new in the next piece. Pieces come in order. */
  plan(piece: ScannedPiece): Promise<PiecePlan> {
    const planning = this.#planned.then(() => this.#plan(placedChunks(piece), piece.done));
    this.#planned = planning.catch(() => undefined);
    return planning;
  }

  async #plan(chunks: readonly PlacedChunk[], isLast: boolean): Promise<PiecePlan> {
    const planner = (this.#planner ??= await this.#open());
    const { signal } = this.#options;
    const digests = chunks.map((chunk) => chunk.digest);
    const answers = await this.#session.missing(digests, signal === undefined ? {} : { signal });
    const placed = chunks.map((chunk, index) => ({ ...chunk, isMissing: answers[index] === true }));
    const runs = withinBudget(planner.plan(placed, isLast));
    const works = await Promise.all(runs.map((run) => this.#works(planner, placed, run)));
    return { chunks: placed, works: works.flat() };
  }

  /** A run as one piece of work; where its base does not serve for all of it at once, as several. */
  async #works(planner: DeltaPlanner, placed: readonly PlacedChunk[], run: Run): Promise<Work[]> {
    if (run.base === undefined || (await this.#canBase(placed, run))) return [await this.#work(placed, run)];
    const halves = planner.halves(placed, run);
    if (halves.length === 1) return [await this.#work(placed, { ...run, base: undefined })];
    return (await Promise.all(halves.map((half) => this.#works(planner, placed, half)))).flat();
  }

  async #open(): Promise<DeltaPlanner> {
    const { reference, old, level } = this.#options;
    const start = old[0]?.start ?? 0;
    const end = old.at(-1)?.end ?? 0;
    const isOfUse = reference !== undefined && level > 0 && start < end;
    return new DeltaPlanner(isOfUse ? await reference.chunks(start, end) : []);
  }

  async #work(placed: readonly PlacedChunk[], run: Run): Promise<Work> {
    const chunks = placed.slice(run.from, run.to);
    const first = must(chunks[0], "a run has a chunk");
    const last = must(chunks.at(-1), "a run has a chunk");
    const { reference } = this.#options;
    const dictionary =
      run.base === undefined || this.#session.makesDeltas
        ? undefined
        : await reference?.read(run.base.chunks as readonly ChunkSpan[], run.base.frame);
    const chunkEnds = chunks.map((chunk) => chunk.end);
    const request = { start: first.start, end: last.end, chunkEnds, dictionary };
    const hint =
      run.base === undefined || dictionary !== undefined
        ? undefined
        : { base: run.base.frame, frames: chunks.length };
    return { chunks, run, request, hint };
  }

  async #canBase(placed: readonly PlacedChunk[], { from, to, base }: Run): Promise<boolean> {
    const digests = base?.chunks.map((chunk) => chunk.digest) ?? [];
    const { signal } = this.#options;
    const call = signal === undefined ? {} : { signal };
    return this.#session.canBase(digests, sumLengths(placed.slice(from, to)), call);
  }
}

/** The runs, the last ones without their bases if these would be too much together. */
function withinBudget(runs: readonly Run[]): Run[] {
  let bytes = 0;
  return runs.map((run) => {
    bytes += run.base?.frame.bytes ?? 0;
    return bytes > DICTIONARIES_BYTES_MAX ? { ...run, base: undefined } : run;
  });
}

function placedChunks(piece: ScannedPiece): PlacedChunk[] {
  let from = piece.start;
  return Array.from(piece.chunkEnds, (end, index) => {
    const digest = digestFromBytes(piece.digests, index * DIGEST_BYTES);
    const chunk = { digest, length: end - from, start: from, end, isMissing: false };
    from = end;
    return chunk;
  });
}

/** Bytes of the chunks together. */
export function sumLengths(chunks: readonly { readonly length: number }[]): number {
  let sum = 0;
  for (const chunk of chunks) sum += chunk.length;
  return sum;
}
