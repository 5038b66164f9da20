/** One segment on its way: what of it is new, and on what it may be a delta. */
import { Channel } from "../../base/channel.ts";
import type { FrameBase } from "../../format/block.ts";
import { DIGEST_BYTES, digestFromBytes, type Digest } from "../../format/digest.ts";
import type { ChunkItem } from "../../format/page.ts";
import { plainRun, type BasedRun } from "../ingest/based-runs.ts";
import type { DeltaProposal, IngestFrame, IngestSession, SketchedChunk } from "../ingest/ingest.ts";
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
export interface PlacedChunk extends NewChunk, SketchedChunk {
  readonly start: number;
  readonly end: number;
  /** The store has it, and who has the version before has not: it counts as missing, but only a delta is of use. */
  readonly isReturning: boolean;
}

/** A run of missing chunks, and what a thread is asked to make of it. */
export interface Work {
  readonly chunks: readonly PlacedChunk[];
  /** What the request's dictionary is. */
  readonly base: FrameBase | undefined;
  /** The beginning of it that stood in the run's place, when that is not all. */
  readonly near: FrameBase | undefined;
  readonly request: EncodeRequest;
  /** What the session may encode it against, where it makes deltas itself. */
  readonly proposal: DeltaProposal | undefined;
  /** To be told whether it became a delta. */
  readonly learn: PiecePlan["learn"] | undefined;
}

/** What is to be done for a piece. */
export interface PiecePlan {
  readonly chunks: readonly PlacedChunk[];
  /** All missing chunks, on what stood in their place. */
  readonly runs: readonly BasedRun[];
  /** To be told whether a run became a delta. */
  readonly learn: (isDelta: boolean) => void;
}

/** After so many runs of a segment in a row that are no shorter as deltas, its old bytes are tried for one run of so many. */
const VAIN_MAX = 16;
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
  /** Runs in a row that did not become deltas. */
  #vain = 0;
  #tried = 0;
  readonly #learn = (isDelta: boolean): void => {
    this.#vain = isDelta ? 0 : this.#vain + 1;
  };

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
    const returning = await this.#returning(planner, chunks, answers);
    const placed = chunks.map((chunk, index) => {
      const isReturning = answers[index] === false && returning.has(chunk.digest);
      return { ...chunk, isMissing: answers[index] === true || isReturning, isReturning };
    });
    const runs = planner.plan(placed, isLast).map((run) => this.#based(planner, placed, run));
    return { chunks: placed, runs, learn: this.#learn };
  }

  #based(planner: DeltaPlanner, placed: readonly PlacedChunk[], run: Run): BasedRun {
    const { from, to, base } = run;
    if (base === undefined || !this.#isWorthTrying()) return plainRun(from, to);
    const halves = (): BasedRun[] => {
      const parts = planner.halves(placed, run);
      return parts.length < 2 ? [] : parts.map((part) => this.#based(planner, placed, part));
    };
    return { from, to, base, halves };
  }

  /** Chunks that the store has, and who has the version before has not, where the old bytes are at hand for deltas. */
  async #returning(
    planner: DeltaPlanner,
    chunks: readonly PlacedChunk[],
    answers: readonly boolean[],
  ): Promise<ReadonlySet<Digest>> {
    const { reference, level } = this.#options;
    if (reference === undefined || level === 0 || this.#session.bases === undefined) return new Set();
    const known = chunks.filter((chunk, index) => answers[index] === false && !planner.has(chunk.digest));
    return reference.lacking(
      known,
      chunks.filter((_, index) => answers[index]),
    );
  }

  /** Old bytes that the new ones are nothing like cost as much to try as others. */
  #isWorthTrying(): boolean {
    return this.#vain < VAIN_MAX || this.#tried++ % VAIN_MAX === 0;
  }

  async #open(): Promise<DeltaPlanner> {
    const { reference, old, level } = this.#options;
    const start = old[0]?.start ?? 0;
    const end = old.at(-1)?.end ?? 0;
    const isOfUse = reference !== undefined && level > 0 && start < end;
    return new DeltaPlanner(isOfUse ? await reference.chunks(start, end) : []);
  }
}

function placedChunks(piece: ScannedPiece): PlacedChunk[] {
  let from = piece.start;
  return Array.from(piece.chunkEnds, (end, index) => {
    const digest = digestFromBytes(piece.digests, index * DIGEST_BYTES);
    const chunk = { digest, length: end - from, start: from, end, isMissing: false, isReturning: false };
    from = end;
    return chunk;
  });
}
