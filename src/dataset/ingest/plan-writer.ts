/** Writes the plans of a version as soon as what they place has a place. docs/format.md §7 */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { decodeRoot } from "../../format/manifest.ts";
import { decodePage, type EncodedPage } from "../../format/page.ts";
import { shortenPlan } from "../../format/plan-base.ts";
import { PLAN_HEIGHT_MAX, encodePlan, planBaseOf, type Plan, type PlanCovers } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { PlanOptions, Revision } from "../../store/dataset-store.ts";
import type { BlockDomains } from "../version/block-domains.ts";
import type { ManifestStore } from "../version/watched-reads.ts";
import { inlineChunks, placedPage, placedVersion, readPlan, wholePlan } from "../version/load-plan.ts";
import { Traffic } from "../version/traffic.ts";
import { missing } from "./block-indexes.ts";
import type { ChunkIndex } from "./chunk-index.ts";
import type { Publication } from "./ingest.ts";
import type { Lease } from "./lease.ts";
import type { PlanMaker } from "./plan-maker.ts";

/** Plans that are written at the same time. */
const PARALLEL_MAX = 16;
/** Plans that completing one takes: of a page fewer, since who reads here and there reads those of many pages. */
const HEIGHTS_MAX = { version: PLAN_HEIGHT_MAX, page: 3 } as const;
/** Times that a plan is written anew because somebody else wrote it meanwhile. */
const TRIES_MAX = 8;
/** Chunks of a plan that are looked up to tell whose its blocks are. */
const LOOKED_UP_MAX = 256;

/** A plan that waits for its chunks to be in sealed blocks. */
export interface PendingPlan {
  /** The page or version that it is about. */
  readonly key: Digest;
  readonly covers: PlanCovers;
  readonly items: readonly Digest[];
  /** The version, or of a page's plan the pages, whose plan may say where some of them lie. */
  readonly bases?: readonly Digest[] | undefined;
  /** What it is about is new to the store, as far as the session knows: it is written without looking for one first. */
  readonly isNew?: boolean;
}

/** What a plan writer works with. */
export interface PlanWriterParts {
  readonly datasets: ManifestStore;
  readonly index: ChunkIndex;
  readonly plans: PlanMaker;
  /** Claims every block that the plans lead to. */
  readonly lease: Lease;
  /** The session's own, and those of the blocks. */
  readonly domain: string;
  readonly domains: BlockDomains;
}

/** The plans of one session, in the order in which their chunks and pages are put. */
export class PlanWriter {
  readonly #parts: PlanWriterParts;
  #pending: PendingPlan[] = [];

  constructor(parts: PlanWriterParts) {
    this.#parts = parts;
  }

  /** Adds a plan to those that wait: after the plans of what it places. */
  add(plan: PendingPlan): void {
    this.#pending.push(plan);
  }

  /**
   * Writes the plans of which no item is in `promised`, up to the first that must wait; gives the bytes written. A plan
   * that is there and leads to nothing but blocks that are there stays. Errors: OBJECT_MISSING; OBJECT_CONFLICT.
   */
  async write(promised: ReadonlySet<Digest>, options: CallOptions): Promise<number> {
    const isReady = (plan: PendingPlan): boolean => plan.items.every((digest) => !promised.has(digest));
    const waiting = this.#pending.findIndex((plan) => !isReady(plan));
    const ready = this.#pending.splice(0, waiting === -1 ? this.#pending.length : waiting);
    let bytes = 0;
    for (let next = 0; next < ready.length; next += PARALLEL_MAX) {
      const batch = ready.slice(next, next + PARALLEL_MAX);
      const written = await Promise.all(batch.map((plan) => this.#write(plan, options)));
      bytes += written.reduce((sum, one) => sum + one, 0);
    }
    return bytes;
  }

  /** Others may write the same plan meanwhile, or this session itself, for a page that stands twice in the version. */
  async #write(plan: PendingPlan, options: CallOptions): Promise<number> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const bytes = await this.#tryWrite(plan, tries > 0 || plan.isNew !== true, options);
      if (bytes !== undefined) return bytes;
    }
    throw new AetherError("OBJECT_CONFLICT", "a plan is being written by too many at once: try again");
  }

