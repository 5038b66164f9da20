/** Reading ranges of versions again and again, for many at once. */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { ReadEngine } from "../engine.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import { spansOf } from "../version/chunks.ts";
import { walkLeaves, type Leaf } from "../version/leaves.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import { topRef, type Version } from "../version/version.ts";
import { Buffers } from "./buffers.ts";
import type { DiskPieces } from "./disk-pieces.ts";
import { PieceCache, type PieceFigures } from "./piece-cache.ts";
import { PieceWork } from "./piece-work.ts";
import { follows, piecesOf, STORED_BYTES_MAX, type Piece } from "./pieces.ts";

/** The share of the engine's memory that buffers under way may take. */
const BUFFERS_SHARE = 1 / 4;
/** Memory of the places that are kept: enough for some 20 GiB of streams in chunks of 64 KiB. */
const PLACES_BYTES_MAX = 16 * MiB;
const PIECE_COST_BYTES = 300;
const SPAN_COST_BYTES = 150;
/** What one reader reads ahead, unless memory is scarce; of a store on another machine more is on its way. */
const AHEAD_BYTES_MAX = 3 * MiB;
const FAR_AHEAD_BYTES_MAX = 16 * MiB;
/** What may be read ahead for requests that have not come yet, together; at most a share of the engine's memory. */
const PREFETCH_BYTES_MAX = 32 * MiB;
const PREFETCH_SHARE = 1 / 8;
/** The first part of a range is small: it is sent while the next one is read. */
const FIRST_BYTES = 128 * KiB;

/** What reading says of bytes that may have been written elsewhere meanwhile. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "OBJECT_CORRUPT", "RANGE_INVALID"]);

/** Bytes to give, and what takes their memory back: to be used again when `isFree`, else left to whoever still reads it. */
interface Loaded {
  readonly bytes: Uint8Array;
  readonly release: (isFree: boolean) => void;
}

/** The same on its way, and how many bytes it will be. */
interface Loading {
  readonly loading: Promise<Loaded>;
  readonly bytes: number;
}

/** A leaf page of chunks, cut into pieces. */
interface Segment {
  readonly key: string;
  /** Where it begins in the version's stream. */
  readonly origin: number;
  readonly leaf: Leaf;
  readonly pieces: readonly Piece[];
}

/** How a stream reader reads. */
export interface StreamReaderOptions {
  /** The engine's store lies on a disk of this machine. */
  readonly isLocal: boolean;
  /** Bytes that are decoded and kept together, at most STORED_BYTES_MAX: few for who reads here and there, many for who reads in order. */
  readonly pieceBytes: number;
  /** Keeps what was decoded; undefined: memory alone does. */
  readonly disk: DiskPieces | undefined;
}

/**
 * Reads ranges of streams for many readers, with memory of its own. Every chunk is verified. What was decoded is kept for
 * a while; what is stored raw on a disk of this machine is verified when it is read first, and then taken as it is.
 */
export class StreamReader {
  readonly #engine: ReadEngine;
  readonly #options: StreamReaderOptions;
  readonly #work: PieceWork;
  readonly #pieces = new LoadingCache<readonly Piece[]>(PLACES_BYTES_MAX, costOf);
  readonly #decoded: PieceCache;
  readonly #buffers: Buffers;
  #prefetchBytes = 0;

  constructor(engine: ReadEngine, options: StreamReaderOptions) {
    const { memoryBytes } = engine;
    this.#engine = engine;
    this.#options = options;
    this.#work = new PieceWork({ engine, isLocal: options.isLocal });
    this.#decoded = new PieceCache(engine, { ...options, work: this.#work });
    this.#buffers = new Buffers(memoryBytes * BUFFERS_SHARE);
  }

  /** Where decoded pieces came from; what lies raw on a disk of this machine is not among them. */
  get figures(): PieceFigures {
    return this.#decoded.figures;
  }

