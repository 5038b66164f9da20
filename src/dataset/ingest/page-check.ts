/** Pages as producers send them: sound, canonical, and on nothing that is not there. docs/format.md §6 */
import { must } from "../../base/assert.ts";
import { compareUtf8, concatBytes, equalBytes, totalBytes } from "../../base/bytes.ts";
import { AetherError } from "../../base/errors.ts";
import type { FrameBase } from "../../format/block.ts";
import { DIGEST_BYTES, digestOf, formatDigest, type Digest } from "../../format/digest.ts";
import { CODECS, decodeFrame } from "../../format/frame.ts";
import { INLINE_BYTES_MAX, decodeRoot, type ManifestRoot } from "../../format/manifest.ts";
import {
  decodePage,
  encodePage,
  identifyPage,
  PAGE_BYTES_MAX,
  PAGE_ITEMS_MAX,
  type ChildItem,
  type EncodedPage,
  type Page,
  type TreeKind,
} from "../../format/page.ts";
import type { TreeRef } from "../../format/tree.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { readPlanned } from "../version/planned-chunks.ts";
import { splitDigests } from "./block-packer.ts";
import type { PageForm } from "./ingest.ts";
import { PAGE_BASES_MAX, type HubPublication, type ReceivedPage } from "./sessions.ts";
import type { LocalSession } from "./local-session.ts";

/** Pages of one session at most. */
const PAGES_MAX = 1 << 18;
/** Pages that are read from the store together. */
const READ_PAGES = 32;

/** Chunks of a version whose pages lie with its root at most: one plan has them all. */
const INLINE_CHUNKS_MAX = 4 * PAGE_ITEMS_MAX;

/** What is below a page, itself included. */
interface Summary {
  readonly kind: TreeKind;
  readonly level: number;
  readonly items: number;
  readonly bytes: number;
  readonly files: number;
  readonly directories: number;
  readonly firstPath: string;
  readonly lastPath: string;
}

/** The pages of one session. */
export class PageCheck {
  readonly #engine: Engine;
  readonly #local: LocalSession;
  readonly #pages = new Map<Digest, Summary>();

  constructor(engine: Engine, local: LocalSession) {
    this.#engine = engine;
    this.#local = local;
  }

  /**
   * Takes a page, and hands it to the session. Children that were not taken before are read from the session's domain,
   * and taken with all below them. Errors: OBJECT_INVALID, OBJECT_CORRUPT, MANIFEST_UNSAFE, OBJECT_MISSING, LIMIT_EXCEEDED.
   */
  async take(received: ReceivedPage, options: CallOptions): Promise<void> {
    const { bytes, base } = await this.#decode(received, options);
    const { kind, level } = identifyPage(bytes);
    const page = { kind, level, digest: digestOf(bytes), bytes };
    const { codec, stored } = received;
    const chunks = [{ digest: page.digest, length: bytes.byteLength }];
    // A plain one is encoded here once more: as tightly as a store's own.
    const frame = base && { codec, chunks, stored, base, isPage: true };
    await this.#take(page, { frame }, options);
  }

  /** That everything the root names is there, and adds up. Errors: OBJECT_INVALID, MANIFEST_UNSAFE, OBJECT_MISSING. */
  async checkRoot(publication: HubPublication, options: CallOptions): Promise<void> {
    const root = decodeRoot(publication.root);
    const inline = new InlinePages(publication.inlinePages);
    const summarize = (tree: TreeRef | undefined, kind: TreeKind): Promise<Summary | undefined> => {
      if (tree === undefined) return Promise.resolve(undefined);
      return publication.inlinePages.length > 0
        ? Promise.resolve(inline.summarize(tree.digest, kind, tree.level))
        : this.#top(tree, kind, options);
    };
    const entries = await summarize(root.entries, "entries");
    const times = await summarize(root.times, "times");
    const chunks = await summarize(root.chunks, "chunks");
    checkTotals(root, entries, times, chunks);
    inline.checkUse(root);
  }