  /** That every plan was written. Errors: OBJECT_MISSING when one waits for something that never came. */
  checkDone(promised: ReadonlySet<Digest>): void {
    const lacking = this.#pending.flatMap((plan) => plan.items).find((digest) => promised.has(digest));
    if (lacking === undefined) return;
    throw new AetherError("OBJECT_MISSING", `sha256:${lacking} was asked for and never came: put it before`, {
      data: { digest: `sha256:${lacking}` },
    });
  }

  /** Bytes written, or undefined when somebody else wrote the plan first, or it was not looked for and is there. */
  async #tryWrite(pending: PendingPlan, looks: boolean, options: CallOptions): Promise<number | undefined> {
    const { key, covers, items } = pending;
    const { datasets, plans, domain } = this.#parts;
    let where: PlanOptions = options;
    let present = looks ? await datasets.getPlan(key, where) : undefined;
    let held = present && (await this.#blocksOf(present.value, pending, options));
    if (held !== undefined && !(await this.#isOwn(held, items, options))) {
      where = { ...options, domain };
      present = await datasets.getPlan(key, where);
      held = present && (await this.#blocksOf(present.value, pending, options));
    }
    if (held !== undefined) {
      this.#claim(held);
      return 0;
    }
    const { plan, blocks } = await plans.make(covers, items, options);
    this.#claim(blocks);
    const bases = where.domain === undefined ? pending.bases : undefined;
    const basePlanBytes =
      plans.hasMoved && covers === "version" ? await this.#layAnew(bases?.[0], options) : 0;
    const bytes = await this.#encode(plan, { bases, items }, options);
    const isWritten = await this.#put(key, bytes, present?.revision, where);
    return isWritten ? bytes.byteLength + basePlanBytes : undefined;
  }

  /** False: somebody else has written the plan since. */
  async #put(
    key: Digest,
    bytes: Uint8Array,
    revision: Revision | undefined,
    where: PlanOptions,
  ): Promise<boolean> {
    try {
      await this.#parts.datasets.putPlan(key, bytes, revision, where);
      return true;
    } catch (error) {
      if (codeOf(error) === "OBJECT_CONFLICT") return false;
      throw error;
    }
  }

  /**
   * Writes a version's plan anew, with the places that its chunks have now: what depends on them stays within the limits for
   * those who read both plans. Gives the bytes written.
   */
  async #layAnew(version: Digest | undefined, options: CallOptions): Promise<number> {
    if (version === undefined) return 0;
    const { datasets, plans } = this.#parts;
    try {
      const present = await datasets.getPlan(version, options);
      if (present === undefined) return 0;
      const { chunks } = await placedVersion(datasets, version, { ...options, traffic: new Traffic() });
      const items = chunks.map(({ digest }) => digest);
      const { plan } = await plans.make("version", items, options);
      const base = planBaseOf(present.value)?.key;
      const bytes = await this.#encode(plan, { bases: base === undefined ? [] : [base], items }, options);
      return (await this.#put(version, bytes, present.revision, options)) ? bytes.byteLength : 0;
    } catch (error) {
      return isUnreadable(error) ? 0 : raise(error);
    }
  }

  /** The shortest form of the plan of `items`. */
  async #encode(
    plan: Plan,
    { bases = [], items }: Pick<PendingPlan, "bases" | "items">,
    options: CallOptions,
  ): Promise<Uint8Array> {
    let bytes = encodePlan(plan);
    for (const base of bases) {
      const short = await this.#shorten(plan, base, items, options);
      const shortBytes = short && encodePlan(short);
      if (shortBytes !== undefined && shortBytes.byteLength < bytes.byteLength) bytes = shortBytes;
    }
    return bytes;
  }