  /**
   * The bytes of a range of the version's stream, which lies in it. Each piece holds only until the next is asked for:
   * its memory is used again. Errors: those of ChunkReader.readRange.
   */
  async *read(version: Version, range: ByteRange): AsyncGenerator<Uint8Array> {
    const ahead: Promise<Loaded>[] = [];
    const aheadBytesMax = this.#options.isLocal ? AHEAD_BYTES_MAX : FAR_AHEAD_BYTES_MAX;
    let aheadBytes = 0;
    try {
      for await (const { loading, bytes } of this.#loads(version, range)) {
        // Seen again when its turn comes; until then a failure is no unhandled one.
        loading.catch(() => undefined);
        ahead.push(loading);
        aheadBytes += bytes;
        while (ahead.length > 0 && (aheadBytes >= aheadBytesMax || this.#buffers.isScarce)) {
          aheadBytes -= yield* giveFirst(ahead);
        }
      }
      while (ahead.length > 0) yield* giveFirst(ahead);
    } finally {
      for (const left of await Promise.allSettled(ahead)) {
        if (left.status === "fulfilled") left.value.release(true);
      }
    }
  }

  /**
   * Decodes a range that somebody will probably ask for soon; not what lies raw on a disk of this machine, and nothing
   * while much else is read ahead. Never rejects: who reads meets the error.
   */
  async prefetch(version: Version, range: ByteRange): Promise<void> {
    const bytes = range.end - range.start;
    const bytesMax = Math.min(PREFETCH_BYTES_MAX, this.#engine.memoryBytes * PREFETCH_SHARE);
    if (this.#buffers.isScarce || this.#prefetchBytes + bytes > bytesMax) return;
    this.#prefetchBytes += bytes;
    const holds: Promise<void>[] = [];
    try {
      for await (const { segment, index } of this.#parts(version, range)) {
        const piece = must(segment.pieces[index], "the index is a piece's");
        if (piece.kind === "raw" && this.#options.isLocal) continue;
        const hold = this.#decoded.hold(version, segment.leaf.ref.digest, piece);
        // A failure is seen to at once: the next page may be long in coming, and an error that nobody waits for ends the process.
        holds.push(
          hold.then(
            ({ release }) => {
              release(true);
            },
            () => undefined,
          ),
        );
      }
    } catch {
      // What is not to be had is told to who reads it.
    }
    await Promise.all(holds);
    this.#prefetchBytes -= bytes;
  }

  /** Begins to load one part of the range after another. */
  async *#loads(version: Version, range: ByteRange): AsyncGenerator<Loading> {
    let at = range.start;
    for await (const { segment, index } of this.#parts(version, range)) {
      const { origin, pieces } = segment;
      const pieceEnd = origin + must(pieces[index], "the index is a piece's").end;
      // What was read with the piece before is left out.
      while (at < Math.min(pieceEnd, range.end)) {
        const end = Math.min(range.end, origin + must(pieces.at(-1), "there is one").end);
        const soonEnd = at === range.start ? Math.min(end, at + FIRST_BYTES) : end;
        const wanted = { start: at - origin, end: soonEnd - origin };
        const { loading, stop } = this.#begin(version, segment, index, wanted);
        yield { loading, bytes: origin + stop - at };
        at = origin + stop;
      }
    }
  }

  /** The pieces that a range lies in, in order, each by its number in its segment. */
  async *#parts(
    version: Version,
    range: ByteRange,
  ): AsyncGenerator<{ readonly segment: Segment; readonly index: number }> {
    if (range.start >= range.end) return;
    const isOutside = (child: { readonly bytes: number }, at: { readonly bytes: number }): boolean =>
      at.bytes + child.bytes <= range.start || at.bytes >= range.end;
    for await (const leaf of walkLeaves(version, topRef(version, "chunks"), isOutside)) {
      const segment = await this.#segmentOf(version, leaf);
      for (const [index, { start, end }] of segment.pieces.entries()) {
        if (segment.origin + end <= range.start) continue;
        if (segment.origin + start >= range.end) return;
        yield { segment, index };
      }
    }
  }

  async #segmentOf(version: Version, leaf: Leaf): Promise<Segment> {
    const { digest } = leaf.ref;
    // The plan of an inline page is the version's own.
    const key = version.pages.isInline(digest) ? `${version.digest}:${digest}` : digest;
    const { isLocal, pieceBytes } = this.#options;
    const limits = { rawBytesMax: isLocal ? STORED_BYTES_MAX : pieceBytes, decodedBytesMax: pieceBytes };
    const pieces = await this.#pieces.get(key, () =>
      piecesOf(version, spansOf(leaf.page, { digest, items: leaf.items, bytes: leaf.bytes }), limits),
    );
    return { key, origin: leaf.bytes, leaf, pieces };
  }