  async #take(page: EncodedPage, form: PageForm, options: CallOptions): Promise<Summary> {
    const known = this.#pages.get(page.digest);
    if (known !== undefined) return known;
    if (this.#pages.size === PAGES_MAX)
      throw new AetherError("LIMIT_EXCEEDED", `a push has at most ${PAGES_MAX} pages`);
    const decoded = decodeCanonical(page.bytes, page.kind, page.level);
    const below: Summary[] = [];
    if ("children" in decoded) {
      for (let start = 0; start < decoded.children.length; start += READ_PAGES) {
        const children = decoded.children.slice(start, start + READ_PAGES).map(({ digest }) => digest);
        const read = await this.#read(
          new Set(children.filter((digest) => !this.#pages.has(digest))),
          options,
        );
        for (const digest of children) {
          below.push(await this.#known(digest, read.get(digest), page.kind, page.level - 1, options));
          if (read.has(digest)) await new Promise(setImmediate);
        }
      }
    }
    const summary = summarizePage(decoded, below);
    this.#pages.set(page.digest, summary);
    await this.#local.putPage(page, form, options);
    return summary;
  }

  async #top({ digest, level }: TreeRef, kind: TreeKind, options: CallOptions): Promise<Summary> {
    const read = await this.#read(this.#pages.has(digest) ? [] : [digest], options);
    return this.#known(digest, read.get(digest), kind, level, options);
  }

  /** A page that was taken, or is in the domain with these bytes: `level` falls, so the recursion ends. */
  async #known(
    digest: Digest,
    bytes: Uint8Array | undefined,
    kind: TreeKind,
    level: number,
    options: CallOptions,
  ): Promise<Summary> {
    const page = { kind, level, digest };
    const known =
      this.#pages.get(digest) ??
      (await this.#take({ ...page, bytes: must(bytes, "it was read") }, { isHeld: true }, options));
    if (known.kind !== kind || known.level !== level) throw invalid("a page is not what its parent names");
    return known;
  }

  /** Pages of the session's domain: a few at a time. Errors: OBJECT_MISSING, OBJECT_INVALID. */
  async #read(digests: Iterable<Digest>, options: CallOptions): Promise<ReadonlyMap<Digest, Uint8Array>> {
    const pages = [...digests].map((digest) => {
      const length = this.#local.find(digest)?.chunkBytes ?? 0;
      if (length > PAGE_BYTES_MAX) throw invalid("what stands for a page is none");
      return { digest, length };
    });
    if (pages.length === 0) return new Map();
    const plan = await this.#local.planOf(
      pages.map(({ digest }) => digest),
      options,
    );
    const bytes = await readPlanned(this.#engine, plan, pages, options);
    let at = 0;
    return new Map(pages.map(({ digest, length }) => [digest, bytes.subarray(at, (at += length))]));
  }

  /** A page's bytes; of a delta, what its index entry will say of its base too. */
  async #decode(
    { codec, pageBytes, bases, stored }: ReceivedPage,
    options: CallOptions,
  ): Promise<{ readonly bytes: Uint8Array; readonly base?: FrameBase }> {
    if (!(pageBytes > 0 && pageBytes <= PAGE_BYTES_MAX)) throw invalid(`it has ${pageBytes} bytes`);
    const count = bases.byteLength / DIGEST_BYTES;
    const isDelta = codec === CODECS.delta;
    if (!Number.isInteger(count) || count > PAGE_BASES_MAX || isDelta !== count > 0)
      throw invalid(`a delta has from 1 to ${PAGE_BASES_MAX} bases, and no other page has one`);
    if (!isDelta) return { bytes: decodeFrame(codec, stored, pageBytes) };
    const digests = splitDigests(bases);
    const read = await this.#read(new Set(digests), options);
    const parts = digests.map((digest) => must(read.get(digest), "it was read"));
    const bytes = decodeFrame(codec, stored, pageBytes, concatBytes(parts));
    if (stored.byteLength >= pageBytes) return { bytes };
    const lengths = parts.map((part) => part.byteLength);
    const base = { digests: new Uint8Array(bases), lengths, offset: 0, bytes: totalBytes(parts) };
    return { bytes, base };
  }
}

function decodeCanonical(bytes: Uint8Array, kind: TreeKind, level: number): Page {
  const page = decodePage(bytes, kind, level);
  if (!equalBytes(encodePage(page), bytes)) throw invalid("a page is not in its one form");
  return page;
}

