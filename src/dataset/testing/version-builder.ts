/** Stores versions by the format's encoders alone, without the engine that tests are about. */
import { must } from "../../base/assert.ts";
import { concatBytes, totalBytes } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { encodeBlock, type FrameInfo } from "../../format/block.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { digestBytes, digestOf, digestOfParts, type Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { CODECS, DELTA_BYTES_MAX, encodeDelta, encodePlain, type Codec } from "../../format/frame.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import { encodeManifest, encodeRoot, type ManifestBase } from "../../format/manifest.ts";
import { decodePage, type ChunkItem, type EncodedPage } from "../../format/page.ts";
import { encodePlan, type PlanCovers, type PlanFrame, type PlanPlace } from "../../format/plan.ts";
import { ChunkTreeBuilder, EntryTreesBuilder } from "../../format/tree.ts";
import type { Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import { chunksOf, entriesOf, type Tree } from "./tree.ts";

/** Small chunks, so that small trees have many. */
export const TEST_CHUNKING: ChunkingParameters = { kind: "cdc", averageBytes: 4096 };

/** A store in memory. */
export function openMemoryStore(): Promise<Store> {
  return openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
}

/** How a version is stored. */
export interface BuildOptions {
  /** Pages in blocks rather than in the manifest object. */
  readonly paged?: boolean;
  /** Encode new chunks and pages as deltas against this version's, and the manifest object against its. */
  readonly base?: BuiltVersion;
  readonly chunking?: ChunkingParameters;
  /** The entries to write in place of the tree's own: for manifests that no push would make. */
  readonly entries?: readonly Entry[];
  /** Deflates chunks (the default), or stores them raw. */
  readonly level?: number;
}

/** A version that was stored, and its parts. */
export interface BuiltVersion {
  readonly digest: Digest;
  readonly manifest: ManifestBase;
  readonly chunks: readonly ChunkItem[];
  readonly pages: readonly EncodedPage[];
  /** The block that this build wrote, if it had anything to write. */
  readonly block: Digest | undefined;
}

interface Stored {
  readonly frame: PlanFrame;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly depth: number;
}

interface Draft {
  readonly codec: Codec;
  readonly stored: Uint8Array;
  readonly items: readonly Uint8Array[];
  readonly bases: readonly Uint8Array[];
  readonly depth: number;
  readonly isPage: boolean;
}

/** Builds versions into one store; what one stored the next refers to. */
export class VersionBuilder {
  readonly store: Store;
  readonly #stored = new Map<Digest, Stored>();
  #drafts: Draft[] = [];

  constructor(store: Store) {
    this.store = store;
  }

  /** Stores the tree as a version. */
  async build(tree: Tree, options: BuildOptions = {}): Promise<BuiltVersion> {
    const { paged = false, base, chunking = TEST_CHUNKING, level = 3 } = options;
    const entries = options.entries ?? entriesOf(tree);
    const chunkBytes = chunksOf(entries, tree, chunking);
    const pages: EncodedPage[] = [];
    const emit = (page: EncodedPage): void => void pages.push(page);
    const chunkTree = new ChunkTreeBuilder(emit);
    const chunks = chunkBytes.map((bytes) => ({ digest: digestOf(bytes), length: bytes.byteLength }));
    for (const chunk of chunks) chunkTree.add(chunk);
    const entryTrees = new EntryTreesBuilder(emit);
    for (const entry of entries) entryTrees.add(entry, entry.mtime);
    const count = (kind: Entry["kind"]): number => entries.filter((entry) => entry.kind === kind).length;
    const tops = { ...entryTrees.finish(), chunks: chunkTree.finish() };
    const root = encodeRoot({
      chunking,
      files: count("file"),
      directories: count("directory"),
      symlinks: count("symlink"),
      bytes: totalBytes(chunkBytes),
      ...tops,
    });
    const digest = digestOf(root);
    this.#draftItems(
      chunkBytes,
      base?.chunks.map((chunk) => chunk.digest),
      level,
      false,
    );
    if (paged)
      this.#draftItems(
        pages.map((page) => page.bytes),
        base?.pages.map((page) => page.digest),
        level,
        true,
      );
    const block = await this.#writeBlock();
    if (paged) {
      for (const page of pages) await this.#writePlan(page.digest, "items", childrenOf(page));
      const placed = [tops.entries, tops.times, tops.chunks].flatMap((top) =>
        top === undefined ? [] : [top.digest],
      );
      await this.#writePlan(digest, "items", placed);
    } else
      await this.#writePlan(
        digest,
        "version",
        chunks.map((chunk) => chunk.digest),
      );
    const bundle = { root, pages: paged ? [] : pages.map((page) => page.bytes) };
    const object = encodeManifest(bundle, base?.manifest);
    await this.store.datasets.putManifest(digest, object);
    const depth = base !== undefined && isDelta(object) ? base.manifest.depth + 1 : 0;
    return { digest, manifest: { version: digest, depth, bundle }, chunks, pages, block };
  }

  /** New items as frames: plain, or in pairs as deltas against the base's items of about the same number. */
  #draftItems(
    items: readonly Uint8Array[],
    bases: readonly Digest[] | undefined,
    level: number,
    isPage: boolean,
  ): void {
    const fresh = items.filter((bytes) => !this.#stored.has(digestOf(bytes)));
    for (let index = 0; index < fresh.length;) {
      const run = fresh.slice(index, index + (isPage ? 1 : 2));
      const near = bases
        ?.slice(index, index + 3)
        .map((base) => must(this.#stored.get(base), "the base was built here"));
      const depth = 1 + Math.max(0, ...(near ?? []).map((base) => base.depth));
      const dictionaryBytes = totalBytes((near ?? []).map((base) => base.bytes));
      if (near === undefined || near.length === 0 || depth > 3 || dictionaryBytes > DELTA_BYTES_MAX) {
        for (const bytes of run) {
          const { codec, stored } = encodePlain(bytes, level);
          this.#drafts.push({ codec, stored, items: [bytes], bases: [], depth: 0, isPage });
        }
      } else {
        const parts = near.map((base) => base.bytes);
        const { codec, stored } = encodeDelta(concatBytes(run), dictionaryOf(parts), 3);
        this.#drafts.push({ codec, stored, items: run, bases: parts, depth, isPage });
      }
      index += run.length;
    }
  }

  async #writeBlock(): Promise<Digest | undefined> {
    const drafts = this.#drafts;
    this.#drafts = [];
    if (drafts.length === 0) return undefined;
    const { head, tail } = encodeBlock("", drafts.map(frameInfo));
    const parts = [head, ...drafts.map((draft) => draft.stored), tail];
    const block = digestOfParts(parts);
    await this.store.blocks.put(block, parts);
    let offset = HEADER_BYTES;
    for (const draft of drafts) {
      this.#place(block, offset, draft);
      offset += draft.stored.byteLength;
    }
    return block;
  }

  #place(block: Digest, offset: number, draft: Draft): void {
    const { codec, stored, items, bases, depth } = draft;
    const sources = bases.map((bytes) => ({
      digest: digestOf(bytes),
      bytes: bytes.byteLength,
      frame: 0,
      offset: 0,
    }));
    const { baseOffset, baseBytes } = dictionaryRange(bases);
    const delta =
      codec === CODECS.delta
        ? { decodedBytes: totalBytes(items), depth, sources, baseOffset, baseBytes }
        : undefined;
    const frame = { block, offset, storedBytes: stored.byteLength, codec, delta };
    let at = 0;
    for (const bytes of items) {
      this.#stored.set(digestOf(bytes), { frame, offset: at, bytes, depth });
      at += bytes.byteLength;
    }
  }

  async #writePlan(key: Digest, covers: PlanCovers, digests: readonly Digest[]): Promise<void> {
    if (digests.length === 0) return;
    const frames: PlanFrame[] = [];
    const known = new Map<PlanFrame, number>();
    const place = (digest: Digest): PlanPlace => {
      const { frame, offset } = must(this.#stored.get(digest), "every item was stored");
      const index = known.get(frame);
      if (index !== undefined) return { frame: index, offset };
      const sources = frame.delta?.sources.map((source) => ({ ...source, ...place(source.digest) }));
      const delta = frame.delta === undefined ? undefined : { ...frame.delta, sources: sources ?? [] };
      known.set(frame, frames.length);
      return { frame: frames.push({ ...frame, delta }) - 1, offset };
    };
    const places = digests.map(place);
    const present = await this.store.datasets.getPlan(key);
    await this.store.datasets.putPlan(key, encodePlan({ covers, frames, places }), present?.revision);
  }
}

