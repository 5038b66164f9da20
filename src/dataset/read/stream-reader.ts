/** Reading ranges of versions again and again, for many at once. */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError, codeOf, type ErrorCode } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { raced } from "../../base/raced.ts";
import type { WaitOptions } from "../../base/shared-call.ts";
import type { ReadEngine } from "../engine.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import type { Version } from "../version/version.ts";
import { Buffers } from "./buffers.ts";
import type { DiskPieces } from "./disk-pieces.ts";
import { PieceCache, type PieceFigures } from "./piece-cache.ts";
import { follows, STORED_BYTES_MAX, type Piece } from "./pieces.ts";
import { pieceAt, Segments, type Segment } from "./segments.ts";

/** The share of the engine's memory that buffers under way may take. */
const BUFFERS_SHARE = 1 / 4;
/** What one reader reads ahead, unless memory is scarce; of a store on another machine more is on its way. */
const AHEAD_BYTES_MAX = 3 * MiB;
const FAR_AHEAD_BYTES_MAX = 16 * MiB;
/** What may be read ahead for requests that have not come yet, together; at most a share of the engine's memory. */
const PREFETCH_BYTES_MAX = 32 * MiB;
const PREFETCH_SHARE = 1 / 8;
/** So long reading ahead waits for a piece: one that nobody else waits for then is given up. */
const PREFETCH_MS_MAX = 30_000;
/** The first part of what is read as it lies is small: it is sent while the next one is read. */
const FIRST_BYTES = 128 * KiB;

/** What reading says of bytes that may have been written elsewhere meanwhile. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "OBJECT_CORRUPT", "RANGE_INVALID"]);

/** Bytes to give, and what takes their memory back: to be used again when `isFree`, else left to whoever still reads it. */
interface Loaded {
  readonly bytes: Uint8Array;
  readonly release: (isFree: boolean) => void;
}

/** A range in memory: parts in order, which hold until they are released; `isFree`: nobody reads them any more. */
export interface HeldRange {
  readonly parts: readonly Uint8Array[];
  readonly release: (isFree: boolean) => void;
}

/** The same on its way, and how many bytes it will be. */
interface Loading {
  readonly loading: Promise<Loaded>;
  readonly bytes: number;
}

/** Made once: an error costs more than the reading of what is at hand. */
const LEFT = new AetherError("CANCELLED", "the reader has left");

/** Who reads what. */
interface Reading extends WaitOptions {
  readonly version: Version;
  readonly range: ByteRange;
}

/** A reader that may leave by its signal or without. What it waits with is made when it has to wait: mostly all is at hand. */
class LeavingReader implements Reading {
  readonly version: Version;
  readonly range: ByteRange;
  readonly #outer: AbortSignal | undefined;
  #leaving: AbortController | undefined;
  #hasLeft = false;

  constructor(version: Version, range: ByteRange, outer: AbortSignal | undefined) {
    this.version = version;
    this.range = range;
    this.#outer = outer;
  }

  get signal(): AbortSignal {
    if (this.#leaving !== undefined) return this.#leaving.signal;
    this.#leaving = new AbortController();
    // What it began may fail, and try again, after it left.
    if (this.#hasLeft || this.#outer?.aborted === true) this.leave();
    else this.#outer?.addEventListener("abort", this.leave, { once: true });
    return this.#leaving.signal;
  }

  /** Ends all that was begun for it, if it is not over. */
  readonly leave = (): void => {
    this.#hasLeft = true;
    this.#outer?.removeEventListener("abort", this.leave);
    this.#leaving?.abort(this.#outer?.reason ?? LEFT);
  };
}

/** A part of pieces that lie one after another, and memory for it. */
interface RawRun {
  readonly run: readonly Piece[];
  readonly part: ByteRange;
  readonly buffer: Buffer;
}

/** Options of StreamReader.read. */
export interface StreamReadOptions extends WaitOptions {
  /** What will probably be asked for then, and is fetched once the first piece is there. */
  readonly next?: ByteRange | undefined;
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
  readonly #segments: Segments;
  readonly #decoded: PieceCache;
  readonly #buffers: Buffers;
  #prefetchBytes = 0;

  constructor(engine: ReadEngine, options: StreamReaderOptions) {
    const { memoryBytes } = engine;
    this.#engine = engine;
    this.#options = options;
    const { isLocal, pieceBytes } = options;
    this.#segments = new Segments({
      rawBytesMax: isLocal ? STORED_BYTES_MAX : pieceBytes,
      decodedBytesMax: pieceBytes,
    });
    this.#decoded = new PieceCache(engine, options);
    this.#buffers = new Buffers(memoryBytes * BUFFERS_SHARE);
  }

