/** Finds everything that reading a version takes. */
import { codeOf, AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { TreeKind } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore, ManifestReader } from "../../store/dataset-store.ts";
import type { Engine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import { loadPlan, wholePlan } from "../version/load-plan.ts";
import { childRef, type PageRef } from "../version/page-source.ts";
import { Traffic } from "../version/traffic.ts";
import { openVersion, topRef, type Version } from "../version/version.ts";
import { planName, watchedReads } from "../version/watched-reads.ts";
import type { LivePlan, LiveSet } from "./live-set.ts";

/** Plans that are read at the same time, and pages that are asked for together. */
const PARALLEL_MAX = 16;
const TREES: readonly TreeKind[] = ["entries", "times", "chunks"];

/** Marks versions in one set: what they share is looked at once. */
export class Marker {
  readonly live: LiveSet;
  readonly #engine: Engine;
  readonly #reads: ManifestReader;
  readonly #options: CallOptions;
  /** Versions and pages whose plans were looked at, by domain. */
  readonly #visited = new Set<string>();
  #hasDomainPlans: boolean | undefined;

  constructor(engine: Engine, live: LiveSet, options: CallOptions) {
    this.live = live;
    this.#engine = engine;
    this.#options = options;
    this.#reads = watchedReads(engine.store.datasets, (name) => {
      live.addName(name);
    });
  }

  /**
   * Marks what readers of a version in a domain need. Errors: those of reading it: a version that cannot be read whole cannot
   * be told apart from what nobody needs.
   */
  async mark(version: Digest, domain: string): Promise<void> {
    this.#hasDomainPlans ??= await hasAny(this.#engine.store.datasets, this.#options);
    if (this.#isVisited(version, domain)) return;
    try {
      await this.#markVersion(version, domain);
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
      const text = `what ${formatDigest(version)} needs cannot be told: ${error.message}`;
      throw new AetherError(error.code, text, { data: error.data, cause: error });
    }
  }

  async #markVersion(version: Digest, domain: string): Promise<void> {
    const { blocks } = this.#engine.store;
    const store = { blocks, datasets: this.#reads };
    const opened = await openVersion({ store }, version, this.#options);
    const { entries, chunks } = opened.root;
    const hasPages = entries !== undefined && !opened.pages.isInline(entries.digest);
    if (chunks !== undefined || hasPages) await this.#markPlans(version, domain);
    else this.live.addName(planName(version));
    for (const kind of TREES) {
      const top = topRef(opened, kind);
      if (top !== undefined && !opened.pages.isInline(top.digest)) await this.#markTree(opened, top, domain);
    }
  }

  async #markTree(version: Version, top: PageRef, domain: string): Promise<void> {
    if (!hasPlan(top) || this.#isVisited(top.digest, domain)) return;
    await this.#markPlans(top.digest, domain);
    if (top.level > 0) await this.#markChildren(version, top, domain);
  }

  /** Levels fall, so the recursion ends. */
  async #markChildren(version: Version, parent: PageRef, domain: string): Promise<void> {
    const [page] = await version.pages.load([parent]);
    if (page === undefined || !("children" in page)) return;
    const refs = page.children.map((child, index) => childRef(parent, child, index));
    const fresh = refs.filter((ref) => hasPlan(ref) && !this.#isVisited(ref.digest, domain));
    const tasks = new TaskGroup(PARALLEL_MAX);
    try {
      for (const ref of fresh) await tasks.add(() => this.#markPlans(ref.digest, domain));
      await tasks.finish();
    } finally {
      await tasks.settle();
    }
    for (const ref of fresh) if (ref.level > 0) await this.#markChildren(version, ref, domain);
  }

  /** The plan that all share, and the one that the domain keeps apart. */
  async #markPlans(key: Digest, domain: string): Promise<void> {
    await this.#markPlan({ key, domain: undefined });
    if (this.#hasDomainPlans !== true) return;
    try {
      await this.#markPlan({ key, domain });
    } catch (error) {
      if (codeOf(error) !== "OBJECT_MISSING" || (await this.#hasPlan({ key, domain }))) throw error;
    }
  }

  async #markPlan(live: LivePlan): Promise<void> {
    const { key, domain } = live;
    const options = { ...this.#options, traffic: new Traffic() };
    const plan = await loadPlan(this.#reads, key, domain === undefined ? options : { ...options, domain });
    this.live.addPlan(live, await wholePlan(this.#reads, plan, options));
  }

  async #hasPlan({ key, domain }: LivePlan): Promise<boolean> {
    return (await this.#engine.store.datasets.getPlan(key, { ...this.#options, domain })) !== undefined;
  }

  /** Whether it was looked at already; from now on it was. */
  #isVisited(digest: Digest, domain: string): boolean {
    const key = this.#hasDomainPlans === true ? `${digest} ${domain}` : digest;
    if (this.#visited.has(key)) return true;
    this.#visited.add(key);
    return false;
  }
}

/** Leaves of entries and times place nothing. */
function hasPlan({ kind, level }: PageRef): boolean {
  return level > 0 || kind === "chunks";
}

async function hasAny(datasets: DatasetStore, options: CallOptions): Promise<boolean> {
  for await (const _ of datasets.listObjects("domain-plans", options)) return true;
  return false;
}
