/** Reads, hashes and cuts segments in shared memory. Synchronous: for the source's thread. */
import { createHash, hash, type Hash } from "node:crypto";
import fs from "node:fs";
import { assert, must } from "../../base/assert.ts";
import { AetherError, errnoOf } from "../../base/errors.ts";
import { Chunker, type ChunkerMemory } from "../../format/chunker.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { DIGEST_BYTES } from "../../format/digest.ts";
import { sourceError } from "./walk.ts";

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
export interface ScannedSpan {
  /** Ends of its chunks: the first begins at the span's start, each other one where the one before ends. */
  readonly chunkEnds: Uint32Array;
  /** Their digests, 32 bytes each. */
  readonly digests: Uint8Array;
  /** Files that ended in it. */
  readonly files: readonly ScannedFile[];
  /** Whether the segment ends with it. */
  readonly done: boolean;
  /** Whether everything of this segment before this span is void: its file changed and is read again. */
  readonly restarted: boolean;
}

/** A file of a segment as the walk saw it. */
export interface SegmentFile {
  readonly path: string;
  readonly size: number;
}

interface OpenFile {
  readonly fd: number;
  readonly before: fs.BigIntStats;
  readonly hasher: Hash;
  readBytes: number;
}

/** Scans one segment after another, span by span, each into the place it is told. */
export class SegmentScanner {
  readonly #fullPath: (path: string) => string;
  readonly #bytes: Uint8Array;
  readonly #chunker: Chunker;
  readonly #averageBytes: number;
  #files: readonly SegmentFile[] = [];
  #next = 0;
  #large: OpenFile | undefined;
  #tries = 0;
  /** What the last span left uncut. */
  #carry = { start: 0, end: 0 };

  /** `fullPath` gives where a walked path lies. */
  constructor(fullPath: (path: string) => string, chunking: ChunkingParameters, memory: ChunkerMemory) {
    this.#fullPath = fullPath;
    this.#bytes = new Uint8Array(memory.memory.buffer);
    this.#chunker = new Chunker(chunking, memory);
    this.#averageBytes = chunking.averageBytes;
  }

  /** Begins a segment: one file of at least the average size, or a run of smaller, non-empty ones. */
  open(files: readonly SegmentFile[]): void {
    assert(files.length > 0 && this.#next === this.#files.length, "the segment before is done");
    this.#files = files;
    this.#next = 0;
    this.#tries = 0;
    this.#carry = { start: 0, end: 0 };
  }

  /**
   * Reads on into [start,end) of the memory, which must hold twice the longest chunk. Errors: SOURCE_CHANGED when a file
   * is not what the walk saw any more, or does not hold still; SOURCE_UNREADABLE.
   */
  scan(start: number, end: number): ScannedSpan {
    const carried = this.#carry.end - this.#carry.start;
    this.#bytes.copyWithin(start, this.#carry.start, this.#carry.end);
    const isLarge = must(this.#files[0], "a segment is open").size >= this.#averageBytes;
    const from = start + carried;
    const read = isLarge ? this.#readLarge(from, end) : this.#readRun(from, end);
    const done = this.#next === this.#files.length;
    const dataEnd = read.end;
    const cutStart = read.restarted ? from : start;
    const chunkEnds = this.#chunker.cut(cutStart, dataEnd, done);
    const carryStart = chunkEnds.at(-1) ?? cutStart;
    this.#carry = done || read.restarted ? { start: 0, end: 0 } : { start: carryStart, end: dataEnd };
    if (read.restarted) {
      return { chunkEnds: new Uint32Array(0), digests: new Uint8Array(0), files: [], done: false, restarted: true };
    }
    const digests = this.#digests(start, chunkEnds);
    return { chunkEnds, digests, files: read.files, done, restarted: false };
  }

  /** Closes what an error left open. */
  close(): void {
    if (this.#large !== undefined) fs.closeSync(this.#large.fd);
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

  #readRun(start: number, end: number): { end: number; files: ScannedFile[]; restarted: boolean } {
    const files: ScannedFile[] = [];
    let at = start;
    for (let file = this.#files[this.#next]; file !== undefined; file = this.#files[this.#next]) {
      if (end - at < this.#averageBytes) break;
      const scanned = this.#readSmall(file, at);
      files.push(scanned);
      at += scanned.size;
      this.#next++;
    }
    return { end: at, files, restarted: false };
  }

  #readSmall(file: SegmentFile, at: number): ScannedFile {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const fd = this.#openFile(file);
      try {
        const before = fs.fstatSync(fd, { bigint: true });
        const size = Number(before.size);
        if (!before.isFile() || size === 0 || size >= this.#averageBytes) throw changed(file.path);
        const bytes = readFully(fd, this.#bytes.subarray(at, at + size));
        if (bytes < size || !isSame(before, fs.fstatSync(fd, { bigint: true }))) continue;
        return {
          size,
          mode: Number(before.mode & 0o7777n),
          mtimeNs: before.mtimeNs,
          digest: hash("sha256", this.#bytes.subarray(at, at + size), "hex"),
        };
      } catch (error) {
        throw error instanceof AetherError ? error : sourceError(error, file.path, "");
      } finally {
        fs.closeSync(fd);
      }
    }
    throw changed(file.path);
  }

  #readLarge(start: number, end: number): { end: number; files: ScannedFile[]; restarted: boolean } {
    const file = must(this.#files[0], "a segment is open");
    const open = (this.#large ??= this.#openLarge(file));
    const size = Number(open.before.size);
    const wanted = Math.min(end - start, size - open.readBytes);
    const view = this.#bytes.subarray(start, start + wanted);
    let bytes: number;
    try {
      bytes = readFully(open.fd, view);
    } catch (error) {
      throw sourceError(error, file.path, "");
    }
    open.hasher.update(view.subarray(0, bytes));
    open.readBytes += bytes;
    if (bytes === wanted && open.readBytes < size) return { end: start + bytes, files: [], restarted: false };
    const after = fs.fstatSync(open.fd, { bigint: true });
    this.close();
    if (bytes < wanted || !isSame(open.before, after)) {
      if (++this.#tries === TRIES_MAX) throw changed(file.path);
      return { end: start, files: [], restarted: true };
    }
    this.#next = 1;
    const scanned = {
      size,
      mode: Number(open.before.mode & 0o7777n),
      mtimeNs: open.before.mtimeNs,
      digest: open.hasher.digest("hex"),
    };
    return { end: start + bytes, files: [scanned], restarted: false };
  }

  #openLarge(file: SegmentFile): OpenFile {
    const fd = this.#openFile(file);
    const before = fs.fstatSync(fd, { bigint: true });
    if (!before.isFile() || before.size < BigInt(this.#averageBytes)) {
      fs.closeSync(fd);
      throw changed(file.path);
    }
    return { fd, before, hasher: createHash("sha256"), readBytes: 0 };
  }

  #openFile(file: SegmentFile): number {
    const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
    try {
      return fs.openSync(this.#fullPath(file.path), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ELOOP" || errno === "ENOTDIR") throw changed(file.path);
      throw sourceError(error, file.path, "");
    }
  }
}

function readFully(fd: number, view: Uint8Array): number {
  let total = 0;
  while (total < view.byteLength) {
    const bytes = fs.readSync(fd, view, total, view.byteLength - total, null);
    if (bytes === 0) break;
    total += bytes;
  }
  return total;
}

function isSame(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

function changed(path: string): AetherError {
  const message = `${JSON.stringify(path)} changed while it was read: push again when it holds still, or exclude it`;
  return new AetherError("SOURCE_CHANGED", message, { data: { path } });
}
