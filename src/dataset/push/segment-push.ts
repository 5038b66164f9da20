/** Takes a segment's spans: finds out what is new, and has it encoded. */
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import type { ChunkerMemory } from "../../format/chunker.ts";
import { DIGEST_BYTES, digestFromBytes } from "../../format/digest.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { IngestFrame, IngestSession } from "../ingest/ingest.ts";
import type { ChunkSpan } from "../version/chunks.ts";
import { isDelta, type EncodeRequest } from "../workers/encode-task.ts";
import type { WorkerPool } from "../workers/pool.ts";
import { DeltaPlanner, type NewChunk, type Run } from "./delta-planner.ts";
import type { OldSegment, Reference } from "./reference.ts";
import type { ScannedSpan } from "./scan.ts";
import { sharedBuffer } from "./slots.ts";

/** A span, ready to be stored. */
export interface SpanResult {
  readonly chunks: readonly ChunkItem[];
  readonly frames: readonly IngestFrame[];
  readonly bytes: number;
  readonly newChunks: number;
  readonly newBytes: number;
}

export interface SegmentPushOptions {
  readonly memory: ChunkerMemory;
  /** zstd's level. */
  readonly level: number;
  readonly reference: Reference | undefined;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Input bytes of one encoding job: enough to be worth a message, few enough to spread over the threads. */
const JOB_BYTES = MiB;

interface Placed extends NewChunk {
  readonly start: number;
  readonly end: number;
}

/** A piece of work for a thread: a run, where it lies, and its dictionary. */
interface Work {
  readonly chunks: readonly Placed[];
  readonly run: Run;
  readonly request: EncodeRequest;
}

export class SegmentPush {
  readonly #pool: WorkerPool;
  readonly #session: IngestSession;
  readonly #options: SegmentPushOptions;
  #planner: DeltaPlanner | undefined;
  /** Spans are looked up and planned one after another, also while others are still encoded. */
  #planned: Promise<unknown> = Promise.resolve();

  constructor(pool: WorkerPool, session: IngestSession, options: SegmentPushOptions) {
    this.#pool = pool;
    this.#session = session;
    this.#options = options;
  }

  /** Begins the segment (again), with the old segments that stood in its place. */
  async open(old: readonly OldSegment[]): Promise<void> {
    const { reference } = this.#options;
    const start = old[0]?.start ?? 0;
    const end = old.at(-1)?.end ?? 0;
    const chunks = reference === undefined || start === end ? [] : await reference.chunks(start, end);
    this.#planner = new DeltaPlanner(chunks);
  }

  /** Takes the next span, whose first chunk begins at `start` of the memory. Its slot may be reused once this resolves. */
  async push(start: number, span: ScannedSpan): Promise<SpanResult> {
    const chunks = placedChunks(start, span);
    const planning = this.#planned.then(() => this.#plan(chunks, span.done));
    this.#planned = planning.catch(() => undefined);
    const { placed, works } = await planning;
    const frames = await Promise.all(groupWorks(works).map((group) => this.#encode(group)));
    const missing = placed.filter((chunk) => chunk.isMissing);
    return {
      chunks: placed.map(({ digest, length }) => ({ digest, length })),
      frames: frames.flat(),
      bytes: sumLengths(placed),
      newChunks: missing.length,
      newBytes: sumLengths(missing),
    };
  }

  async #plan(chunks: readonly Placed[], isLast: boolean): Promise<{ placed: Placed[]; works: Work[] }> {
    const { signal } = this.#options;
    const call = signal === undefined ? {} : { signal };
    const answers = await this.#session.missing(
      chunks.map((chunk) => chunk.digest),
      call,
    );
    const placed = chunks.map((chunk, index) => ({ ...chunk, isMissing: answers[index] === true }));
    const runs = must(this.#planner, "the segment is open").plan(placed, isLast);
    return { placed, works: await Promise.all(runs.map((run) => this.#work(placed, run))) };
  }

  async #work(placed: readonly Placed[], run: Run): Promise<Work> {
    const chunks = placed.slice(run.from, run.to);
    const first = must(chunks[0], "a run has a chunk");
    const last = must(chunks.at(-1), "a run has a chunk");
    const dictionary = await this.#dictionary(run, sumLengths(chunks));
    const chunkEnds = chunks.map((chunk) => chunk.end);
    const request = { start: first.start, end: last.end, chunkEnds, dictionary };
    return { chunks, run: dictionary === undefined ? { ...run, base: undefined } : run, request };
  }

  /** The base's bytes, or undefined when there is none, or one that may not serve. */
  async #dictionary(run: Run, runBytes: number): Promise<Uint8Array | undefined> {
    const { reference, level } = this.#options;
    if (run.base === undefined || reference === undefined || level === 0) return undefined;
    const digests = run.base.chunks.map((chunk) => chunk.digest);
    if (!(await this.#session.canBase(digests, runBytes))) return undefined;
    return reference.read(run.base.chunks as readonly ChunkSpan[], run.base.frame);
  }

  async #encode(works: readonly Work[]): Promise<IngestFrame[]> {
    const { memory, level, signal } = this.#options;
    const requests = works.map((work) => work.request);
    const { items, bytes } = await this.#pool.run(
      "encodeFrames",
      { memory: sharedBuffer(memory), level, requests },
      { signal },
    );
    let offset = 0;
    return items.map((item) => {
      const work = must(works[item.request], "an item answers a request");
      const stored = bytes.subarray(offset, offset + item.storedBytes);
      offset += item.storedBytes;
      const { codec } = item;
      if (isDelta(item)) return { codec, chunks: work.chunks, stored, base: work.run.base?.frame };
      return { codec, chunks: [must(work.chunks[item.chunk], "an item is a chunk's")], stored, base: undefined };
    });
  }
}

function placedChunks(start: number, span: ScannedSpan): Placed[] {
  let from = start;
  return [...span.chunkEnds].map((end, index) => {
    const digest = digestFromBytes(span.digests, index * DIGEST_BYTES);
    const chunk = { digest, length: end - from, start: from, end, isMissing: false };
    from = end;
    return chunk;
  });
}

function groupWorks(works: readonly Work[]): Work[][] {
  const groups: Work[][] = [];
  let bytes = JOB_BYTES;
  for (const work of works) {
    if (bytes >= JOB_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(work);
    bytes += work.request.end - work.request.start;
  }
  return groups;
}

function sumLengths(chunks: readonly { readonly length: number }[]): number {
  let sum = 0;
  for (const chunk of chunks) sum += chunk.length;
  return sum;
}