/** All but the first and last three bytes of the bases, so that ranges are put to the test. */
function dictionaryRange(bases: readonly Uint8Array[]): { baseOffset: number; baseBytes: number } {
  const bytes = totalBytes(bases);
  const margin = bytes > 100 ? 3 : 0;
  return { baseOffset: margin, baseBytes: bytes - 2 * margin };
}

function dictionaryOf(bases: readonly Uint8Array[]): Uint8Array {
  const { baseOffset, baseBytes } = dictionaryRange(bases);
  return concatBytes(bases).subarray(baseOffset, baseOffset + baseBytes);
}

function frameInfo(draft: Draft): FrameInfo {
  const { codec, stored, items, bases, depth, isPage } = draft;
  const digests = (parts: readonly Uint8Array[]): Uint8Array =>
    concatBytes(parts.map((part) => digestBytes(digestOf(part))));
  const lengths = (parts: readonly Uint8Array[]): number[] => parts.map((part) => part.byteLength);
  const { baseOffset, baseBytes } = dictionaryRange(bases);
  const isDeltaFrame = codec === CODECS.delta;
  return {
    codec,
    storedBytes: stored.byteLength,
    digests: digests(items),
    lengths: lengths(items),
    base: isDeltaFrame
      ? { digests: digests(bases), lengths: lengths(bases), offset: baseOffset, bytes: baseBytes }
      : undefined,
    depth,
    decodeBytes: isDeltaFrame ? totalBytes(items) + totalBytes(bases) : 0,
    isPage,
  };
}

/** What a page's plan places. */
function childrenOf(page: EncodedPage): Digest[] {
  // Leaves of entries place nothing, and a test's may hold what no decoder takes.
  if (page.level === 0 && page.kind !== "chunks") return [];
  const decoded = decodePage(page.bytes, page.kind, page.level);
  if ("children" in decoded) return decoded.children.map((child) => child.digest);
  return "chunks" in decoded ? decoded.chunks.map((chunk) => chunk.digest) : [];
}

/** A manifest object's first field is its codec. */
function isDelta(object: Uint8Array): boolean {
  return object[HEADER_BYTES + 1] === CODECS.delta;
}
