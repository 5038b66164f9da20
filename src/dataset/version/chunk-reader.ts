/** Reading chunks: planned, fetched in few requests, decoded in threads, verified. */
import { must } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { ReadEngine } from "../engine.ts";
import { fetchFrames, type FetchedFrames } from "./block-ranges.ts";
import { chunks, forgetPlace, placeChunk, type ChunkSpan } from "./chunks.ts";
import { mapAhead } from "./read-ahead.ts";
import { UnitBuilder } from "./unit.ts";
import type { Version } from "./version.ts";
import type { Digest } from "../../format/digest.ts";

/** Stream bytes decoded together: enough to fill a request, little enough to spread over threads. */
export const UNIT_BYTES = 4 * MiB;
/** Chunks of one unit at most: of 4 KiB ones there are many. */
const UNIT_CHUNKS_MAX = 1024;
/** What a unit under way may hold: its stored bytes, what it decodes to, and its bases. */
const UNIT_MEMORY_BYTES = 4 * UNIT_BYTES;
/** The same at most, unless one chunk takes more: a chunk of few bytes may lie in a frame of many, on others. */
const UNIT_MEMORY_BYTES_MAX = 2 * UNIT_MEMORY_BYTES;

/** A unit with the frames it needs, read. */
export interface ReadUnit<L> {
  readonly unit: UnitBuilder<L>;
  readonly fetched: FetchedFrames;
}

/** Reads chunks of one version. */
export class ChunkReader {
  readonly #engine: Pick<ReadEngine, "store" | "pool" | "memoryBytes">;
  readonly #version: Version;
  readonly #signal: AbortSignal | undefined;

  /** `signal` ends fetching; without one it is the version's. */
  constructor(
    engine: Pick<ReadEngine, "store" | "pool" | "memoryBytes">,
    version: Version,
    signal = version.signal,
  ) {
    this.#engine = engine;
    this.#version = version;
    this.#signal = signal;
  }

  /** Units that may be under way at a time within the engine's memory. */
  get unitsAhead(): number {
    const { memoryBytes, pool } = this.#engine;
    return Math.max(1, Math.min(Math.floor(memoryBytes / 2 / UNIT_MEMORY_BYTES), pool.threads + 2));
  }

  /**
   * Fetches what decoding these chunks takes; a chunk or base that `findLocal` knows is left out. Undefined when it is too
   * much at once: they are to be fetched in halves then, which ends, since one chunk never is. Errors: OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, STORE_UNAVAILABLE.
   */
  async fetch<L>(
    spans: readonly ChunkSpan[],
    findLocal: (digest: Digest) => L | undefined,
  ): Promise<ReadUnit<L> | undefined> {
    return this.withFreshPlans(spans, async () => {
      const unit = new UnitBuilder<L>(findLocal);
      for (const span of spans) {
        if (unit.addLocal(span.digest, span.length)) continue;
        const placed = await placeChunk(this.#version, span, true);
        unit.add(unit.canAdd(placed) ? placed : await placeChunk(this.#version, span));
        const takes = unit.storedBytes + unit.decodedBytes;
        if (takes > UNIT_MEMORY_BYTES_MAX && spans.length > 1) return undefined;
      }
      const options = this.#signal === undefined ? {} : { signal: this.#signal };
      const fetched = await fetchFrames(this.#engine.store.blocks, unit.frames, options);
      this.#version.traffic.chunkBytes += fetched.fetchedBytes;
      return { unit, fetched };
    });
  }

  /**
   * The chunks' bytes one after another, verified. The caller keeps within UNIT_BYTES or so. Errors: those of fetch.
   */
  async read(spans: readonly ChunkSpan[]): Promise<Uint8Array> {
    const bytes = await this.withFreshPlans(spans, async () => {
      const read = await this.fetch(spans, () => undefined);
      if (read === undefined) return undefined;
      const { frames, chunks: wanted } = read.unit;
      const transfer = read.fetched.ranges.map((range) => range.buffer);
      const input = { frames, chunks: wanted, stored: read.fetched.stored, locals: [] };
      return this.#engine.pool.run("decodeUnit", input, { transfer, signal: this.#signal });
    });
    if (bytes !== undefined) return bytes;
    const middle = spans.length >>> 1;
    const first = await this.read(spans.slice(0, middle));
    return concatBytes([first, await this.read(spans.slice(middle))]);
  }

  /** Bytes `start` (inclusive) to `end` (exclusive) of the stream, in pieces. Errors: RANGE_INVALID; those of fetch. */
  async *readRange(start: number, end: number): AsyncGenerator<Uint8Array> {
    const units = groupUnits(chunks(this.#version, start, end));
    let at: number | undefined;
    for await (const { first, bytes } of mapAhead(units, this.unitsAhead, async (spans) => ({
      first: spans[0]?.start,
      bytes: await this.read(spans),
    }))) {
      at ??= must(first, "a unit has a chunk");
      yield bytes.subarray(Math.max(start - at, 0), Math.min(end - at, bytes.byteLength));
      at += bytes.byteLength;
    }
  }

  /** Tries once more with plans read anew when a block is missing or damaged: it may have been written elsewhere. */
  async withFreshPlans<T>(spans: readonly ChunkSpan[], attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      const code = codeOf(error);
      if (code !== "OBJECT_MISSING" && code !== "OBJECT_CORRUPT") throw error;
      for (const span of spans) forgetPlace(this.#version, span);
      return attempt();
    }
  }
}

/** Batches of chunks regrouped into units. */
async function* groupUnits(batches: AsyncIterable<readonly ChunkSpan[]>): AsyncGenerator<ChunkSpan[]> {
  let unit: ChunkSpan[] = [];
  let unitBytes = 0;
  for await (const batch of batches) {
    for (const span of batch) {
      const full = unitBytes + span.length > UNIT_BYTES || unit.length === UNIT_CHUNKS_MAX;
      if (full && unit.length > 0) {
        yield unit;
        unit = [];
        unitBytes = 0;
      }
      unit.push(span);
      unitBytes += span.length;
    }
  }
  if (unit.length > 0) yield unit;
}
