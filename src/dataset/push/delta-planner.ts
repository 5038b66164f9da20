/** Chooses which new chunks become deltas, and on what. docs/format.md §5.1 has the limits. */
import { must } from "../../base/assert.ts";
import { KiB } from "../../base/limits.ts";
import { FRAME_CHUNKS_MAX, type FrameBase } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import { DELTA_BASES_MAX, DELTA_BYTES_MAX } from "../../format/frame.ts";
import { RUN_BYTES_MAX, sumLengths } from "../ingest/based-runs.ts";
import { joinDigests } from "../ingest/block-packer.ts";

/** A chunk of the old version, at its place in the old stream. */
export interface OldChunk {
  readonly digest: Digest;
  readonly length: number;
  readonly start: number;
}

/** A chunk of the segment that is being pushed. */
export interface NewChunk {
  readonly digest: Digest;
  readonly length: number;
  readonly isMissing: boolean;
  /** Of a missing one: the store has it, and only a delta is of use. A run has such ones alone, or none of them. */
  readonly isReturning?: boolean;
}

/** Neighbouring missing chunks (by index, `to` exclusive), and what they may be encoded against. */
export interface Run {
  readonly from: number;
  readonly to: number;
  /** Undefined: nothing stood in their place. */
  readonly base: FrameBase | undefined;
  readonly gap: Gap;
}

/** The old bytes between two anchors, and the missing chunks (by index) that came in their place, of so many bytes. */
interface Gap {
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly bytes: number;
}

/** What stood in a place may have been longer by this, where no unchanged neighbours say how long it was. */
const SLACK_BYTES = 64 * KiB;

/**
 * Follows one segment through the old bytes that stood in its place, from span to span: an unchanged chunk is an
 * anchor, and the old bytes between two anchors are the base of the new chunks between them.
 */
export class DeltaPlanner {
  readonly #old: readonly OldChunk[];
  readonly #byDigest = new Map<Digest, number[]>();
  readonly #oldEnd: number;
  /** Where in the old stream the next chunk would stand if nothing had changed. */
  #cursor: number;

  /** `old`: neighbouring chunks of the old stream, those that stood in the segment's place. */
  constructor(old: readonly OldChunk[]) {
    this.#old = old;
    for (const [index, chunk] of old.entries()) {
      const known = this.#byDigest.get(chunk.digest);
      if (known === undefined) this.#byDigest.set(chunk.digest, [index]);
      else known.push(index);
    }
    const last = old.at(-1);
    this.#cursor = old[0]?.start ?? 0;
    this.#oldEnd = last === undefined ? 0 : last.start + last.length;
  }

  /** Whether a chunk stood in the segment's place. */
  has(digest: Digest): boolean {
    return this.#byDigest.has(digest);
  }

