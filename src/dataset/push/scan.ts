/** Reads, hashes and cuts segments in shared memory. Synchronous: for the source's thread. */
import { createHash, hash, type Hash } from "node:crypto";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { Chunker, type ChunkerMemory } from "../../format/chunker.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { DIGEST_BYTES } from "../../format/digest.ts";
import type { SourceFile, SourceFiles } from "./source-files.ts";
import { changed, sourceError } from "./walk.ts";

/** Times that a file which changes under the reader is read again. */
const TRIES_MAX = 3;

/** A file as it was when it was read, whole and unchanged meanwhile. */
export interface ScannedFile {
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  /** SHA-256 in hex. */
  readonly digest: string;
}

/** A stretch of a segment, in the shared memory. */
export interface ScannedPiece {
  /** The segment's id. */
  readonly segment: number;
  /** Where the piece begins. */
  readonly start: number;
  /** Ends of its chunks: the first begins at the piece's start, each other one where the one before ends. */
  readonly chunkEnds: Uint32Array;
  /** Their digests, 32 bytes each. */
  readonly digests: Uint8Array;
  /** Files that ended in it. */
  readonly files: readonly ScannedFile[];
  /** Whether the segment ends with it. */
  readonly done: boolean;
  /** Whether everything of this segment before is void: its file changed and is read again. */
  readonly restarted: boolean;
}

/** A segment to be scanned: one file of at least the average size, or a run of smaller, non-empty ones. */
export interface SegmentRequest {
  readonly id: number;
  readonly files: readonly SegmentFile[];
  /** Whether more of a run follows, in the next request: of the same id, and perhaps without files. */
  readonly continues: boolean;
}

/** A file of a segment as the walk saw it. */
export interface SegmentFile {
  readonly path: string;
  readonly size: number;
}

/** What a read brought: where it ends, and the files that ended in it. */
interface Read {
  readonly end: number;
  readonly files: readonly ScannedFile[];
  readonly restarted: boolean;
}

interface OpenFile {
  readonly file: SourceFile;
  readonly hasher: Hash;
  readBytes: number;
}

/** Scans one segment after another into slots of the shared memory. */
export class SegmentScanner {
  readonly #files: SourceFiles;
  readonly #bytes: Uint8Array;
  readonly #chunker: Chunker;
  readonly #averageBytes: number;
  readonly #waiting: SegmentRequest[] = [];
  #segment: SegmentRequest | undefined;
  #next = 0;
  /** Whether the last piece was not its segment's last. */
  #isInside = false;
  #large: OpenFile | undefined;
  #tries = 0;
  /** What the last piece left uncut. */
  #carry = { start: 0, end: 0 };

  constructor(files: SourceFiles, chunking: ChunkingParameters, memory: ChunkerMemory) {
    this.#files = files;
    this.#bytes = new Uint8Array(memory.memory.buffer);
    this.#chunker = new Chunker(chunking, memory);
    this.#averageBytes = chunking.averageBytes;
  }

  /** Adds segments to those that wait. */
  enqueue(segments: readonly SegmentRequest[]): void {
    this.#waiting.push(...segments);
  }

