/** Builds a version's manifest while the push goes on. docs/format.md §6 */
import { AetherError } from "../../base/errors.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import { EntrySequence, type FileTime } from "../../format/entry.ts";
import { INLINE_BYTES_MAX, encodeRoot, type ManifestRoot } from "../../format/manifest.ts";
import type { ChunkItem, EncodedPage, TimelessEntry } from "../../format/page.ts";
import { ChunkTreeBuilder, EntryTreesBuilder } from "../../format/tree.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { PageStage } from "./page-stage.ts";

/** A finished manifest: its root, and the pages that lie with it. */
export interface FinishedManifest {
  readonly root: ManifestRoot;
  readonly rootBytes: Uint8Array;
  readonly inlinePages: readonly Uint8Array[];
}

/** Takes entries and chunks in order; pages beyond what lies inline go to their stage as they end. */
export class ManifestWriter {
  readonly #chunking: ChunkingParameters;
  readonly #stage: PageStage;
  readonly #sequence = new EntrySequence();
  readonly #entries: EntryTreesBuilder;
  readonly #chunks: ChunkTreeBuilder;
  /** Each once, however often its parents name it. */
  readonly #pages = new Map<Digest, EncodedPage>();
  /** Of all pages, each as often as it is named. */
  #pageBytes = 0;
  readonly #counts = { files: 0, directories: 0, symlinks: 0, bytes: 0 };

  constructor(chunking: ChunkingParameters, stage: PageStage) {
    this.#chunking = chunking;
    this.#stage = stage;
    const emit = (page: EncodedPage): void => {
      this.#pages.set(page.digest, page);
      this.#pageBytes += page.bytes.byteLength;
    };
    this.#entries = new EntryTreesBuilder(emit);
    this.#chunks = new ChunkTreeBuilder(emit);
  }

  /** How much was added. */
  get counts(): { readonly files: number; readonly bytes: number } {
    return this.#counts;
  }

  addEntry(entry: TimelessEntry, mtime: FileTime): void {
    this.#sequence.next(entry.path, entry.kind === "directory");
    this.#entries.add(entry, mtime);
    if (entry.kind === "file") {
      this.#counts.files++;
      this.#counts.bytes += entry.size;
    } else if (entry.kind === "directory") this.#counts.directories++;
    else this.#counts.symlinks++;
  }

  addChunk(chunk: ChunkItem): void {
    this.#chunks.add(chunk);
  }

  /** Hands on the pages that ended meanwhile, once they do not fit into the manifest object. */
  async drain(options: CallOptions): Promise<void> {
    if (this.#pageBytes < INLINE_BYTES_MAX) return;
    const pages = [...this.#pages.values()];
    this.#pages.clear();
    for (const page of pages) await this.#stage.add(page, options);
  }

  /** Ends the manifest. Errors: INTERNAL when the chunks do not add up to the files. */
  async finish(options: CallOptions): Promise<FinishedManifest> {
    const { entries, times } = this.#entries.finish();
    const chunks = this.#chunks.finish();
    await this.drain(options);
    await this.#stage.finish(options);
    const root = { chunking: this.#chunking, ...this.#counts, entries, times, chunks };
    if ((chunks === undefined) !== (root.bytes === 0))
      throw new AetherError("INTERNAL", "the chunks are not the files'");
    const inlinePages = Array.from(this.#pages.values(), (page) => page.bytes);
    return { root, rootBytes: encodeRoot(root), inlinePages };
  }
}
