/** Pages as producers send them: sound, canonical, and on nothing that is not there. docs/format.md §6 */
import { must } from "../../base/assert.ts";
import { compareUtf8, equalBytes, totalBytes } from "../../base/bytes.ts";
import { AetherError } from "../../base/errors.ts";
import { digestOf, formatDigest, type Digest } from "../../format/digest.ts";
import { INLINE_BYTES_MAX, decodeRoot, type ManifestRoot } from "../../format/manifest.ts";
import {
  decodePage,
  encodePage,
  identifyPage,
  PAGE_ITEMS_MAX,
  type ChildItem,
  type EncodedPage,
  type Page,
  type TreeKind,
} from "../../format/page.ts";
import type { TreeRef } from "../../format/tree.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { fetchFrames } from "../version/block-ranges.ts";
import { UnitBuilder } from "../version/unit.ts";
import type { HubPublication } from "./sessions.ts";
import type { LocalSession } from "./local-session.ts";

/** Pages of one session at most. */
const PAGES_MAX = 1 << 18;

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
   * and taken with all below them. Errors: OBJECT_INVALID, MANIFEST_UNSAFE, OBJECT_MISSING, LIMIT_EXCEEDED.
   */
  async take(bytes: Uint8Array, options: CallOptions): Promise<void> {
    const { kind, level } = identifyPage(bytes);
    await this.#take({ kind, level, digest: digestOf(bytes), bytes }, options);
  }

  /** That everything the root names is there, and adds up. Errors: OBJECT_INVALID, MANIFEST_UNSAFE, OBJECT_MISSING. */
  async checkRoot(publication: HubPublication, options: CallOptions): Promise<void> {
    const root = decodeRoot(publication.root);
    const inline = new InlinePages(publication.inlinePages);
    const summarize = (tree: TreeRef | undefined, kind: TreeKind): Promise<Summary | undefined> => {
      if (tree === undefined) return Promise.resolve(undefined);
      return publication.inlinePages.length > 0
        ? Promise.resolve(inline.summarize(tree.digest, kind, tree.level))
        : this.#known(tree.digest, kind, tree.level, options);
    };
    const entries = await summarize(root.entries, "entries");
    const times = await summarize(root.times, "times");
    const chunks = await summarize(root.chunks, "chunks");
    checkTotals(root, entries, times, chunks);
    inline.checkUse(root);
  }

  async #take(page: EncodedPage, options: CallOptions): Promise<Summary> {
    const known = this.#pages.get(page.digest);
    if (known !== undefined) return known;
    if (this.#pages.size === PAGES_MAX)
      throw new AetherError("LIMIT_EXCEEDED", `a push has at most ${PAGES_MAX} pages`);
    const decoded = decodeCanonical(page.bytes, page.kind, page.level);
    const below: Summary[] = [];
    if ("children" in decoded) {
      for (const child of decoded.children) {
        below.push(await this.#known(child.digest, page.kind, page.level - 1, options));
      }
    }
    const summary = summarizePage(decoded, below);
    this.#pages.set(page.digest, summary);
    await this.#local.putPage(page, options);
    return summary;
  }

  /** A page that was taken, or is in the domain: `level` falls, so the recursion ends. */
  async #known(digest: Digest, kind: TreeKind, level: number, options: CallOptions): Promise<Summary> {
    const known =
      this.#pages.get(digest) ?? (await this.#take(await this.#read(digest, kind, level, options), options));
    if (known.kind !== kind || known.level !== level) throw invalid("a page is not what its parent names");
    return known;
  }

  async #read(digest: Digest, kind: TreeKind, level: number, options: CallOptions): Promise<EncodedPage> {
    const plan = await this.#local.planOf([digest], options);
    const unit = new UnitBuilder<never>(() => undefined);
    const bytes = this.#local.find(digest)?.chunkBytes;
    unit.add({ digest, bytes, plan, place: must(plan.places[0], "one place for one page") });
    const { stored, ranges } = await fetchFrames(this.#engine.store.blocks, unit.frames, options);
    const { frames, chunks } = unit;
    const transfer = ranges.map((range) => range.buffer);
    const input = { frames, chunks, stored, locals: [] };
    return { kind, level, digest, bytes: await this.#engine.pool.run("decodeUnit", input, { transfer }) };
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
  readonly #count: number;
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
    this.#count = pages.length;
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
    if (this.#summaries.size !== this.#count)
      throw invalid("a page lies with it that nothing names, or twice");
    if (this.#count > 0 && (root.chunks?.items ?? 0) > INLINE_CHUNKS_MAX) {
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