function summarizePage(page: Page, below: readonly Summary[]): Summary {
  if ("children" in page) return summarizeInner(page.kind, page.level, page.children, below);
  const none = { level: 0, bytes: 0, files: 0, directories: 0, firstPath: "", lastPath: "" } as const;
  if (page.kind === "times") return { ...none, kind: "times", items: page.times.length };
  if (page.kind === "chunks") {
    const bytes = page.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    return { ...none, kind: "chunks", items: page.chunks.length, bytes };
  }
  const { entries } = page;
  return {
    kind: "entries",
    level: 0,
    items: entries.length,
    bytes: entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0),
    files: entries.filter((entry) => entry.kind === "file").length,
    directories: entries.filter((entry) => entry.kind === "directory").length,
    firstPath: entries[0]?.path ?? "",
    lastPath: entries.at(-1)?.path ?? "",
  };
}

function summarizeInner(
  kind: TreeKind,
  level: number,
  children: readonly ChildItem[],
  below: readonly Summary[],
): Summary {
  const total = { items: 0, bytes: 0, files: 0, directories: 0 };
  for (const [index, child] of children.entries()) {
    const its = must(below[index], "a summary each");
    const before = below[index - 1];
    if (its.items !== child.items || its.bytes !== child.bytes || its.firstPath !== child.firstPath) {
      throw invalid("a page is not what its parent says of it");
    }
    if (kind === "entries" && before !== undefined && compareUtf8(before.lastPath, its.firstPath) >= 0) {
      throw invalid("its paths are out of order");
    }
    total.items += its.items;
    total.bytes += its.bytes;
    total.files += its.files;
    total.directories += its.directories;
  }
  return {
    kind,
    level,
    ...total,
    firstPath: below[0]?.firstPath ?? "",
    lastPath: below.at(-1)?.lastPath ?? "",
  };
}

/** The pages that lie with a root: all of its trees. */
class InlinePages {
  readonly #bytes: ReadonlyMap<Digest, Uint8Array>;
  /** A page may stand in a tree many times, and is looked at once. */
  readonly #summaries = new Map<Digest, Summary>();

  /** Errors: LIMIT_EXCEEDED. */
  constructor(pages: readonly Uint8Array[]) {
    if (totalBytes(pages) > INLINE_BYTES_MAX) {
      throw new AetherError(
        "LIMIT_EXCEEDED",
        `pages of more than ${INLINE_BYTES_MAX} bytes do not lie with the root`,
      );
    }
    this.#bytes = new Map(pages.map((page) => [digestOf(page), page]));
  }

  /** `level` falls, so the recursion ends. */
  summarize(digest: Digest, kind: TreeKind, level: number): Summary {
    const known = this.#summaries.get(digest) ?? this.#look(digest, kind, level);
    if (known.kind !== kind || known.level !== level) throw invalid("a page is not what its parent names");
    this.#summaries.set(digest, known);
    return known;
  }

  /** That each page stands in a tree, and that the trees are as small as a manifest that lies in one object. */
  checkUse(root: ManifestRoot): void {
    if (this.#summaries.size !== this.#bytes.size) throw invalid("a page lies with it that nothing names");
    if (this.#bytes.size > 0 && (root.chunks?.items ?? 0) > INLINE_CHUNKS_MAX) {
      throw new AetherError("LIMIT_EXCEEDED", "a version of so many chunks has its pages in blocks");
    }
  }

  #look(digest: Digest, kind: TreeKind, level: number): Summary {
    const bytes = this.#bytes.get(digest);
    if (bytes === undefined) {
      const name = formatDigest(digest);
      throw new AetherError("OBJECT_MISSING", `a page is not with its root: ${name}`, {
        data: { digest: name },
      });
    }
    const page = decodeCanonical(bytes, kind, level);
    const children = "children" in page ? page.children : [];
    return summarizePage(
      page,
      children.map((child) => this.summarize(child.digest, kind, level - 1)),
    );
  }
}

function checkTotals(
  root: ManifestRoot,
  entries: Summary | undefined,
  times: Summary | undefined,
  chunks: Summary | undefined,
): void {
  const agrees =
    (entries?.items ?? 0) === (root.entries?.items ?? 0) &&
    (times?.items ?? 0) === (root.times?.items ?? 0) &&
    (chunks?.items ?? 0) === (root.chunks?.items ?? 0) &&
    (entries?.files ?? 0) === root.files &&
    (entries?.directories ?? 0) === root.directories &&
    (entries?.bytes ?? 0) === root.bytes &&
    (chunks?.bytes ?? 0) === root.bytes;
  if (!agrees) throw invalid("its pages do not come to what its root says");
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a manifest is malformed: ${why}`);
}
