/** Builds files out of units: fetched, then decoded and written by threads. */
import { must } from "../../base/assert.ts";
import type { Digest } from "../../format/digest.ts";
import type { FileEntry } from "../../format/entry.ts";
import type { ReadEngine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import type { FilePiece, FileToWrite } from "../workers/write-task.ts";
import { ChunkReader, UNIT_BYTES } from "../version/chunk-reader.ts";
import { chunks, type ChunkSpan } from "../version/chunks.ts";
import type { Version } from "../version/version.ts";
import type { LocalChunks } from "./local-chunks.ts";
import { stagedName } from "./staging.ts";

/** Files that one task finishes at most. */
const UNIT_FILES_MAX = 1024;
/** Chunks that one task decodes at most. */
const UNIT_CHUNKS_MAX = 1024;

/** A file to build. */
export interface FileToBuild {
  readonly entry: FileEntry;
  /** Where it begins in the stream. */
  readonly start: number;
  /** Whether it goes to its place as soon as it is whole; else it stays staged. */
  readonly isPlaced: boolean;
  /** Whether an earlier pull left a part of it staged. */
  readonly hasPart: boolean;
}

interface OpenFile extends FileToBuild {
  /** Bytes that units have taken on, or that were there. */
  assignedBytes: number;
  /** Of those, the ones on the disk. */
  writtenBytes: number;
  isFinished: boolean;
}

/** What a unit has of a file. */
interface Part {
  readonly file: OpenFile;
  readonly pieces: readonly FilePiece[];
}

/** What a writer works with. */
export interface UnitWriterOptions {
  readonly engine: ReadEngine;
  readonly version: Version;
  readonly target: string;
  readonly locals: LocalChunks;
  readonly signal: AbortSignal | undefined;
  /** Called as bytes of files get written; `reusedBytes` of them were not fetched. */
  readonly onWritten: (files: number, bytes: number, reusedBytes: number) => void;
}

/** Takes files in stream order and writes them. Errors of all: those of ChunkReader.fetch and of the tasks. */
export class UnitWriter {
  readonly #options: UnitWriterOptions;
  readonly #reader: ChunkReader;
  readonly #tasks: TaskGroup;
  /** Files not wholly assigned yet, in stream order. */
  #files: OpenFile[] = [];
  #spans: ChunkSpan[] = [];
  #spanBytes = 0;

  constructor(options: UnitWriterOptions) {
    this.#options = options;
    this.#reader = new ChunkReader(options.engine, options.version);
    this.#tasks = new TaskGroup(this.#reader.unitsAhead);
  }

  /** Takes the next files. */
  async add(files: readonly FileToBuild[]): Promise<void> {
    for (let index = 0; index < files.length;) {
      const run = [must(files[index++], "the index is below the length")];
      for (; index < files.length; index++) {
        const next = must(files[index], "the index is below the length");
        const last = must(run.at(-1), "a run has a file");
        if (next.start !== last.start + last.entry.size || next.hasPart || last.hasPart) break;
        run.push(next);
      }
      await this.#addRun(
        run.map((file) => ({ ...file, assignedBytes: 0, writtenBytes: 0, isFinished: false })),
      );
    }
  }

  /** Writes what is left, and waits for all. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#tasks.finish();
  }

  /** Waits for what is under way, whatever becomes of it. */
  settle(): Promise<void> {
    return this.#tasks.settle();
  }

  /** Files that follow each other in the stream. */
  async #addRun(run: readonly OpenFile[]): Promise<void> {
    const first = must(run[0], "a run has a file");
    const last = must(run.at(-1), "a run has a file");
    const end = last.start + last.entry.size;
    this.#files.push(...run);
    for await (const batch of chunks(this.#options.version, first.start, end)) {
      this.#options.signal?.throwIfAborted();
      const missing = first.hasPart ? await this.#withoutStaged(first, batch) : batch;
      for (const span of missing) await this.#addSpan(span);
    }
    if (
      first.hasPart &&
      first.assignedBytes === first.entry.size &&
      first.writtenBytes === first.entry.size
    ) {
      this.#files = this.#files.filter((file) => file !== first);
      await this.#tasks.add(() => this.#finishFile(first));
    }
    if (this.#files.length >= UNIT_FILES_MAX) await this.#flush();
  }

  async #addSpan(span: ChunkSpan): Promise<void> {
    // The chunk that ended the run before may begin this one.
    if (this.#spans.at(-1)?.index === span.index) return;
    if (this.#spanBytes + span.length > UNIT_BYTES || this.#spans.length === UNIT_CHUNKS_MAX)
      await this.#flush();
    this.#spans.push(span);
    this.#spanBytes += span.length;
  }

  /** The chunks that the staged part of a file lacks; the others count as written. */
  async #withoutStaged(file: OpenFile, batch: readonly ChunkSpan[]): Promise<ChunkSpan[]> {
    const { engine, target, signal, onWritten } = this.#options;
    const fileEnd = file.start + file.entry.size;
    const inside = batch.filter((span) => span.start >= file.start && span.start + span.length <= fileEnd);
    const probes = inside.map(({ digest, length, start }) => ({
      digest,
      length,
      offset: start - file.start,
    }));
    const input = { target, path: stagedName(file.entry), chunks: probes };
    const found = await engine.pool.run("probeChunks", input, { signal });
    const staged = new Set(inside.filter((_, index) => found[index] === true));
    for (const span of staged) {
      file.assignedBytes += span.length;
      file.writtenBytes += span.length;
      onWritten(0, span.length, span.length);
    }
    return batch.filter((span) => !staged.has(span));
  }

  async #flush(): Promise<void> {
    const spans = this.#spans;
    const unitEnd =
      spans.length === 0 ? 0 : must(spans.at(-1), "not empty").start + must(spans.at(-1), "not empty").length;
    this.#spans = [];
    this.#spanBytes = 0;
    const parts: Part[] = [];
    let firstSpan = 0;
    let done = 0;
    for (const file of this.#files) {
      if (file.entry.size > 0 && file.start >= unitEnd) break;
      while (endOf(spans[firstSpan]) <= file.start) firstSpan++;
      const pieces = piecesOf(file, spans, firstSpan);
      for (const piece of pieces) file.assignedBytes += piece.bytes;
      if (pieces.length > 0 || file.entry.size === 0) parts.push({ file, pieces });
      if (file.assignedBytes < file.entry.size) break;
      done++;
    }
    this.#files.splice(0, done);
    if (parts.length > 0) await this.#tasks.add(() => this.#write(spans, parts));
  }

  async #write(spans: readonly ChunkSpan[], parts: readonly Part[]): Promise<void> {
    const { engine, target, locals, signal, onWritten } = this.#options;
    const files = parts.map(({ file, pieces }): FileToWrite => {
      const { entry, isPlaced } = file;
      const isWhole = bytesOf(pieces) === entry.size;
      const staged = isWhole && isPlaced ? undefined : stagedName(entry);
      return { path: entry.path, mode: entry.mode, mtime: entry.mtime, pieces, isWhole, staged };
    });
    const attempt = async (
      findLocal: (digest: Digest) => ReturnType<LocalChunks["find"]>,
    ): Promise<number[] | "stale" | "large"> => {
      const read = await this.#reader.fetch(spans, findLocal);
      if (read === undefined) return "large";
      const { unit, fetched } = read;
      const input = {
        target,
        unit: { frames: unit.frames, chunks: unit.chunks, stored: fetched.stored },
        locals: unit.locals.map(({ digest, place }) => ({ digest, place })),
        files,
      };
      const transfer = fetched.ranges.map((range) => range.buffer);
      const stale = await engine.pool.run("writeFiles", input, { transfer, signal });
      for (const digest of stale) locals.forget(digest);
      return stale.length > 0
        ? "stale"
        : [...unit.chunks.keys()].filter((index) => "local" in must(unit.chunks[index], "a key"));
    };
    const known = (digest: Digest): ReturnType<LocalChunks["find"]> => locals.find(digest);
    const outcome = await this.#reader.withFreshPlans(spans, async () => {
      // What turned out stale was forgotten; the rest may serve yet.
      for (const find of [known, known, () => undefined]) {
        const found = await attempt(find);
        if (found !== "stale") return found;
      }
      return [];
    });
    if (outcome === "large") return this.#writeHalves(spans, parts);
    const isReused = new Set(outcome);
    for (const { file, pieces } of parts) {
      const bytes = bytesOf(pieces);
      file.writtenBytes += bytes;
      const isWhole = bytes === file.entry.size;
      onWritten(isWhole ? 1 : 0, bytes, bytesOf(pieces.filter((piece) => isReused.has(piece.chunk))));
      if (!isWhole && file.writtenBytes === file.entry.size) await this.#finishFile(file);
    }
  }

  async #writeHalves(spans: readonly ChunkSpan[], parts: readonly Part[]): Promise<void> {
    const middle = spans.length >>> 1;
    const before = partsWithin(parts, 0, middle);
    const empty = parts.filter(({ pieces }) => pieces.length === 0);
    await this.#write(spans.slice(0, middle), [...before, ...empty]);
    await this.#write(spans.slice(middle), partsWithin(parts, middle, spans.length));
  }

  /** Two may find that the last byte is there: who wrote it, and who found the rest staged. */
  async #finishFile(open: OpenFile): Promise<void> {
    if (open.isFinished) return;
    open.isFinished = true;
    const { entry, isPlaced } = open;
    const { engine, target, signal, onWritten } = this.#options;
    const { path, size, mode, mtime } = entry;
    const file = { path, size, mode, mtime, staged: stagedName(entry), isPlaced };
    await engine.pool.run("finishFile", { target, file }, { signal });
    onWritten(1, 0, 0);
  }
}

