/** Which chunks lie in the target already, so that they need not be fetched. */
import path from "node:path";
import { AetherError } from "../../base/errors.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import type { WorkerPool } from "../workers/pool.ts";
import { chunks } from "../version/chunks.ts";
import { entries } from "../version/entries.ts";
import { walkLeaves } from "../version/leaves.ts";
import { topRef, type Version } from "../version/version.ts";
import type { LocalPiece } from "./local-pieces.ts";

/** Chunks that an index holds at most: some 200 bytes each. */
const CHUNKS_MAX = 131_072;
/** Files of the old version that are remembered while it is indexed. */
const FILES_MAX = 131_072;

/** Bytes of the old version's stream. */
interface Range {
  readonly start: number;
  readonly end: number;
}

interface OldFile extends Range {
  readonly path: string;
}

/** An index of chunks by digest. A hint: what it leads to is verified, and forgotten when it turns out wrong. */
export class LocalChunks {
  readonly #places = new Map<Digest, readonly LocalPiece[]>();
  readonly #filesMax: number;

  /** `filesMax`: files of one version that are remembered while it is indexed. */
  constructor(filesMax = FILES_MAX) {
    this.#filesMax = filesMax;
  }

  find(digest: Digest): readonly LocalPiece[] | undefined {
    return this.#places.get(digest);
  }

  forget(digest: Digest): void {
    this.#places.delete(digest);
  }

  /**
   * Adds the chunks of the version that the folder held: of every file, or, when they are too many, of those that changed,
   * with the files that share chunks with them.
   * A page that is not at hand ends the indexing: fetching it would cost more than it is worth.
   */
  async addVersion(old: Version, changed: ReadonlySet<string>): Promise<void> {
    const addsAll = (old.root.chunks?.items ?? 0) <= CHUNKS_MAX && old.root.files <= this.#filesMax;
    try {
      const files: OldFile[] = [];
      for await (const batch of entries(old)) {
        for (const { entry, start } of batch) {
          if (entry.kind !== "file" || entry.size === 0 || files.length === this.#filesMax) continue;
          if (!addsAll && !changed.has(entry.path)) continue;
          files.push({ path: entry.path, start, end: start + entry.size });
        }
      }
      await this.#addFiles(old, addsAll ? files : await filesAround(old, files, this.#filesMax));
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

/** The files that have bytes in the chunks of these. */
async function filesAround(old: Version, files: readonly OldFile[], filesMax: number): Promise<OldFile[]> {
  const found: OldFile[] = [];
  for (const range of await chunkRanges(old, files)) {
    const leaves = walkLeaves(
      old,
      topRef(old, "entries"),
      (child, at) => at.bytes + child.bytes <= range.start || at.bytes >= range.end,
    );
    for await (const { page, bytes } of leaves) {
      let end = bytes;
      for (const entry of "entries" in page ? page.entries : []) {
        if (entry.kind !== "file") continue;
        const start = end;
        end += entry.size;
        const isNew = start >= (found.at(-1)?.end ?? 0) && start < end;
        if (!isNew || end <= range.start || start >= range.end) continue;
        if (found.length === filesMax) return found;
        found.push({ path: entry.path, start, end });
      }
    }
  }
  return found;
}

/** Where the chunks of these files lie in the stream, neighbours as one. */
async function chunkRanges(old: Version, files: readonly Range[]): Promise<Range[]> {
  const ranges: { start: number; end: number }[] = [];
  for (const { start, end } of files) {
    for await (const batch of chunks(old, start, end)) {
      for (const span of batch) {
        const last = ranges.at(-1);
        const spanEnd = span.start + span.length;
        if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, spanEnd);
        else ranges.push({ start: span.start, end: spanEnd });
      }
    }
  }
  return ranges;
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
