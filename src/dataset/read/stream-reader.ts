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
import { DecodedPieces, type HeldBytes } from "./decoded-pieces.ts";
import { DECODED_PIECE_BYTES_MAX, follows, piecesOf, RAW_PIECE_BYTES_MAX, type Piece } from "./pieces.ts";
import { PieceWork } from "./piece-work.ts";

/** Shares of the engine's memory: decoded pieces that are kept, of plain frames and of others, and buffers under way. */
const DECODED_SHARE = 1 / 4;
const OTHERS_SHARE = 1 / 8;
const BUFFERS_SHARE = 1 / 4;
/** Memory of the places that are kept: enough for some 20 GiB of streams in chunks of 64 KiB. */
const PLACES_BYTES_MAX = 16 * MiB;
const PIECE_COST_BYTES = 300;
const SPAN_COST_BYTES = 150;
/** What one reader reads ahead, unless memory is scarce. */
const AHEAD_BYTES_MAX = 3 * MiB;
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

/**
 * Reads ranges of streams for many readers, with memory of its own. Every chunk is verified. What was decoded is kept for
 * a while; what is stored raw on a disk of this machine is verified when it is read first, and then taken as it is.
 */
export class StreamReader {
  readonly #engine: ReadEngine;
  readonly #isLocal: boolean;
  readonly #work: PieceWork;
  readonly #pieces = new LoadingCache<readonly Piece[]>(PLACES_BYTES_MAX, costOf);
  readonly #decoded: DecodedPieces;
  readonly #others: LoadingCache<Uint8Array>;
  readonly #buffers: Buffers;

  /** `isLocal`: the engine's store lies on a disk of this machine. */
  constructor(engine: ReadEngine, { isLocal }: { readonly isLocal: boolean }) {
    const { memoryBytes } = engine;
    this.#engine = engine;
    this.#isLocal = isLocal;
    this.#work = new PieceWork(engine);
    this.#decoded = new DecodedPieces(memoryBytes * DECODED_SHARE);
    this.#others = new LoadingCache(memoryBytes * OTHERS_SHARE, (bytes) => bytes.byteLength);
    this.#buffers = new Buffers(memoryBytes * BUFFERS_SHARE);
  }

  /**
   * The bytes of a range of the version's stream, which lies in it. Each piece holds only until the next is asked for:
   * its memory is used again. Errors: those of ChunkReader.readRange.
   */
  async *read(version: Version, range: ByteRange): AsyncGenerator<Uint8Array> {
    const ahead: Promise<Loaded>[] = [];
    let aheadBytes = 0;
    try {
      for await (const { loading, bytes } of this.#loads(version, range)) {
        // Seen again when its turn comes; until then a failure is no unhandled one.
        loading.catch(() => undefined);
        ahead.push(loading);
        aheadBytes += bytes;
        while (ahead.length > 0 && (aheadBytes >= AHEAD_BYTES_MAX || this.#buffers.isScarce)) {
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

  /** Begins to load one part of the range after another. */
  async *#loads(version: Version, range: ByteRange): AsyncGenerator<Loading> {
    if (range.start === range.end) return;
    const isOutside = (child: { readonly bytes: number }, at: { readonly bytes: number }): boolean =>
      at.bytes + child.bytes <= range.start || at.bytes >= range.end;
    for await (const leaf of walkLeaves(version, topRef(version, "chunks"), isOutside)) {
      const segment = await this.#segmentOf(version, leaf);
      const { origin, pieces } = segment;
      const end = Math.min(range.end - origin, pieces.at(-1)?.end ?? 0);
      let at = Math.max(range.start - origin, 0);
      let index = 0;
      while (at < end) {
        while (must(pieces[index], "pieces cover their leaf").end <= at) index++;
        const soonEnd = origin + at === range.start ? Math.min(end, at + FIRST_BYTES) : end;
        const { loading, stop } = this.#begin(version, segment, index, { start: at, end: soonEnd });
        yield { loading, bytes: stop - at };
        at = stop;
      }
    }
  }

  async #segmentOf(version: Version, leaf: Leaf): Promise<Segment> {
    const { digest } = leaf.ref;
    // The plan of an inline page is the version's own.
    const key = version.pages.isInline(digest) ? `${version.digest}:${digest}` : digest;
    const rawBytesMax = this.#isLocal ? RAW_PIECE_BYTES_MAX : DECODED_PIECE_BYTES_MAX;
    const pieces = await this.#pieces.get(key, () =>
      piecesOf(version, spansOf(leaf.page, { digest, items: leaf.items, bytes: leaf.bytes }), rawBytesMax),
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
    if (piece.kind !== "raw" || !this.#isLocal) {
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
    // Counted until it is sent, whether it is kept or not.
    const uncount = this.#buffers.count(end - start);
    try {
      const held = await this.#hold(version, segment, piece);
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

  /** The whole piece, from memory or decoded. */
  async #hold(version: Version, segment: Segment, piece: Piece): Promise<HeldBytes> {
    const { start, end, spans } = piece;
    const key = `${segment.key}:${start}`;
    const bytes = end - start;
    if (spans === undefined) {
      return this.#decoded.hold(key, bytes, (output) => this.#work.decode(piece, output));
    }
    const read = (): Promise<Uint8Array> => new ChunkReader(this.#engine, version).read(spans);
    const found = await this.#others.get(key, () => this.#work.wait(bytes, read));
    return { bytes: found, release: () => undefined };
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
