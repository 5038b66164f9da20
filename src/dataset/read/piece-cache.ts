import { copyBytes } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { WaitOptions } from "../../base/shared-call.ts";
import type { Digest } from "../../format/digest.ts";
import type { ReadEngine } from "../engine.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import type { Version } from "../version/version.ts";
import { DecodedPieces, type HeldBytes } from "./decoded-pieces.ts";
import type { DiskPieces } from "./disk-pieces.ts";
import { PieceWork } from "./piece-work.ts";
import { STORED_BYTES_MAX, type Piece } from "./pieces.ts";

/** Shares of the engine's memory: pieces of the usual size, and larger ones. */
const PIECES_SHARE = 3 / 8;
const LARGE_SHARE = 1 / 16;
/** Of what lies raw on a disk of this machine: what was verified, and is read for the first time. */
const RAW_SHARE = 1 / 16;
const RAW_BYTES_MAX = 16 * MiB;

/** What decoding a piece with deltas takes besides: their bases. */
const OTHERS_BYTES = 8 * MiB;
/** Keys that are remembered of pieces that are not kept: some 6 MB, for 16 GiB of content. */
const DECODED_BEFORE_MAX = 32_768;

/** How large pieces are, and where they are kept besides. */
export interface PieceCacheOptions {
  /** The engine's store lies on a disk of this machine. */
  readonly isLocal: boolean;
  readonly pieceBytes: number;
  readonly disk: DiskPieces | undefined;
}

/** Where pieces came from since the process began: how often, and how many bytes. */
export interface PieceFigures {
  readonly memory: PieceCount;
  readonly disk: PieceCount;
  /** From the store. */
  readonly decoded: PieceCount;
}

/** How many, and their bytes together. */
export interface PieceCount {
  pieces: number;
  bytes: number;
}

function count(counted: PieceCount, bytes: number): void {
  counted.pieces++;
  counted.bytes += bytes;
}

/** The same bytes whatever plan led to them. */
function keyOf(leaf: Digest, { start, end }: Piece): string {
  return `${leaf}-${start}-${end - start}`;
}

/** A piece on its way, and the memory that it is written to. */
interface Loading {
  readonly key: string;
  readonly piece: Piece;
  readonly output: SharedArrayBuffer;
}

/** Decoded pieces: from memory, else from the disk's cache, else decoded. Whatever comes in is verified then, and not again. */
export class PieceCache {
  readonly #engine: ReadEngine;
  readonly #options: PieceCacheOptions;
  readonly #work: PieceWork;
  readonly #pieces: DecodedPieces;
  readonly #large: LoadingCache<Uint8Array>;
  readonly #raw: DecodedPieces;
  /** Grows by itself. */
  readonly figures: PieceFigures = {
    memory: { pieces: 0, bytes: 0 },
    disk: { pieces: 0, bytes: 0 },
    decoded: { pieces: 0, bytes: 0 },
  };
  /** Keys of what was decoded and not written, the oldest first. */
  readonly #decodedBefore = new Set<string>();

  constructor(engine: ReadEngine, options: PieceCacheOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#work = new PieceWork({ engine, isLocal: options.isLocal });
    const { memoryBytes } = engine;
    this.#pieces = new DecodedPieces(memoryBytes * PIECES_SHARE, options.pieceBytes);
    this.#large = new LoadingCache(memoryBytes * LARGE_SHARE, (bytes) => bytes.byteLength);
    this.#raw = new DecodedPieces(Math.min(RAW_BYTES_MAX, memoryBytes * RAW_SHARE), STORED_BYTES_MAX);
  }

  /** Whether the piece is in memory, or on its way there. */
  has(leaf: Digest, piece: Piece): boolean {
    const key = keyOf(leaf, piece);
    return this.#pieces.has(key) || this.#large.has(key) || this.#raw.has(key);
  }

  /** Whether the piece is to be read where it lies, on a disk of this machine: it is stored raw, was verified there, and is not in memory. */
  liesReady(leaf: Digest, piece: Piece): boolean {
    return this.#isInPlace(piece) && piece.isDiskVerified && !this.#raw.has(keyOf(leaf, piece));
  }

