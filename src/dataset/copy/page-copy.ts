/** The pages of a version on their way to another place. docs/format.md §6.3 */
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import type { EncodedPage, Page, TreeKind } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { IngestFrame, IngestSession } from "../ingest/ingest.ts";
import { PAGE_BASES_MAX } from "../ingest/sessions.ts";
import { loadPages, type NumberedPage } from "../version/page-diff.ts";
import { childRef, type PageFrame, type PageKeeper, type PageRef } from "../version/page-source.ts";
import { topRef, type Version } from "../version/version.ts";
import { baseOf } from "./moved-frames.ts";

/** Pages that are loaded and asked for together. */
const BATCH_PAGES = 32;
/** Of frames that pages came in, until the pages are put. */
const KEPT_BYTES_MAX = 8 * MiB;
const KINDS: readonly TreeKind[] = ["entries", "times", "chunks"];

/** The pages of `before` that `after` has too, with all below them: not those below one that is given. Errors: those of PageSource.load. */
export async function commonPages(before: Version, after: Version): Promise<ReadonlySet<Digest>> {
  const common = new Set<Digest>();
  for (const kind of KINDS) {
    let a = top(before, kind);
    let b = top(after, kind);
    for (let level = Math.max(levelOf(a), levelOf(b)); level >= 0; level--) {
      if (levelOf(a) === level && levelOf(b) === level) {
        const inA = new Set(a.map(({ digest }) => digest));
        for (const { digest } of b) if (inA.has(digest)) common.add(digest);
        a = a.filter(({ digest }) => !common.has(digest));
        b = b.filter(({ digest }) => !common.has(digest));
      }
      if (levelOf(a) === level) a = level === 0 ? [] : await childrenOf(before, a);
      if (levelOf(b) === level) b = level === 0 ? [] : await childrenOf(after, b);
    }
  }
  return common;
}

function top(version: Version, kind: TreeKind): PageRef[] {
  const ref = topRef(version, kind);
  return ref === undefined ? [] : [ref];
}

function levelOf(refs: readonly PageRef[]): number {
  return refs[0]?.level ?? -1;
}

async function childrenOf(version: Version, refs: readonly PageRef[]): Promise<PageRef[]> {
  const children: PageRef[] = [];
  for await (const { ref, page } of loadPages(version, refs.map(numbered)))
    children.push(...below(ref, page));
  return children;
}

function numbered(ref: PageRef): NumberedPage {
  return { ref, firstItem: 0 };
}

function below(ref: PageRef, page: Page): PageRef[] {
  return "children" in page ? page.children.map((child, index) => childRef(ref, child, index)) : [];
}

/** The frames in which pages came lately, so that these can go on in them. Of the version that it is the keeper of. */
export class PageFrames implements PageKeeper {
  readonly #frames = new Map<Digest, PageFrame>();
  #bytes = 0;

  /** Nothing is looked up: pages come from the source. */
  find(): undefined {
    return undefined;
  }

  keep(digest: Digest, _bytes: Uint8Array, { planned, stored }: PageFrame): void {
    this.take(digest);
    this.#frames.set(digest, { planned, stored: new Uint8Array(stored) });
    this.#bytes += stored.byteLength;
    for (const oldest of this.#frames.keys()) {
      if (this.#bytes <= KEPT_BYTES_MAX) return;
      this.take(oldest);
    }
  }

  /** The frame of a page, which is forgotten. */
  take(digest: Digest): PageFrame | undefined {
    const frame = this.#frames.get(digest);
    this.#frames.delete(digest);
    this.#bytes -= frame?.stored.byteLength ?? 0;
    return frame;
  }
}

/** Copies the pages that do not lie with the root. */
export class PageCopy {
  readonly #version: Version;
  readonly #session: IngestSession;
  readonly #frames: PageFrames;

  /** `frames`: the version's keeper. */
  constructor(version: Version, session: IngestSession, frames: PageFrames) {
    this.#version = version;
    this.#session = session;
    this.#frames = frames;
  }

  /**
   * Puts the pages that the target lacks, children before parents; what lies below `held` pages is there. Errors: those of
   * reading the source, and of the session.
   */
  async run(held: ReadonlySet<Digest>, options: CallOptions): Promise<void> {
    if (this.#version.bundle.pages.length > 0) return;
    for (const kind of KINDS) await this.#putAll(top(this.#version, kind), held, options);
  }

  /** Levels fall, so the recursion ends. */
  async #putAll(refs: readonly PageRef[], held: ReadonlySet<Digest>, options: CallOptions): Promise<void> {
    const wanted = refs.filter(({ digest }) => !held.has(digest));
    for (let start = 0; start < wanted.length; start += BATCH_PAGES) {
      options.signal?.throwIfAborted();
      const batch = wanted.slice(start, start + BATCH_PAGES);
      const pages = await this.#version.pages.load(batch);
      for (const [index, ref] of batch.entries())
        await this.#putAll(below(ref, must(pages[index], "a page each")), held, options);
      await this.#putBatch(batch, options);
    }
  }

  async #putBatch(refs: readonly PageRef[], options: CallOptions): Promise<void> {
    const encoded = await this.#version.pages.loadEncoded(refs);
    const missing = await this.#session.missing(
      refs.map(({ digest }) => digest),
      options,
    );
    const forms = await Promise.all(
      refs.map(async ({ digest }, index) => {
        const length = must(encoded[index], "a page each").byteLength;
        const frame = this.#frames.take(digest);
        if (missing[index] !== true || frame === undefined) return undefined;
        return await this.#frameOf({ digest, length }, frame, options);
      }),
    );
    for (const [index, { kind, level, digest }] of refs.entries()) {
      const page: EncodedPage = { kind, level, digest, bytes: must(encoded[index], "a page each") };
      await this.#session.putPage(page, { isHeld: missing[index] !== true, frame: forms[index] }, options);
    }
  }

  /** The frame as the target takes it; undefined: it does not, and gets the page in one of its own. */
  async #frameOf(
    page: { readonly digest: Digest; readonly length: number },
    { planned, stored }: PageFrame,
    options: CallOptions,
  ): Promise<IngestFrame | undefined> {
    const { codec, delta } = planned;
    const form = { codec, chunks: [page], stored, isPage: true };
    if (delta === undefined) return codec === CODECS.delta ? undefined : { ...form, base: undefined };
    const base = baseOf(delta);
    const bytes = base.lengths.reduce((sum, length) => sum + length, 0);
    const isOfWhole = delta.sources.length <= PAGE_BASES_MAX && base.offset === 0 && base.bytes === bytes;
    if (!isOfWhole || delta.decodedBytes !== page.length) return undefined;
    const digests = delta.sources.map(({ digest }) => digest);
    return (await this.#session.canBase(digests, page.length, options)) ? { ...form, base } : undefined;
  }
}