  /**
   * Whether the blocks, which are of one domain, are of the session's: readers of it are shown no others. The index has chunks
   * of no other domain's blocks, so that a block in which it knows one of `chunks` (or pages) need not be asked. Errors: OBJECT_MISSING when
   * the head or the index of one is damaged.
   */
  async #isOwn(
    blocks: ReadonlySet<Digest>,
    chunks: readonly Digest[],
    options: CallOptions,
  ): Promise<boolean> {
    const [first] = blocks;
    if (first === undefined) return true;
    const { domain, domains, index } = this.#parts;
    for (const chunk of chunks.slice(0, LOOKED_UP_MAX)) {
      const block = index.find(chunk)?.block;
      if (block !== undefined && blocks.has(block)) return true;
    }
    try {
      return (await domains.get(first, options)) === domain;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // What lies in it counts as missing from now on, and is stored anew.
      index.remove([first]);
      throw missing(first);
    }
  }

  #claim(blocks: Iterable<Digest>): void {
    for (const block of blocks) this.#parts.lease.addBlock(block);
  }

  /** The plan in terms of a base's; undefined when that cannot be read, or is another domain's. */
  async #shorten(
    plan: Plan,
    base: Digest,
    items: readonly Digest[],
    options: CallOptions,
  ): Promise<Plan | undefined> {
    const kind = plan.covers === "version" ? "version" : "page";
    try {
      const loading = { ...options, traffic: new Traffic() };
      const { datasets } = this.#parts;
      const version = kind === "version" ? await placedVersion(datasets, base, loading) : undefined;
      const placed = version ?? (await placedPage(datasets, base, loading));
      const known = version?.chunks.map(({ digest }) => digest) ?? items;
      const blocks = new Set(placed.plan.frames.map((frame) => frame.block));
      const height = placed.height + 1;
      if (height > HEIGHTS_MAX[kind] || !this.#areThere(blocks)) return undefined;
      if (!(await this.#isOwn(blocks, known, options))) return undefined;
      return shortenPlan(plan, { kind, key: base, height }, placed.plan);
    } catch (error) {
      return isUnreadable(error) ? undefined : raise(error);
    }
  }

  /** The blocks that a plan leads to; undefined when one is not there: such a plan is replaced, and so the store heals. */
  async #blocksOf(
    bytes: Uint8Array,
    { covers, items }: PendingPlan,
    options: CallOptions,
  ): Promise<ReadonlySet<Digest> | undefined> {
    try {
      const { datasets } = this.#parts;
      const loading = { ...options, traffic: new Traffic() };
      const plan = await wholePlan(datasets, await readPlan(datasets, bytes, loading), loading);
      if (plan.covers !== covers || plan.places.length !== items.length) return undefined;
      const blocks = new Set(plan.frames.map((frame) => frame.block));
      return this.#areThere(blocks) ? blocks : undefined;
    } catch (error) {
      return isUnreadable(error) ? undefined : raise(error);
    }
  }

  #areThere(blocks: ReadonlySet<Digest>): boolean {
    return [...blocks].every((block) => this.#parts.index.bytesOf(block) !== undefined);
  }
}

/** What reading says of a plan, or of what completing it takes, that is lost or damaged. */
function isUnreadable(error: unknown): boolean {
  const code = codeOf(error);
  return code === "VERSION_NOT_FOUND" || code.startsWith("OBJECT_") || code === "FORMAT_UNSUPPORTED";
}

function raise(error: unknown): never {
  throw error;
}

/** What a page's plan places: its children or chunks; entries and times lie in the page itself. */
export function itemsOf(page: EncodedPage): Digest[] {
  if (page.level === 0 && page.kind !== "chunks") return [];
  const decoded = decodePage(page.bytes, page.kind, page.level);
  if ("children" in decoded) return decoded.children.map((child) => child.digest);
  return "chunks" in decoded ? decoded.chunks.map((chunk) => chunk.digest) : [];
}

/** The plan of a version: of its chunks when its pages lie with the root, else of the top pages. */
export function rootPlan(version: Digest, publication: Publication): PendingPlan {
  const root = decodeRoot(publication.root);
  if (publication.inlinePages.length === 0) {
    const tops = [root.entries, root.times, root.chunks].flatMap((tree) =>
      tree === undefined ? [] : [tree.digest],
    );
    return { key: version, covers: "items", items: tops };
  }
  const { root: bytes, inlinePages: pages, base } = publication;
  const items = inlineChunks({ root: bytes, pages }).map(({ digest }) => digest);
  const isInline = base !== undefined && base.bundle.pages.length > 0;
  return { key: version, covers: "version", items, bases: isInline ? [base.version] : [] };
}