function endOf(span: ChunkSpan | undefined): number {
  return span === undefined ? Infinity : span.start + span.length;
}

function bytesOf(pieces: readonly FilePiece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.bytes, 0);
}

/** The parts of a file that lie in the unit's chunks from number `first` on. */
function piecesOf(file: OpenFile, spans: readonly ChunkSpan[], first: number): FilePiece[] {
  const end = file.start + file.entry.size;
  const pieces: FilePiece[] = [];
  for (let chunk = first; chunk < spans.length; chunk++) {
    const span = must(spans[chunk], "the index is below the length");
    if (span.start >= end) break;
    const from = Math.max(file.start, span.start);
    const bytes = Math.min(end, span.start + span.length) - from;
    if (bytes > 0) pieces.push({ chunk, from: from - span.start, bytes, fileOffset: from - file.start });
  }
  return pieces;
}

/** What lies in the chunks from number `from` to `to`, which count from 0 then. */
function partsWithin(parts: readonly Part[], from: number, to: number): Part[] {
  return parts.flatMap(({ file, pieces }) => {
    const inside = pieces.filter(({ chunk }) => chunk >= from && chunk < to);
    if (inside.length === 0) return [];
    return [{ file, pieces: inside.map((piece) => ({ ...piece, chunk: piece.chunk - from })) }];
  });
}
