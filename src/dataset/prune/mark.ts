/** Finds everything that reading a version takes. */
import { codeOf, AetherError } from "../../base/errors.ts";
import { formatDigest, parseDigest, type Digest } from "../../format/digest.ts";
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
  /** Of those, the ones of which something is missing. */
  readonly #incomplete = new Set<string>();
  #hasDomainPlans: boolean | undefined;
  #mayMiss = false;

  /** `datasets`: what manifests and plans are read from. */
  constructor(
    engine: Engine,
    live: LiveSet,
    options: CallOptions,
    datasets: ManifestReader = engine.store.datasets,
  ) {
    this.live = live;
    this.#engine = engine;
    this.#options = options;
    this.#reads = watchedReads(datasets, (name) => {
      live.addName(name);
    });
  }

  /**
   * Marks what readers of a version in a domain need: false when something of it is missing, which it may with `mayMiss`; the
   * rest is marked then. Errors: those of reading it: of a version that cannot be read whole nobody can tell what it needs.
   */
  async mark(version: Digest, domain: string, mayMiss = false): Promise<boolean> {
    this.#hasDomainPlans ??= await hasAny(this.#engine.store.datasets, this.#options);
    this.#mayMiss = mayMiss;
    try {
      if (!this.#isVisited(version, domain)) await this.#markVersion(version, domain);
      return !this.#incomplete.has(this.#keyOf(version, domain));
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
      if (await this.#mayPass(error, domain)) return this.#lacks(version, domain);
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
      if (top === undefined || opened.pages.isInline(top.digest)) continue;
      if (!(await this.#markPages(opened, [top], domain))) this.#lacks(version, domain);
    }
  }

  /** Marks pages, and what is below them; false when something is missing. Levels fall, so the recursion ends. */
  async #markPages(version: Version, refs: readonly PageRef[], domain: string): Promise<boolean> {
    const placing = refs.filter(hasPlan);
    const fresh = placing.filter((ref) => !this.#isVisited(ref.digest, domain));
    const tasks = new TaskGroup(PARALLEL_MAX);
    try {
      for (const { digest } of fresh)
        await tasks.add(() => this.#unlessMissing(digest, domain, () => this.#markPlans(digest, domain)));
      await tasks.finish();
    } finally {
      await tasks.settle();
    }
    for (const ref of fresh) {
      if (ref.level === 0) continue;
      await this.#unlessMissing(ref.digest, domain, async () => {
        const [page] = await version.pages.load([ref]);
        if (page === undefined || !("children" in page)) return;
        const children = page.children.map((child, index) => childRef(ref, child, index));
        if (!(await this.#markPages(version, children, domain))) this.#lacks(ref.digest, domain);
      });
    }
    return !placing.some(({ digest }) => this.#incomplete.has(this.#keyOf(digest, domain)));
  }

  async #unlessMissing(digest: Digest, domain: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!(await this.#mayPass(error, domain))) throw error;
      this.#lacks(digest, domain);
    }
  }

  /** Whether something is missing that may be: not what lies in quarantine, since it was needed when it was found damaged. */
  async #mayPass(error: unknown, domain: string): Promise<boolean> {
    if (!this.#mayMiss || !isMissing(error)) return false;
    const text = error.data["digest"];
    if (typeof text !== "string") return false;
    const digest = parseDigest(text);
    const { datasets } = this.#engine.store;
    for (const object of [
      { kind: "manifests", digest },
      { kind: "plans", digest },
      { kind: "plans", digest, domain },
    ] as const) {
      if (await datasets.isQuarantined(object, this.#options)) return false;
    }
    return true;
  }

  /** Notes that something of it is missing. */
  #lacks(digest: Digest, domain: string): false {
    this.#incomplete.add(this.#keyOf(digest, domain));
    return false;
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
    const key = this.#keyOf(digest, domain);
    if (!this.#mayMiss && this.#incomplete.has(key))
      throw new AetherError("OBJECT_MISSING", `something below ${formatDigest(digest)} is missing`);
    if (this.#visited.has(key)) return true;
    this.#visited.add(key);
    return false;
  }

  #keyOf(digest: Digest, domain: string): string {
    return this.#hasDomainPlans === true ? `${digest} ${domain}` : digest;
  }
}

function isMissing(error: unknown): error is AetherError {
  const code = codeOf(error);
  return error instanceof AetherError && (code === "OBJECT_MISSING" || code === "VERSION_NOT_FOUND");
}

/** Leaves of entries and times place nothing. */
function hasPlan({ kind, level }: PageRef): boolean {
  return level > 0 || kind === "chunks";
}

async function hasAny(datasets: DatasetStore, options: CallOptions): Promise<boolean> {
  for await (const _ of datasets.listObjects("domain-plans", options)) return true;
  return false;
}
