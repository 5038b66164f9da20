/** The version that a push is compared with: what of it stands in a segment's place. */
import { compareUtf8 } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { FileEntry } from "../../format/entry.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { ManifestBase } from "../../format/manifest.ts";
import { Segmenter } from "../../format/segment.ts";
import type { ReadEngine } from "../engine.ts";
import { chunks, type ChunkSpan } from "../version/chunks.ts";
import { entries } from "../version/entries.ts";
import { manifestBaseOf, type Version } from "../version/version.ts";

/** A segment of the old version: its files, and where its bytes lie in the old stream. */
export interface OldSegment {
  readonly files: readonly FileEntry[];
  readonly start: number;
  readonly end: number;
}

/** Chunks that are looked through for one segment at most: the old bytes beyond serve as no base. */
const OLD_CHUNKS_MAX = 1 << 18;
/** Chunks of a version of which it is known whether it has one: each takes about 150 bytes. */
const CHUNKS_TOLD_MAX = 1 << 16;
/** Bytes of one push that are encoded once more though the store has them. */
const LACKING_BYTES_MAX = 64 * MiB;
/** Old segments that are kept at once: between many that one new segment overlaps, the middle ones do not matter. */
const WINDOW_MAX = 64;

/** Walks the old version beside the new one: calls ask for ascending paths. */
export class Reference {
  readonly version: Version;
  /** Whether the stat cache speaks of this version. */
  readonly isStatCacheValid: boolean;
  readonly #engine: ReadEngine;
  readonly #segments: AsyncGenerator<OldSegment>;
  /** Segments that may still overlap what comes. */
  #window: OldSegment[] = [];
  #exhausted = false;
  /** What the store got with this push, or is made a delta of once more. */
  readonly #fresh = new Set<Digest>();
  #held: Promise<ReadonlySet<Digest>> | undefined;
  #lackingBytes = 0;

  constructor(engine: ReadEngine, version: Version, options: { readonly isStatCacheValid: boolean }) {
    this.version = version;
    this.isStatCacheValid = options.isStatCacheValid;
    this.#engine = engine;
    this.#segments = segmentsOf(version);
  }

  /** The old segments that have a path from `first` to `last`. */
  async overlapping(first: string, last: string): Promise<readonly OldSegment[]> {
    this.#window = this.#window.filter((segment) => compareUtf8(lastPath(segment), first) >= 0);
    for (;;) {
      const newest = this.#window.at(-1);
      if (this.#exhausted || (newest !== undefined && compareUtf8(firstPath(newest), last) > 0)) break;
      const next = await this.#segments.next();
      if (next.done === true) this.#exhausted = true;
      else if (compareUtf8(lastPath(next.value), first) >= 0) this.#window.push(next.value);
      if (this.#window.length > WINDOW_MAX) this.#window.splice(1, 1);
    }
    return this.#window.filter((segment) => compareUtf8(firstPath(segment), last) <= 0);
  }

  /** Chunks that hold the old stream's bytes from `start` to `end`; of very many only the first. */
  async chunks(start: number, end: number): Promise<ChunkSpan[]> {
    const found: ChunkSpan[] = [];
    for await (const batch of chunks(this.version, start, end)) {
      found.push(...batch);
      if (found.length >= OLD_CHUNKS_MAX) break;
    }
    return found;
  }

  /**
   * Which of the chunks that the store has the old version has not: who has the old version lacks them. `fresh`: chunks that
   * the store gets with this push. None where it would take too much to tell. Errors: those of reading the version.
   */
  async lacking(known: readonly ChunkItem[], fresh: readonly ChunkItem[]): Promise<ReadonlySet<Digest>> {
    const count = this.version.root.chunks?.items ?? 0;
    if (count > CHUNKS_TOLD_MAX || this.#fresh.size > CHUNKS_TOLD_MAX) return new Set();
    for (const { digest } of fresh) this.#fresh.add(digest);
    if (known.length === 0) return new Set();
    const held = await (this.#held ??= this.#readDigests());
    const lacking = new Set<Digest>();
    for (const { digest, length } of known) {
      const isThere = held.has(digest) || this.#fresh.has(digest);
      if (isThere || this.#lackingBytes + length > LACKING_BYTES_MAX) continue;
      this.#lackingBytes += length;
      this.#fresh.add(digest);
      lacking.add(digest);
    }
    return lacking;
  }

  async #readDigests(): Promise<ReadonlySet<Digest>> {
    const held = new Set<Digest>();
    for await (const batch of chunks(this.version)) for (const { digest } of batch) held.add(digest);
    return held;
  }

  /** Chunks of the old stream's bytes, batch by batch. */
  chunkBatches(start: number, end: number): AsyncGenerator<ChunkSpan[]> {
    return chunks(this.version, start, end);
  }

  /** The version as a base for the next manifest object. */
  async manifestBase(): Promise<ManifestBase | undefined> {
    return await manifestBaseOf(this.#engine, this.version);
  }
}

async function* segmentsOf(version: Version): AsyncGenerator<OldSegment> {
  const segmenter = new Segmenter(version.root.chunking.averageBytes);
  let files: FileEntry[] = [];
  let start = 0;
  let end = 0;
  for await (const batch of entries(version)) {
    for (const placed of batch) {
      const { entry } = placed;
      if (entry.kind !== "file" || entry.size === 0) continue;
      if (segmenter.next(entry.path, entry.size) && files.length > 0) {
        yield { files, start, end };
        files = [];
      }
      if (files.length === 0) start = placed.start;
      files.push(entry);
      end = placed.start + entry.size;
    }
  }
  if (files.length > 0) yield { files, start, end };
}

function firstPath(segment: OldSegment): string {
  return segment.files[0]?.path ?? "";
}

function lastPath(segment: OldSegment): string {
  return segment.files.at(-1)?.path ?? "";
}

/** Whether two segments have the same files, as far as paths and sizes tell. */
export function sameFiles(
  files: readonly { readonly path: string; readonly size: number }[],
  old: OldSegment,
): boolean {
  return (
    files.length === old.files.length &&
    files.every((file, index) => file.path === old.files[index]?.path && file.size === old.files[index].size)
  );
}
