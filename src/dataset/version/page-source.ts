/** Reading a version's pages. docs/format.md §6.3 */
import { must } from "../../base/assert.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestOf, formatDigest, type Digest } from "../../format/digest.ts";
import { decodePage, type ChildItem, type Page, type TreeKind } from "../../format/page.ts";
import { DEPTH_MAX } from "../../format/frame.ts";
import { ELSEWHERE, type Plan, type PlanFrame } from "../../format/plan.ts";
import type { RangeReader, CallOptions } from "../../store/block-store.ts";
import { fetchFrames } from "./block-ranges.ts";
import { LoadingCache } from "./loading-cache.ts";
import type { PlanSource } from "./plan-source.ts";
import type { Traffic } from "./traffic.ts";
import { UnitBuilder, type PlacedChunk } from "./unit.ts";
import { decodeUnit, verifyBytes } from "./unit-decode.ts";

/** Encoded bytes of the pages that a version keeps by itself, decoded too; as objects they take some five times as much. */
const CACHED_BYTES_MAX = 2 * MiB;

/** Pages that one was made of, whose plans are read ahead: nearly always it is one. */
const BASES_AHEAD_MAX = 2;

/** A page as its parent names it, and where to look for its place. */
export interface PageRef {
  readonly kind: TreeKind;
  readonly level: number;
  readonly digest: Digest;
  /** Items below it. */
  readonly items: number;
  /** Stream bytes below it; undefined in a tree of times. */
  readonly bytes: number | undefined;
  /** Of a tree of entries the first path below it, when the parent says it. */
  readonly firstPath: string | undefined;
  /** The plan that places it, and its number there. */
  readonly planKey: Digest;
  readonly planIndex: number;
}

/** The frame that a page came in. */
export interface PageFrame {
  readonly planned: PlanFrame;
  /** A view of what was read: to be copied by who keeps it. */
  readonly stored: Uint8Array;
}

/** Pages on this machine: looked up before the store, and told of what the store gave. A hint: bytes are verified. */
export interface PageKeeper {
  readonly find: (digest: Digest) => Uint8Array | undefined;
  readonly keep: (digest: Digest, bytes: Uint8Array, frame: PageFrame) => void;
}

/** A page as a cache keeps it. */
export interface LoadedPage {
  readonly page: Page;
  readonly encoded: Uint8Array;
  readonly items: number;
  readonly streamBytes: number;
  readonly firstPath: string | undefined;
}

/** Pages of versions of one store, by digest, of which `bytesMax` encoded are kept. */
export function openPageCache(bytesMax = CACHED_BYTES_MAX): LoadingCache<LoadedPage> {
  return new LoadingCache<LoadedPage>(bytesMax, (loaded) => loaded.encoded.byteLength);
}

/** Plans as reading pages takes them. */
export type PagePlans = Pick<PlanSource, "get" | "getShort" | "expect" | "expectBase" | "forget">;

/** Where pages come from. */
export interface PageSourceOptions extends CallOptions {
  readonly blocks: RangeReader;
  readonly plans: PagePlans;
  readonly traffic: Traffic;
  /** Pages that lie in the version's manifest object. */
  readonly inline: readonly Uint8Array[];
  readonly keeper: PageKeeper | undefined;
  /** Shared with other versions of the store; undefined: its own. */
  readonly cache: LoadingCache<LoadedPage> | undefined;
  /** Read the plan of what a page leads to together with the page. */
  readonly isEager: boolean;
}

/** The pages of one version: verified, cached, each fetched once however many ask. */
export class PageSource {
  readonly #options: PageSourceOptions;
  readonly #inline: ReadonlyMap<Digest, Uint8Array>;
  readonly #cache: LoadingCache<LoadedPage>;

  constructor(options: PageSourceOptions) {
    this.#options = options;
    this.#cache = options.cache ?? openPageCache();
    this.#inline = new Map(options.inline.map((bytes) => [digestOf(bytes), bytes]));
  }

  /** Whether pages are to be read before it is certain that they are needed. */
  get isEager(): boolean {
    return this.#options.isEager;
  }

