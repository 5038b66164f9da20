/** The version that a push is compared with: what of it stands in a segment's place. */
import { compareUtf8 } from "../../base/bytes.ts";
import type { FileEntry } from "../../format/entry.ts";
import type { ManifestBase } from "../../format/manifest.ts";
import { decodeManifestObject } from "../../format/manifest.ts";
import { Segmenter } from "../../format/segment.ts";
import type { ReadEngine } from "../engine.ts";
import { chunks, type ChunkSpan } from "../version/chunks.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";

/** A segment of the old version: its files, and where its bytes lie in the old stream. */
export interface OldSegment {
  readonly files: readonly FileEntry[];
  readonly start: number;
  readonly end: number;
}

/** Chunks that are looked through for one segment at most: the old bytes beyond serve as no base. */
const OLD_CHUNKS_MAX = 1 << 18;
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

  /** Chunks of the old stream's bytes, batch by batch. */
  chunkBatches(start: number, end: number): AsyncGenerator<ChunkSpan[]> {
    return chunks(this.version, start, end);
  }

  /** The version as a base for the next manifest object. */
  async manifestBase(): Promise<ManifestBase | undefined> {
    const { digest, bundle, signal } = this.version;
    const call = signal === undefined ? {} : { signal };
    const object = await this.#engine.store.datasets.getManifest(digest, call);
    if (object === undefined) return undefined;
    return { version: digest, depth: decodeManifestObject(object).depth, bundle };
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
