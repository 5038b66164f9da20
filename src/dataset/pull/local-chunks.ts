/** Which chunks lie in the target already, so that they need not be fetched. */
import path from "node:path";
import { AetherError } from "../../base/errors.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import type { WorkerPool } from "../workers/pool.ts";
import { chunks } from "../version/chunks.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";
import type { LocalPiece } from "./local-pieces.ts";

/** Chunks that an index holds at most: some 200 bytes each. */
const CHUNKS_MAX = 131_072;
/** Files of the old version that are remembered while it is indexed. */
const FILES_MAX = 131_072;

interface OldFile {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** An index of chunks by digest. A hint: what it leads to is verified, and forgotten when it turns out wrong. */
export class LocalChunks {
  readonly #places = new Map<Digest, readonly LocalPiece[]>();

  find(digest: Digest): readonly LocalPiece[] | undefined {
    return this.#places.get(digest);
  }

  forget(digest: Digest): void {
    this.#places.delete(digest);
  }

  /**
   * Adds the chunks of the version that the folder held: of every file, or, when they are too many, of those that changed.
   * A page that is not at hand ends the indexing: fetching it would cost more than it is worth.
   */
  async addVersion(old: Version, changed: ReadonlySet<string>): Promise<void> {
    const addsAll = (old.root.chunks?.items ?? 0) <= CHUNKS_MAX && old.root.files <= FILES_MAX;
    try {
      const files: OldFile[] = [];
      for await (const batch of entries(old)) {
        for (const { entry, start } of batch) {
          if (entry.kind !== "file" || entry.size === 0 || files.length === FILES_MAX) continue;
          if (!addsAll && !changed.has(entry.path)) continue;
          files.push({ path: entry.path, start, end: start + entry.size });
        }
      }
      await this.#addFiles(old, files);
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
    }
  }

  async #addFiles(old: Version, files: readonly OldFile[]): Promise<void> {
    for (let index = 0; index < files.length;) {
      let last = index;
      while (files[last + 1]?.start === files[last]?.end && last + 1 < files.length) last++;
      await this.#addRun(old, files.slice(index, last + 1));
      index = last + 1;
    }
  }

  /** Files that follow each other in the stream. */
  async #addRun(old: Version, files: readonly OldFile[]): Promise<void> {
    const start = files[0]?.start ?? 0;
    const end = files.at(-1)?.end ?? 0;
    let first = 0;
    for await (const batch of chunks(old, start, end)) {
      for (const span of batch) {
        if (this.#places.size >= CHUNKS_MAX) return;
        const spanEnd = span.start + span.length;
        while ((files[first]?.end ?? Infinity) <= span.start) first++;
        // A chunk that reaches into a file that is not listed cannot be put together.
        if (span.start < start || spanEnd > end) continue;
        this.#places.set(span.digest, piecesOf(files, first, span.start, spanEnd));
      }
    }
  }

  /** Adds the chunks of a file whose content nobody knows, when it is a segment of its own. */
  async addFile(
    pool: WorkerPool,
    target: string,
    relative: string,
    chunking: ChunkingParameters,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const chunksMax = CHUNKS_MAX - this.#places.size;
    if (chunksMax <= 0) return;
    const input = { file: path.join(target, relative), chunking, chunksMax };
    for (const { digest, offset, length } of await pool.run("cutFile", input, { signal })) {
      this.#places.set(digest, [{ path: relative, offset, bytes: length }]);
    }
  }
}

function piecesOf(files: readonly OldFile[], first: number, start: number, end: number): LocalPiece[] {
  const pieces: LocalPiece[] = [];
  for (let index = first; index < files.length; index++) {
    const file = files[index];
    if (file === undefined || file.start >= end) break;
    const from = Math.max(start, file.start);
    pieces.push({ path: file.path, offset: from - file.start, bytes: Math.min(end, file.end) - from });
  }
  return pieces;
}