  /** Whether the page lies in the manifest object. */
  isInline(digest: Digest): boolean {
    return this.#inline.has(digest);
  }

  /**
   * The pages, in order; those that must be fetched are fetched together.
   * Errors: OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, MANIFEST_UNSAFE, STORE_UNAVAILABLE.
   */
  async load(refs: readonly PageRef[]): Promise<Page[]> {
    return (await this.#load(refs)).map(({ page }) => page);
  }

  /** Begins to read pages that will probably be asked for. Who asks meets the errors. */
  expect(refs: readonly PageRef[]): void {
    this.#load(refs).catch(() => undefined);
  }

  /** The same pages' encoded bytes. Errors: as load(). */
  async loadEncoded(refs: readonly PageRef[]): Promise<Uint8Array[]> {
    return (await this.#load(refs)).map(({ encoded }) => encoded);
  }

  async #load(refs: readonly PageRef[]): Promise<LoadedPage[]> {
    const absent = refs.filter(
      (ref) => !this.#cache.has(ref.digest) && this.#atHand(ref.digest) === undefined,
    );
    if (this.#options.isEager) this.#expectPlans(refs);
    let fetched: Promise<Map<Digest, Uint8Array>> | undefined;
    const loads = refs.map(async (ref) => {
      const own = { isAsked: false };
      const load = async (): Promise<LoadedPage> => {
        own.isAsked = true;
        const bytes = this.#atHand(ref.digest) ?? (await (fetched ??= this.#fetch(absent))).get(ref.digest);
        return decode(bytes ?? must((await this.#fetch([ref])).get(ref.digest), "it was fetched"), ref);
      };
      try {
        return await this.#cache.get(ref.digest, load);
      } catch (error) {
        // Another version may have looked in another place, or for another kind of page.
        if (own.isAsked) throw error;
        return this.#cache.get(ref.digest, load);
      }
    });
    const loaded = await Promise.all(loads);
    return loaded.map((page, index) => checked(page, must(refs[index], "one page for each reference")));
  }

  /** What an inner page leads to, or a chunk, is looked for next; of entries and times nothing is. */
  #expectPlans(refs: readonly PageRef[]): void {
    for (const ref of refs) {
      if (isPlanned(ref) && !this.isInline(ref.digest)) this.#options.plans.expect(ref.digest);
    }
  }

  /**
   * A page that is a delta lies on the pages that it replaced, and its plan is mostly in terms of theirs: these are read
   * together, else each would be a journey more.
   */
  #expectBases({ plan, place }: PlacedChunk): void {
    let frame = plan.frames[place.frame];
    for (let depth = 0; depth < DEPTH_MAX && frame?.delta !== undefined; depth++) {
      const { sources } = frame.delta;
      for (const { digest } of sources.slice(0, BASES_AHEAD_MAX)) this.#options.plans.expectBase(digest);
      frame = plan.frames[sources[0]?.frame ?? ELSEWHERE];
    }
  }

  /** A page's encoded bytes, verified, from this machine. */
  #atHand(digest: Digest): Uint8Array | undefined {
    const inline = this.#inline.get(digest);
    if (inline !== undefined) return inline;
    const kept = this.#options.keeper?.find(digest);
    return kept !== undefined && digestOf(kept) === digest ? kept : undefined;
  }

  async #fetch(refs: readonly PageRef[]): Promise<Map<Digest, Uint8Array>> {
    try {
      return await this.#fetchOnce(refs);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "OBJECT_MISSING" && code !== "OBJECT_CORRUPT") throw error;
      for (const ref of refs) this.#options.plans.forget(ref.planKey);
      return this.#fetchOnce(refs);
    }
  }

  async #fetchOnce(refs: readonly PageRef[]): Promise<Map<Digest, Uint8Array>> {
    const { blocks, plans, traffic, keeper } = this.#options;
    const unit = new UnitBuilder<Uint8Array>((digest) => this.#atHand(digest));
    // Asked for together: a store may answer them so.
    const short = await Promise.all(refs.map((ref) => plans.getShort(ref.planKey)));
    const planned: PlanFrame[] = [];
    for (const [index, ref] of refs.entries()) {
      const inShort = placedPage(ref, must(short[index], "a plan for each"));
      const placed = unit.canAdd(inShort) ? inShort : placedPage(ref, await plans.get(ref.planKey));
      unit.add(placed);
      planned.push(must(placed.plan.frames[placed.place.frame], "the unit took it"));
      if (this.#options.isEager && isPlanned(ref)) this.#expectBases(placed);
    }
    const { stored, fetchedBytes } = await fetchFrames(blocks, unit.frames, this.#options);
    traffic.manifestBytes += fetchedBytes;
    const locals = unit.locals.map((local) => verifyBytes(local.place, local.digest));
    const pages = decodeUnit({ frames: unit.frames, chunks: unit.chunks, stored, locals });
    const found = new Map<Digest, Uint8Array>();
    for (const [index, bytes] of pages.entries()) {
      const { digest } = must(refs[index], "one page for each reference");
      const chunk = must(unit.chunks[index], "a chunk for each page");
      const at = "frame" in chunk ? stored[chunk.frame] : undefined;
      if (at !== undefined)
        keeper?.keep(digest, bytes, { planned: must(planned[index], "a frame each"), stored: at });
      found.set(digest, bytes);
    }
    return found;
  }
}

/** Whether there is a plan of what the page leads to: chunks, or pages below it. */
function isPlanned({ level, kind }: PageRef): boolean {
  return level > 0 || kind === "chunks";
}

function placedPage({ digest, planIndex }: PageRef, plan: Plan): PlacedChunk {
  const place = plan.covers === "items" ? plan.places[planIndex] : undefined;
  if (place !== undefined) return { digest, bytes: undefined, plan, place };
  throw new AetherError("OBJECT_INVALID", `no plan says where page ${formatDigest(digest)} lies`);
}

function decode(bytes: Uint8Array, ref: PageRef): LoadedPage {
  const page = decodePage(bytes, ref.kind, ref.level);
  // Of its own memory: what was decoded with it need not be kept.
  const loaded = { page, encoded: new Uint8Array(bytes), streamBytes: 0, firstPath: undefined };
  if ("children" in page) {
    const items = sum(page.children, (child) => child.items);
    const streamBytes = sum(page.children, (child) => child.bytes);
    return { ...loaded, items, streamBytes, firstPath: page.children[0]?.firstPath };
  }
  if (page.kind === "times") return { ...loaded, items: page.times.length };
  if (page.kind === "chunks") {
    return { ...loaded, items: page.chunks.length, streamBytes: sum(page.chunks, (chunk) => chunk.length) };
  }
  const streamBytes = sum(page.entries, (entry) => (entry.kind === "file" ? entry.size : 0));
  return { ...loaded, items: page.entries.length, streamBytes, firstPath: page.entries[0]?.path };
}

/** The page, held to what its parent says of it: every parent anew, since a page may have several. */
function checked(loaded: LoadedPage, ref: PageRef): LoadedPage {
  const { page, items, streamBytes, firstPath } = loaded;
  const agrees =
    page.kind === ref.kind &&
    page.level === ref.level &&
    items === ref.items &&
    (ref.bytes === undefined || streamBytes === ref.bytes) &&
    (ref.firstPath === undefined || firstPath === ref.firstPath);
  if (agrees) return loaded;
  throw new AetherError(
    "OBJECT_INVALID",
    `page ${formatDigest(ref.digest)} holds something else than its parent says`,
  );
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += value(item);
  return total;
}

/** The reference to child `index` of a page. */
export function childRef(parent: PageRef, child: ChildItem, index: number): PageRef {
  const { kind } = parent;
  return {
    kind,
    level: parent.level - 1,
    digest: child.digest,
    items: child.items,
    bytes: kind === "times" ? undefined : child.bytes,
    firstPath: kind === "entries" ? child.firstPath : undefined,
    planKey: parent.digest,
    planIndex: index,
  };
}