  /** Where decoded pieces came from; what lies raw on a disk of this machine is not among them. */
  get figures(): PieceFigures {
    return this.#decoded.figures;
  }

  /**
   * The bytes of a range of the version's stream, which lies in it. Each piece holds only until the next is asked for:
   * its memory is used again. A reader that leaves ends what was fetched for it alone: also by its signal, while it waits.
   * Errors: those of ChunkReader.readRange; the signal's reason.
   */
  async *read(
    version: Version,
    range: ByteRange,
    { next, signal }: StreamReadOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const reading = new LeavingReader(version, range, signal);
    const ahead: Loading[] = [];
    const aheadBytesMax = this.#options.isLocal ? AHEAD_BYTES_MAX : FAR_AHEAD_BYTES_MAX;
    let aheadBytes = 0;
    let [expected, at] = [next, range.start];
    let segment: Segment | undefined;
    const segments = this.#segments.of(version, range);
    try {
      for (;;) {
        signal?.throwIfAborted();
        while (
          at < range.end &&
          (ahead.length === 0 || (aheadBytes < aheadBytesMax && !this.#buffers.isScarce))
        ) {
          if (segment === undefined || at >= segment.end) segment = await nextOf(segments, signal);
          const loading = this.#begin(reading, segment, at);
          ahead.push(loading);
          at += loading.bytes;
          aheadBytes += loading.bytes;
        }
        const first = ahead[0];
        if (first === undefined) return;
        const { bytes, release } = await first.loading;
        ahead.shift();
        aheadBytes -= first.bytes;
        // Not before: what was asked for comes first.
        if (expected !== undefined) void this.prefetch(version, expected);
        expected = undefined;
        let isTaken = false;
        try {
          yield bytes;
          isTaken = true;
        } finally {
          // A reader that leaves may have begun a write that nobody can call back.
          release(isTaken);
        }
      }
    } finally {
      reading.leave();
      for (const { loading } of ahead) {
        const left = await loading.catch(() => undefined);
        left?.release(true);
      }
    }
  }

  /**
   * The bytes of a range of the version's stream, which lies in it, all at once: for ranges that are short, since memory does not
   * bound it. Errors: those of ChunkReader.readRange; the signal's reason.
   */
  async hold(version: Version, range: ByteRange, { signal }: WaitOptions = {}): Promise<HeldRange> {
    const reading = { version, range, signal };
    const parts: Promise<Loaded>[] = [];
    const segments = this.#segments.of(version, range);
    let segment: Segment | undefined;
    try {
      for (let at = range.start; at < range.end;) {
        if (segment === undefined || at >= segment.end) segment = await nextOf(segments, signal);
        const { loading, bytes } = this.#begin(reading, segment, at);
        parts.push(loading);
        at += bytes;
      }
      const loaded = await Promise.all(parts);
      return {
        parts: loaded.map(({ bytes }) => bytes),
        release: (isFree) => {
          for (const { release } of loaded) release(isFree);
        },
      };
    } catch (error) {
      for (const part of parts) {
        part.then(
          ({ release }) => {
            release(true);
          },
          () => undefined,
        );
      }
      throw error;
    }
  }

  /**
   * Decodes and verifies a range that somebody will probably ask for soon; nothing while much else is read ahead. The signal ends
   * it, and so does time. Never rejects: who reads meets the error.
   */
  async prefetch(version: Version, range: ByteRange, { signal }: WaitOptions = {}): Promise<void> {
    const bytes = range.end - range.start;
    const bytesMax = Math.min(PREFETCH_BYTES_MAX, this.#engine.memoryBytes * PREFETCH_SHARE);
    if (this.#buffers.isScarce || this.#prefetchBytes + bytes > bytesMax) return;
    this.#prefetchBytes += bytes;
    const reading = new LeavingReader(version, range, signal);
    const holds: Promise<void>[] = [];
    try {
      for await (const { leaf, origin, pieces } of this.#segments.of(version, range)) {
        for (const piece of pieces) {
          if (origin + piece.end <= range.start || origin + piece.start >= range.end) continue;
          if (this.#decoded.liesReady(leaf, piece) || this.#decoded.has(leaf, piece)) continue;
          const hold = this.#decoded.hold(version, leaf, piece, reading);
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
      }
    } catch {
      // What is not to be had is told to who reads it.
    }
    if (holds.length > 0) {
      const over = new AbortController();
      this.#engine.clock.sleep(PREFETCH_MS_MAX, over.signal).then(reading.leave, () => undefined);
      await Promise.all(holds);
      over.abort(LEFT);
    }
    reading.leave();
    this.#prefetchBytes -= bytes;
  }

  /** Begins with the piece that holds byte `at` of the stream. */
  #begin(reading: Reading, segment: Segment, at: number): Loading {
    const { range } = reading;
    const { leaf, origin, pieces } = segment;
    const index = pieceAt(segment, at - origin);
    const piece = must(pieces[index], "the index is a piece's");
    if (!this.#decoded.liesReady(leaf, piece)) {
      const part = { start: at - origin, end: Math.min(piece.end, range.end - origin) };
      return loadingOf(this.#decode(reading, segment, piece, part), part);
    }
    const firstEnd = at === range.start ? at + FIRST_BYTES : Infinity;
    const wanted = { start: at - origin, end: Math.min(range.end, segment.end, firstEnd) - origin };
    const buffer = this.#buffers.take(wanted.end - wanted.start);
    const limit = Math.min(wanted.end, wanted.start + buffer.byteLength);
    const run = [piece];
    for (let following = index + 1; ; following++) {
      const next = pieces[following];
      if (next === undefined || next.start >= limit || !this.#decoded.liesReady(leaf, next)) break;
      if (!follows(run.at(-1)?.stored, next.stored)) break;
      run.push(next);
    }
    const part = { start: wanted.start, end: Math.min(limit, run.at(-1)?.end ?? limit) };
    return loadingOf(this.#readRaw(reading, segment, { run, part, buffer }), part);
  }

  async #decode(reading: Reading, segment: Segment, piece: Piece, part: ByteRange): Promise<Loaded> {
    const { start, end } = piece;
    // Counted until it is sent, whether it is kept or not: a small one takes the memory of a whole one.
    const uncount = this.#buffers.count(Math.max(end - start, this.#options.pieceBytes));
    try {
      const held = await this.#decoded.hold(reading.version, segment.leaf, piece, reading);
      const release = (isFree: boolean): void => {
        held.release(isFree);
        uncount();
      };
      return { bytes: held.bytes.subarray(part.start - start, part.end - start), release };
    } catch (error) {
      uncount();
      return this.#readAnew(reading, segment, part, error);
    }
  }

  /** A part of pieces that lie one after another, and were verified. */
  async #readRaw(reading: Reading, segment: Segment, { run, part, buffer }: RawRun): Promise<Loaded> {
    const release = (isFree: boolean): void => {
      this.#buffers.give(buffer, isFree);
    };
    try {
      const first = must(run[0], "a run has a piece");
      const { block, offset } = must(first.stored, "it is stored raw");
      const start = offset + part.start - first.start;
      const range = { start, end: start + part.end - part.start };
      return { bytes: await this.#engine.store.blocks.read(block, range, { into: buffer }), release };
    } catch (error) {
      release(false);
      return this.#readAnew(reading, segment, part, error);
    }
  }

  /** A part that was not to be had where it was thought to lie; `error` tells why. */
  async #readAnew(
    { version, signal }: Reading,
    segment: Segment,
    part: ByteRange,
    error: unknown,
  ): Promise<Loaded> {
    if (!ELSEWHERE.has(codeOf(error))) throw error;
    const { leaf, origin } = segment;
    this.#segments.forget(segment);
    version.plans.forget(leaf);
    version.plans.forget(version.digest);
    signal?.throwIfAborted();
    const again: Uint8Array[] = [];
    const reader = new ChunkReader(this.#engine, version, signal);
    for await (const bytes of reader.readRange(origin + part.start, origin + part.end)) again.push(bytes);
    return { bytes: Buffer.concat(again), release: () => undefined };
  }
}

async function nextOf(
  segments: AsyncIterator<Segment, void>,
  signal: AbortSignal | undefined,
): Promise<Segment> {
  const next = segments.next();
  const { value } = await (signal === undefined ? next : raced(next, signal));
  if (value !== undefined) return value;
  throw new AetherError("OBJECT_INVALID", "a version's pages have fewer bytes than its root says");
}

function loadingOf(loading: Promise<Loaded>, { start, end }: ByteRange): Loading {
  // Seen again when its turn comes; until then a failure is no unhandled one.
  loading.catch(() => undefined);
  return { loading, bytes: end - start };
}
