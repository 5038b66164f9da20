/** Finds what each run of new chunks is encoded against: the old bytes of its place, or similar ones. */
import { must } from "../../base/assert.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { FrameBase } from "../../format/block.ts";
import type { ChunkerMemory } from "../../format/chunker.ts";
import { isDamage } from "../damage.ts";
import {
  chooseBases,
  fitRun,
  onlyStrong,
  plainRun,
  sumLengths,
  type BasedRun,
} from "../ingest/based-runs.ts";
import { splitDigests } from "../ingest/block-packer.ts";
import type { IngestSession, SimilarChunk } from "../ingest/ingest.ts";
import { unpackSketches, type Sketch } from "../workers/sketch.ts";
import type { WorkerPool } from "../workers/pool.ts";
import type { PiecePlan, PlacedChunk, Work } from "./segment-push.ts";
import { sharedBuffer } from "./slots.ts";

/** Chunks of one sketching job, in bytes of them that are looked at: enough to be worth a message. */
const JOB_BYTES = MiB;
/** Of each chunk, about. */
const SKETCHED_BYTES = 32 * KiB;
/** Dictionaries of what is encoded at once: a slot's pieces may be many, and each of their runs may want one. */
const DICTIONARIES_BYTES_MAX = 16 * MiB;
/** Below this share of gains, chunks that are alike in part are tried for one piece of so many. */
const GAIN_MIN = 1 / 3;
const TRIED_OF = 16;
/** Runs after which what was before hardly counts. */
const FADES_AFTER = 16;
/** What the stage works with. */
export interface BaseStageParts {
  readonly session: IngestSession;
  readonly pool: WorkerPool;
  readonly memory: ChunkerMemory;
  /** zstd's; 0: nothing is compressed, and so no delta is made. */
  readonly level: number;
  /** Whether a version was pushed before: then what is alike in part is worth a try. */
  readonly isUpdate: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Between planning and encoding. */
export class BaseStage {
  readonly #parts: BaseStageParts;
  readonly #memory: SharedArrayBuffer;
  /** How many of the last runs on similar chunks became deltas: a share that fades. */
  #gain = 1 / 2;
  #asked = 0;
  readonly #learn = (isDelta: boolean): void => {
    this.#gain += ((isDelta ? 1 : 0) - this.#gain) / FADES_AFTER;
  };

  constructor(parts: BaseStageParts) {
    this.#parts = parts;
    this.#memory = sharedBuffer(parts.memory);
  }