  /** Plans the next span of the segment; `isLast`: the segment ends with it. */
  plan(chunks: readonly NewChunk[], isLast: boolean): Run[] {
    const runs: Run[] = [];
    let index = 0;
    while (index < chunks.length) {
      const chunk = must(chunks[index], "the index is within");
      if (!chunk.isMissing) {
        const anchor = this.#find(chunk.digest);
        if (anchor !== undefined) this.#cursor = anchor.start + anchor.length;
        index++;
        continue;
      }
      const from = index;
      while (chunks[index]?.isMissing === true && chunks[index]?.isReturning === chunk.isReturning) index++;
      runs.push(...this.#runs(chunks, from, index, isLast));
    }
    return runs;
  }

  /** The first old chunk of this digest at or after the cursor, else the first of all: what stood there was moved. */
  #find(digest: Digest): OldChunk | undefined {
    const places = this.#byDigest.get(digest) ?? [];
    const first = lowerBound(places.length, (at) => this.#at(places[at] ?? 0).start >= this.#cursor);
    const index = places[first] ?? places[0];
    return index === undefined ? undefined : this.#at(index);
  }

  #at(index: number): OldChunk {
    return must(this.#old[index], "the index is within");
  }

  #runs(chunks: readonly NewChunk[], from: number, to: number, isLast: boolean): Run[] {
    const bytes = sumLengths(chunks.slice(from, to));
    const next = chunks[to];
    const anchor = next === undefined ? undefined : this.#find(next.digest);
    const gapStart = this.#cursor;
    const endsSegment = next === undefined && isLast;
    const guess = Math.min(gapStart + bytes + SLACK_BYTES, this.#oldEnd);
    const isAhead = anchor !== undefined && anchor.start >= gapStart;
    const gapEnd = isAhead ? anchor.start : endsSegment ? this.#oldEnd : guess;
    this.#cursor = anchor?.start ?? Math.min(gapStart + bytes, this.#oldEnd);
    const gap = { start: gapStart, end: gapEnd, from, bytes };
    return [...pieces(chunks, from, to)].map(([first, end]) => this.#run(chunks, first, end, gap));
  }

  /** The run cut in two, for when it takes too much to decode on its base; a single chunk stays as it is. */
  halves(chunks: readonly NewChunk[], { from, to, gap }: Run): Run[] {
    const middle = (from + to) >>> 1;
    const parts = middle === from ? [[from, to] as const] : [[from, middle] as const, [middle, to] as const];
    return parts.map(([first, end]) => this.#run(chunks, first, end, gap));
  }

  #run(chunks: readonly NewChunk[], from: number, to: number, gap: Gap): Run {
    const bytes = sumLengths(chunks.slice(from, to));
    const before = sumLengths(chunks.slice(gap.from, from));
    const nearBytes = Math.min(bytes + 2 * SLACK_BYTES, DELTA_BYTES_MAX);
    const window = windowFor(
      gap,
      (before + bytes / 2) / gap.bytes,
      bytes === gap.bytes ? DELTA_BYTES_MAX : nearBytes,
    );
    return { from, to, gap, base: bytes > DELTA_BYTES_MAX ? undefined : this.#base(window) };
  }

  #base(window: { start: number; end: number }): Run["base"] {
    if (window.end <= window.start) return undefined;
    const chunks: OldChunk[] = [];
    for (let index = this.#indexAt(window.start); index < this.#old.length; index++) {
      const chunk = this.#at(index);
      if (chunk.start >= window.end) break;
      chunks.push(chunk);
    }
    const first = chunks[0];
    if (first === undefined || chunks.length > DELTA_BASES_MAX) return undefined;
    return {
      digests: joinDigests(chunks.map((chunk) => chunk.digest)),
      lengths: chunks.map((chunk) => chunk.length),
      offset: window.start - first.start,
      bytes: window.end - window.start,
    };
  }

  /** Index of the old chunk that holds this offset. */
  #indexAt(offset: number): number {
    return lowerBound(this.#old.length, (index) => this.#at(index).start + this.#at(index).length > offset);
  }
}

/** The first of `count` numbers from 0 on that is reached; once one is, all after it are. `count` when none is. */
function lowerBound(count: number, isReached: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isReached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The `bytes` of a gap where those new chunks most likely stood whose middle lies at this share of all of them. */
function windowFor(gap: Gap, middleShare: number, bytes: number): { start: number; end: number } {
  const gapBytes = gap.end - gap.start;
  if (gapBytes <= bytes) return gap;
  const middle = gap.start + Math.floor(middleShare * gapBytes);
  const start = Math.min(Math.max(middle - Math.floor(bytes / 2), gap.start), gap.end - bytes);
  return { start, end: start + bytes };
}

function* pieces(
  chunks: readonly NewChunk[],
  from: number,
  to: number,
): Generator<readonly [number, number]> {
  let start = from;
  let bytes = 0;
  for (let index = from; index < to; index++) {
    const length = chunks[index]?.length ?? 0;
    if (index > start && (bytes + length > RUN_BYTES_MAX || index - start === FRAME_CHUNKS_MAX)) {
      yield [start, index];
      start = index;
      bytes = 0;
    }
    bytes += length;
  }
  yield [start, to];
}