  #isInPlace({ kind }: Piece): boolean {
    return kind === "raw" && this.#options.isLocal;
  }

  /**
   * The whole piece, of a leaf page with this digest. Fetching it ends when nobody waits for it any more. Errors: those of
   * PieceWork.decode and ChunkReader.read; the signal's reason, for who gives up.
   */
  async hold(version: Version, leaf: Digest, piece: Piece, options?: WaitOptions): Promise<HeldBytes> {
    const { start, end } = piece;
    const bytes = end - start;
    const key = keyOf(leaf, piece);
    if (this.#isInPlace(piece)) {
      const load = async (output: SharedArrayBuffer, wanted: AbortSignal): Promise<void> => {
        await this.#work.decode(piece, output, wanted);
        piece.isDiskVerified = true;
      };
      return await this.#raw.hold(key, bytes, load, options);
    }
    const origin = { isFound: true };
    const missing = <T>(load: () => Promise<T>): Promise<T> => {
      origin.isFound = false;
      return load();
    };
    const held =
      bytes <= this.#options.pieceBytes
        ? this.#pieces.hold(
            key,
            bytes,
            (output, wanted) => missing(() => this.#load(version, { key, piece, output }, wanted)),
            options,
          )
        : this.#holdLarge(
            key,
            (wanted) => missing(() => this.#loadLarge(version, key, piece, wanted)),
            options,
          );
    if (origin.isFound) count(this.figures.memory, bytes);
    return await held;
  }

  async #holdLarge(
    key: string,
    read: (wanted: AbortSignal) => Promise<Uint8Array>,
    options: WaitOptions | undefined,
  ): Promise<HeldBytes> {
    return { bytes: await this.#large.get(key, read, options), release: () => undefined };
  }

  async #loadLarge(version: Version, key: string, piece: Piece, wanted: AbortSignal): Promise<Uint8Array> {
    const output = new SharedArrayBuffer(piece.end - piece.start);
    await this.#load(version, { key, piece, output }, wanted);
    return new Uint8Array(output);
  }

  async #load(version: Version, { key, piece, output }: Loading, wanted: AbortSignal): Promise<void> {
    const { disk } = this.#options;
    const bytes = new Uint8Array(output, 0, piece.end - piece.start);
    if (disk !== undefined && (await disk.read(key, bytes))) {
      if (await this.#isRight(piece, output)) {
        count(this.figures.disk, bytes.byteLength);
        return;
      }
      await disk.remove(key);
    }
    if (piece.spans === undefined) {
      count(this.figures.decoded, bytes.byteLength);
      await this.#work.decode(piece, output, wanted);
    } else copyBytes(await this.#read(version, piece, wanted), bytes);
    piece.isDiskVerified = true;
    if (this.#isWorthWriting(key)) await disk?.write(key, bytes);
  }

  /** What comes from a disk of this machine is decoded again sooner than written, unless it is wanted again and again. */
  #isWorthWriting(key: string): boolean {
    if (!this.#options.isLocal || this.#decodedBefore.delete(key)) return true;
    this.#decodedBefore.add(key);
    for (const oldest of this.#decodedBefore) {
      if (this.#decodedBefore.size <= DECODED_BEFORE_MAX) break;
      this.#decodedBefore.delete(oldest);
    }
    return false;
  }

  /** A disk's bytes are verified once in the life of this process, as a store's raw ones are. */
  async #isRight(piece: Piece, output: SharedArrayBuffer): Promise<boolean> {
    if (piece.isDiskVerified) return true;
    try {
      await this.#work.check(piece, output);
    } catch (error) {
      if (codeOf(error) === "OBJECT_CORRUPT") return false;
      throw error;
    }
    piece.isDiskVerified = true;
    return true;
  }

  #read(version: Version, { spans = [], start, end }: Piece, wanted: AbortSignal): Promise<Uint8Array> {
    count(this.figures.decoded, end - start);
    const read = (): Promise<Uint8Array> => new ChunkReader(this.#engine, version, wanted).read(spans);
    return this.#work.wait(Math.max(end - start, OTHERS_BYTES), read, wanted);
  }
}