  /**
   * Reads segments in order into [start,end) of the memory, which must hold twice the longest chunk, until it is full or
   * nothing waits. A segment that does not fit goes on in the next call. Errors: SOURCE_CHANGED when a file is not what
   * the walk saw any more, or does not hold still; SOURCE_UNREADABLE.
   */
  fill(start: number, end: number): ScannedPiece[] {
    const pieces: ScannedPiece[] = [];
    for (let at = start; ;) {
      const segment = (this.#segment ??= this.#begin());
      if (segment === undefined || (at > start && !this.#fits(segment, end - at))) return pieces;
      const piece = this.#scan(segment, at, end);
      pieces.push(piece);
      if (piece.restarted) continue;
      if (this.#next === segment.files.length) this.#segment = undefined;
      this.#isInside = !piece.done;
      if (!piece.done) return pieces;
      at = piece.chunkEnds.at(-1) ?? at;
    }
  }

  #begin(): SegmentRequest | undefined {
    this.#next = 0;
    this.#tries = 0;
    if (!this.#isInside) this.#carry = { start: 0, end: 0 };
    return this.#waiting.shift();
  }

  /** Whether the whole segment most likely fits: a piece of one is worth a fresh slot. */
  #fits(segment: SegmentRequest, roomBytes: number): boolean {
    let needed = this.#averageBytes;
    for (const file of segment.files) needed += file.size;
    return needed <= roomBytes;
  }

  #scan(segment: SegmentRequest, start: number, end: number): ScannedPiece {
    const from = start + this.#carry.end - this.#carry.start;
    this.#bytes.copyWithin(start, this.#carry.start, this.#carry.end);
    const isLarge = (segment.files[0]?.size ?? 0) >= this.#averageBytes;
    const read = isLarge ? this.#readLarge(segment, from, end) : this.#readRun(segment, from, end);
    if (read.restarted) {
      this.#carry = { start: 0, end: 0 };
      const nothing = { chunkEnds: new Uint32Array(0), digests: new Uint8Array(0), files: [] };
      return { segment: segment.id, start, ...nothing, done: false, restarted: true };
    }
    const done = this.#next === segment.files.length && !segment.continues;
    const chunkEnds = this.#chunker.cut(start, read.end, done);
    this.#carry = { start: chunkEnds.at(-1) ?? start, end: read.end };
    const digests = this.#digests(start, chunkEnds);
    return { segment: segment.id, start, chunkEnds, digests, files: read.files, done, restarted: false };
  }

  /** Closes what an error left open. */
  close(): void {
    this.#large?.file.close();
    this.#large = undefined;
  }

  #digests(start: number, chunkEnds: Uint32Array): Uint8Array {
    const digests = new Uint8Array(chunkEnds.length * DIGEST_BYTES);
    let from = start;
    for (const [index, to] of chunkEnds.entries()) {
      digests.set(hash("sha256", this.#bytes.subarray(from, to), "buffer"), index * DIGEST_BYTES);
      from = to;
    }
    return digests;
  }

  #readRun(segment: SegmentRequest, start: number, end: number): Read {
    const files: ScannedFile[] = [];
    let at = start;
    for (let file = segment.files[this.#next]; file !== undefined; file = segment.files[this.#next]) {
      if (end - at < this.#averageBytes) break;
      const scanned = this.#readSmall(file, at);
      files.push(scanned);
      at += scanned.size;
      this.#next++;
    }
    return { end: at, files, restarted: false };
  }

  #readSmall({ path }: SegmentFile, at: number): ScannedFile {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const file = this.#files.open(path);
      try {
        const { size, mode, mtimeNs } = file;
        if (size === 0 || size >= this.#averageBytes) throw changed(path);
        const view = this.#bytes.subarray(at, at + size);
        if (file.read(view) < size || !file.isUnchanged()) continue;
        return { size, mode, mtimeNs, digest: hash("sha256", view, "hex") };
      } catch (error) {
        throw error instanceof AetherError ? error : sourceError(error, path, "");
      } finally {
        file.close();
      }
    }
    throw changed(path);
  }

  #readLarge(segment: SegmentRequest, start: number, end: number): Read {
    const file = must(segment.files[0], "a segment has a file");
    const open = (this.#large ??= this.#openLarge(file));
    const { size, mode, mtimeNs } = open.file;
    const wanted = Math.min(end - start, size - open.readBytes);
    const view = this.#bytes.subarray(start, start + wanted);
    let bytes: number;
    try {
      bytes = open.file.read(view);
    } catch (error) {
      throw error instanceof AetherError ? error : sourceError(error, file.path, "");
    }
    open.hasher.update(view.subarray(0, bytes));
    open.readBytes += bytes;
    if (bytes === wanted && open.readBytes < size) return { end: start + bytes, files: [], restarted: false };
    const isWhole = bytes === wanted && open.file.isUnchanged();
    this.close();
    if (!isWhole) {
      if (++this.#tries === TRIES_MAX) throw changed(file.path);
      return { end: start, files: [], restarted: true };
    }
    this.#next = 1;
    const scanned = { size, mode, mtimeNs, digest: open.hasher.digest("hex") };
    return { end: start + bytes, files: [scanned], restarted: false };
  }

  #openLarge({ path }: SegmentFile): OpenFile {
    const file = this.#files.open(path);
    if (file.size < this.#averageBytes) {
      file.close();
      throw changed(path);
    }
    return { file, hasher: createHash("sha256"), readBytes: 0 };
  }
}