  /** What is to be encoded of each piece, with the dictionaries. Errors: those of the session. */
  async works(plans: readonly PiecePlan[]): Promise<Work[][]> {
    const sketched = await this.#sketch(plans);
    const budget = { bytes: DICTIONARIES_BYTES_MAX };
    return Promise.all(
      plans.map((plan, index) => this.#worksOf(plan, sketched[index] ?? plan.chunks, budget)),
    );
  }

  /** The pieces' chunks, the missing ones with their sketches where these are of use. */
  async #sketch(plans: readonly PiecePlan[]): Promise<readonly (readonly PlacedChunk[])[]> {
    const { session, level } = this.#parts;
    if (session.bases === undefined || level === 0) return plans.map(({ chunks }) => chunks);
    const missing = plans.flatMap(({ chunks }) => chunks.filter((chunk) => chunk.isMissing));
    const perJob = Math.max(1, Math.floor(JOB_BYTES / SKETCHED_BYTES));
    const jobs: Promise<Sketch[]>[] = [];
    for (let at = 0; at < missing.length; at += perJob) {
      jobs.push(this.#sketchJob(missing.slice(at, at + perJob)));
    }
    const sketches = new Map<PlacedChunk, Sketch>();
    for (const [index, sketch] of (await Promise.all(jobs)).flat().entries()) {
      const chunk = missing[index];
      if (chunk !== undefined) sketches.set(chunk, sketch);
    }
    return plans.map(({ chunks }) =>
      chunks.map((chunk) => (chunk.isMissing ? { ...chunk, sketch: sketches.get(chunk) } : chunk)),
    );
  }

  async #sketchJob(chunks: readonly PlacedChunk[]): Promise<Sketch[]> {
    const ranges = Uint32Array.from(chunks.flatMap(({ start, end }) => [start, end]));
    const { pool, signal } = this.#parts;
    const input = { memory: this.#memory, ranges };
    return unpackSketches(await pool.run("sketchChunks", input, { transfer: [ranges.buffer], signal }));
  }

  async #worksOf(plan: PiecePlan, chunks: readonly PlacedChunk[], budget: Budget): Promise<Work[]> {
    const similar = this.#similar(chunks);
    const chosen = plan.runs.flatMap((run) =>
      chooseBases(chunks, run, similar).map((each) => ({ run: each, isSimilar: each !== run })),
    );
    const works = await Promise.all(
      withinBudget(chosen, budget).map(async ({ run, isSimilar }) => {
        const parts = await fitRun(run, (part, base) => this.#canBase(chunks, part, base));
        return Promise.all(parts.map((part) => this.#work(plan, chunks, part, isSimilar)));
      }),
    );
    return works.flat();
  }

  /** What each chunk resembles; in part only, as long as that often helps: else it costs as much to try, for nothing. */
  #similar(chunks: readonly PlacedChunk[]): readonly (readonly SimilarChunk[])[] {
    const similar = this.#parts.session.bases?.similar(chunks.map(({ sketch }) => sketch ?? [])) ?? [];
    const isWorthTrying = this.#parts.isUpdate && (this.#gain > GAIN_MIN || this.#asked++ % TRIED_OF === 0);
    return isWorthTrying ? similar : onlyStrong(similar);
  }

  #canBase(chunks: readonly PlacedChunk[], { from, to }: BasedRun, base: FrameBase): Promise<boolean> {
    const { session, signal } = this.#parts;
    const call = signal === undefined ? {} : { signal };
    return session.canBase(splitDigests(base.digests), sumLengths(chunks.slice(from, to)), call);
  }

  async #work(
    plan: PiecePlan,
    chunks: readonly PlacedChunk[],
    { from, to, base, near }: BasedRun,
    isSimilar: boolean,
  ): Promise<Work> {
    const held = chunks.slice(from, to);
    const dictionary = base && (await this.#read(base, isSimilar));
    const start = must(held[0], "a run has a chunk").start;
    const chunkEnds = held.map((chunk) => chunk.end);
    const request = { start, end: chunkEnds.at(-1) ?? start, chunkEnds, dictionary, nearBytes: near?.bytes };
    const isProposal =
      base !== undefined &&
      dictionary === undefined &&
      this.#parts.session.takesProposals &&
      !held.some((chunk) => chunk.isReturning);
    const proposal = isProposal ? { base, frames: held.length } : undefined;
    const learn = isSimilar ? this.#learn : plan.learn;
    return { chunks: held, base, near, request, proposal, learn: dictionary && learn };
  }

  /** Undefined: the bytes are not at hand, or what is only similar cannot be read, which is no reason to fail. */
  async #read(base: FrameBase, isSimilar: boolean): Promise<Uint8Array | undefined> {
    const { session, signal } = this.#parts;
    try {
      return await session.bases?.read(base, signal === undefined ? {} : { signal });
    } catch (error) {
      if (isSimilar && isDamage(error)) return undefined;
      throw error;
    }
  }
}

/** What may still be taken. */
interface Budget {
  bytes: number;
}

/** The runs, without their bases where these would be too much together. */
function withinBudget<T extends { readonly run: BasedRun }>(runs: readonly T[], budget: Budget): T[] {
  return runs.map((each) => {
    const bytes = each.run.base?.bytes ?? 0;
    if (bytes > budget.bytes) return { ...each, run: plainRun(each.run.from, each.run.to) };
    budget.bytes -= bytes;
    return each;
  });
}
