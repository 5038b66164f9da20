/** Writes the plans of a version as soon as what they place has a place. docs/format.md §7 */
import { AetherError, codeOf } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { decodeRoot } from "../../format/manifest.ts";
import { decodePage, type EncodedPage } from "../../format/page.ts";
import { decodePlan, encodePlan, type PlanCovers } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore, PlanOptions } from "../../store/dataset-store.ts";
import type { BlockDomains } from "../version/block-domains.ts";
import { missing } from "./block-indexes.ts";
import type { ChunkIndex } from "./chunk-index.ts";
import type { Publication } from "./ingest.ts";
import type { Lease } from "./lease.ts";
import type { PlanMaker } from "./plan-maker.ts";

/** Plans that are written at the same time. */
const PARALLEL_MAX = 16;
/** Times that a plan is written anew because somebody else wrote it meanwhile. */
const TRIES_MAX = 8;

/** A plan that waits for its chunks to be in sealed blocks. */
export interface PendingPlan {
  /** The page or version that it is about. */
  readonly key: Digest;
  readonly covers: PlanCovers;
  readonly items: readonly Digest[];
}

/** What a plan writer works with. */
export interface PlanWriterParts {
  readonly datasets: DatasetStore;
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
      const bytes = await this.#tryWrite(plan, options);
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

  /** Bytes written, or undefined when somebody else wrote the plan first. */
  async #tryWrite({ key, covers, items }: PendingPlan, options: CallOptions): Promise<number | undefined> {
    const { datasets, plans, domain } = this.#parts;
    let where: PlanOptions = options;
    let present = await datasets.getPlan(key, where);
    let held = present && this.#blocksOf(present.value, covers, items.length);
    if (held !== undefined && !(await this.#isOwn(held, options))) {
      where = { ...options, domain };
      present = await datasets.getPlan(key, where);
      held = present && this.#blocksOf(present.value, covers, items.length);
    }
    if (held !== undefined) {
      this.#claim(held);
      return 0;
    }
    const { plan, blocks } = await plans.make(covers, items, options);
    this.#claim(blocks);
    const bytes = encodePlan(plan);
    try {
      await datasets.putPlan(key, bytes, present?.revision, where);
      return bytes.byteLength;
    } catch (error) {
      if (codeOf(error) === "OBJECT_CONFLICT") return undefined;
      throw error;
    }
  }

  /** Whether the blocks, which are of one domain, are of the session's: readers of it are shown no others. */
  async #isOwn(blocks: ReadonlySet<Digest>, options: CallOptions): Promise<boolean> {
    const [first] = blocks;
    if (first === undefined) return true;
    const { domain, domains } = this.#parts;
    return (await domains.get(first, options)) === domain;
  }

  #claim(blocks: Iterable<Digest>): void {
    for (const block of blocks) this.#parts.lease.addBlock(block);
  }

  /** The blocks that a plan leads to; undefined when one is not there: such a plan is replaced, and so the store heals. */
  #blocksOf(bytes: Uint8Array, covers: PlanCovers, items: number): ReadonlySet<Digest> | undefined {
    try {
      const plan = decodePlan(bytes);
      if (plan.covers !== covers || plan.places.length !== items) return undefined;
      const blocks = new Set(plan.frames.map((frame) => frame.block));
      const areThere = [...blocks].every((block) => this.#parts.index.bytesOf(block) !== undefined);
      return areThere ? blocks : undefined;
    } catch (error) {
      if (codeOf(error) === "OBJECT_INVALID" || codeOf(error) === "OBJECT_CORRUPT") return undefined;
      throw error;
    }
  }
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
  const items: Digest[] = [];
  const pages = new Map(publication.inlinePages.map((page) => [digestOf(page), page]));
  const visit = (digest: Digest, level: number): void => {
    const bytes = pages.get(digest);
    if (bytes === undefined) throw missing(digest);
    const page = decodePage(bytes, "chunks", level);
    if ("children" in page) for (const child of page.children) visit(child.digest, level - 1);
    else if ("chunks" in page) for (const chunk of page.chunks) items.push(chunk.digest);
  };
  if (root.chunks !== undefined) visit(root.chunks.digest, root.chunks.level);
  return { key: version, covers: "version", items };
}
