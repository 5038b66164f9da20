/** Has the pool's threads encode what is new in a slot. */
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import type { IngestFrame } from "../ingest/ingest.ts";
import { isDelta, packRequests, unpackItems, type EncodedItem } from "../workers/encode-task.ts";
import { sumLengths } from "../ingest/based-runs.ts";
import { usedBase } from "../ingest/encode-run.ts";
import { BaseStage, type BaseStageParts } from "./base-stage.ts";
import type { PiecePlan, PieceResult, Work } from "./segment-push.ts";
import { sharedBuffer } from "./slots.ts";

/** Input bytes of one job: enough to be worth a message, few enough to spread over the threads. */
const JOB_BYTES = MiB;

/** What became of one piece of work. */
interface EncodedWork {
  readonly frames: IngestFrame[];
  /** What its chunks take as plain frames. */
  plainBytes: number;
}

/** Encodes pieces of one slot: small ones of several segments go together. */
export class EncodeStage {
  readonly #parts: BaseStageParts;
  readonly #bases: BaseStage;
  readonly #memory: SharedArrayBuffer;

  constructor(parts: BaseStageParts) {
    this.#parts = parts;
    this.#bases = new BaseStage(parts);
    this.#memory = sharedBuffer(parts.memory);
  }

  /** The pieces with their frames, in order. These lie in the slot, in place of what they were made of. */
  async encode(plans: readonly PiecePlan[]): Promise<PieceResult[]> {
    const works = await this.#bases.works(plans);
    const jobs = groupWorks(works.flat()).map((group) => this.#job(group));
    const encoded = new Map<Work, EncodedWork>();
    for (const done of await Promise.all(jobs)) for (const [work, made] of done) encoded.set(work, made);
    return plans.map((plan, index) => {
      const missing = plan.chunks.filter((chunk) => chunk.isMissing && !chunk.isReturning);
      const done = (works[index] ?? []).map((work) => must(encoded.get(work), "each work was done"));
      return {
        chunks: plan.chunks.map(({ digest, length }) => ({ digest, length })),
        frames: done.flatMap(({ frames }) => frames),
        bytes: sumLengths(plan.chunks),
        newChunks: missing.length,
        newBytes: sumLengths(missing),
        plainBytes: done.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
      };
    });
  }

  async #job(works: readonly Work[]): Promise<Map<Work, EncodedWork>> {
    const requests = works.map((work) => work.request);
    const { pool, level, signal } = this.#parts;
    const input = packRequests(this.#memory, level, requests);
    const items = unpackItems(await pool.run("encodeFrames", input, { signal }));
    const made = new Map<Work, EncodedWork>(works.map((work) => [work, { frames: [], plainBytes: 0 }]));
    for (const item of items) {
      const work = must(works[item.request], "an item answers a request");
      if (item.chunk === 0) work.learn?.(isDelta(item));
      const encoded = must(made.get(work), "every work has an entry");
      encoded.plainBytes += plainBytesOf(work, item);
      const frame = this.#frame(work, item);
      if (frame !== undefined) encoded.frames.push(frame);
    }
    return made;
  }

  /** Undefined: a chunk that the store has already. */
  #frame(work: Work, item: EncodedItem): IngestFrame | undefined {
    const { codec, start, storedBytes } = item;
    const stored = new Uint8Array(this.#memory, start, storedBytes);
    const base = usedBase(item, work.base, work.near);
    if (base !== undefined) return { codec, chunks: work.chunks, stored, base };
    const chunk = must(work.chunks[item.chunk], "an item is a chunk's");
    if (chunk.isReturning) return undefined;
    return { codec, chunks: [chunk], stored, base, proposal: item.chunk === 0 ? work.proposal : undefined };
  }
}

/** What the item's new chunks take as plain frames. */
function plainBytesOf({ chunks }: Work, item: EncodedItem): number {
  const held = isDelta(item) ? chunks : chunks.slice(item.chunk, item.chunk + 1);
  const fresh = held.filter((chunk) => !chunk.isReturning);
  return Math.round((item.plainBytes * sumLengths(fresh)) / sumLengths(held));
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