  /** Begins with the piece that holds `wanted.start`; `stop` is how far that goes. */
  #begin(
    version: Version,
    segment: Segment,
    index: number,
    wanted: ByteRange,
  ): { readonly loading: Promise<Loaded>; readonly stop: number } {
    const piece = must(segment.pieces[index], "the index is a piece's");
    const { start } = wanted;
    if (piece.kind !== "raw" || !this.#options.isLocal) {
      const part = { start, end: Math.min(piece.end, wanted.end) };
      return { loading: this.#decode(version, segment, piece, part), stop: part.end };
    }
    const buffer = this.#buffers.take(wanted.end - start);
    const limit = Math.min(wanted.end, start + buffer.byteLength);
    const run = [piece];
    for (const next of segment.pieces.slice(index + 1)) {
      if (next.start >= limit || next.kind !== "raw" || !follows(run.at(-1)?.stored, next.stored)) break;
      run.push(next);
    }
    const stop = Math.min(limit, run.at(-1)?.end ?? limit);
    return { loading: this.#readRaw(version, segment, run, { start, end: stop }, buffer), stop };
  }

  async #decode(version: Version, segment: Segment, piece: Piece, part: ByteRange): Promise<Loaded> {
    const { start, end } = piece;
    // Counted until it is sent, whether it is kept or not: a small one takes the memory of a whole one.
    const uncount = this.#buffers.count(Math.max(end - start, this.#options.pieceBytes));
    try {
      const held = await this.#decoded.hold(version, segment.leaf.ref.digest, piece);
      const release = (isFree: boolean): void => {
        held.release(isFree);
        uncount();
      };
      return { bytes: held.bytes.subarray(part.start - start, part.end - start), release };
    } catch (error) {
      uncount();
      return this.#readAnew(version, segment, part, error);
    }
  }

  /** A part of pieces that lie one after another. */
  async #readRaw(
    version: Version,
    segment: Segment,
    run: readonly Piece[],
    part: ByteRange,
    buffer: Buffer,
  ): Promise<Loaded> {
    const release = (isFree: boolean): void => {
      this.#buffers.give(buffer, isFree);
    };
    try {
      await Promise.all(run.map((piece) => this.#work.verify(piece)));
      const first = must(run[0], "a run has a piece");
      const { block, offset } = must(first.stored, "it is stored raw");
      const start = offset + part.start - first.start;
      const range = { start, end: start + part.end - part.start };
      return { bytes: await this.#engine.store.blocks.read(block, range, { into: buffer }), release };
    } catch (error) {
      release(false);
      return this.#readAnew(version, segment, part, error);
    }
  }

  /** A part that was not to be had where it was thought to lie; `error` tells why. */
  async #readAnew(version: Version, segment: Segment, part: ByteRange, error: unknown): Promise<Loaded> {
    if (!ELSEWHERE.has(codeOf(error))) throw error;
    const { key, leaf, origin } = segment;
    this.#pieces.remove(key);
    version.plans.forget(leaf.ref.digest);
    version.plans.forget(version.digest);
    const again: Uint8Array[] = [];
    const reader = new ChunkReader(this.#engine, version);
    for await (const bytes of reader.readRange(origin + part.start, origin + part.end)) again.push(bytes);
    return { bytes: Buffer.concat(again), release: () => undefined };
  }
}

function costOf(pieces: readonly Piece[]): number {
  let bytes = PIECE_COST_BYTES;
  for (const { frames, spans = [] } of pieces) {
    const framesBytes = frames === undefined ? 0 : frames.frames.byteLength + frames.digests.byteLength;
    bytes += PIECE_COST_BYTES + framesBytes + spans.length * SPAN_COST_BYTES;
  }
  return bytes;
}

/** Gives the first, and returns how many bytes that were. */
async function* giveFirst(ahead: Promise<Loaded>[]): AsyncGenerator<Uint8Array, number> {
  const { bytes, release } = await must(ahead.shift(), "something is ahead");
  const { byteLength } = bytes;
  let isTaken = false;
  try {
    yield bytes;
    isTaken = true;
  } finally {
    // A reader that leaves may have begun a write that nobody can call back.
    release(isTaken);
  }
  return byteLength;
}
