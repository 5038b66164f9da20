import { AetherError } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import {
  decodeManifestObject,
  decodeRoot,
  type ManifestBase,
  type ManifestBundle,
  type ManifestRoot,
} from "../../format/manifest.ts";
import type { TreeKind } from "../../format/page.ts";
import type { Plan } from "../../format/plan.ts";
import type { TagOpening } from "../../format/record.ts";
import type { ReadEngine } from "../engine.ts";
import { loadBundle, type KnownBundles } from "./manifest-source.ts";
import type { LoadingCache } from "./loading-cache.ts";
import { readOpening } from "./opening.ts";
import {
  PageSource,
  type LoadedPage,
  type PageKeeper,
  type PagePlans,
  type PageRef,
  type PageSourceOptions,
} from "./page-source.ts";
import { PlanSource } from "./plan-source.ts";
import { Traffic } from "./traffic.ts";

/** A version's trees of pages, in the order in which a plan places their tops. */
const TREES = ["entries", "times", "chunks"] as const;

/** What versions of one store share that are open at the same time. */
export interface VersionCaches {
  readonly pages: LoadingCache<LoadedPage>;
  readonly plans: LoadingCache<Plan>;
}

/** Options of openVersion. */
export interface OpenVersionOptions {
  /** Ends every read on the version, now and later. */
  readonly signal?: AbortSignal | undefined;
  /** Bundles of versions that are at hand. */
  readonly known?: KnownBundles | undefined;
  /** Pages that are at hand, and where to keep more. */
  readonly keeper?: PageKeeper | undefined;
  /** Pages and plans that are kept together with those of other versions; undefined: it has its own caches. */
  readonly caches?: VersionCaches | undefined;
  /** What a tag's hint says of it: with `isEager` and `caches` its first pages are asked for together with its manifest. */
  readonly opening?: TagOpening | undefined;
  /** Ask for what reading will probably need next before it is needed: for who reads content of a store that is far. */
  readonly isEager?: boolean | undefined;
}

/** A version open for reading. It holds caches and counters, nothing that must be closed. */
export interface Version {
  readonly digest: Digest;
  readonly root: ManifestRoot;
  readonly bundle: ManifestBundle;
  readonly pages: PageSource;
  readonly plans: PlanSource;
  readonly traffic: Traffic;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens a version: reads its manifest object, and pages and plans only when they are needed. All that is read is
 * verified. Errors: VERSION_NOT_FOUND, OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, FORMAT_UNSUPPORTED,
 * STORE_UNAVAILABLE.
 */
export async function openVersion(
  engine: Pick<ReadEngine, "store">,
  digest: Digest,
  options: OpenVersionOptions = {},
): Promise<Version> {
  const { signal, known, keeper, caches, opening, isEager = false } = options;
  const { blocks, datasets } = engine.store;
  const traffic = new Traffic();
  const call = signal === undefined ? {} : { signal };
  const plans = new PlanSource(datasets, traffic, { ...call, known, cache: caches?.plans });
  if (isEager) plans.expect(digest);
  const cache = caches?.pages;
  const from = { ...call, blocks, traffic, keeper, cache, isEager };
  if (isEager && opening !== undefined && cache !== undefined) expectOpening(digest, opening, plans, from);
  const bundle = await loadBundle(datasets, digest, { ...call, known, traffic });
  const pages = new PageSource({ ...from, plans, inline: bundle.pages });
  const version = { digest, root: decodeRoot(bundle.root), bundle, pages, plans, traffic, signal };
  if (isEager) pages.expect(topRefs(version));
  return version;
}

/** Begins to read the top pages into the cache that the version will look in, as a hint says where they are. */
function expectOpening(
  digest: Digest,
  opening: TagOpening,
  plans: PlanSource,
  from: Omit<PageSourceOptions, "plans" | "inline">,
): void {
  const read = readOpening(digest, opening);
  if (read === undefined) return;
  let isWrong = false;
  const said = async (): Promise<Plan> => {
    if (isWrong) throw new AetherError("OBJECT_MISSING", "a tag's hint says where pages lay once");
    return read.plan;
  };
  const hinted: PagePlans = {
    get: (key) => (key === digest ? said() : plans.get(key)),
    getShort: (key) => (key === digest ? said() : plans.getShort(key)),
    expect: (key) => {
      plans.expect(key);
    },
    expectBase: (key) => {
      plans.expectBase(key);
    },
    // Reading it again would not help: others look at the version's own plan next.
    forget: () => {
      isWrong = true;
    },
  };
  const pages = new PageSource({ ...from, plans: hinted, inline: [] });
  pages.expect(topRefs({ digest, root: read.root, pages }));
}

function topRefs(version: Pick<Version, "root" | "digest" | "pages">): PageRef[] {
  return TREES.map((kind) => topRef(version, kind)).filter((ref) => ref !== undefined);
}

/** The version as a base for another's manifest object; undefined: its own is not there any more. Errors: those of the store. */
export async function manifestBaseOf(
  engine: Pick<ReadEngine, "store">,
  { digest, bundle, signal }: Version,
): Promise<ManifestBase | undefined> {
  const call = signal === undefined ? {} : { signal };
  const object = await engine.store.datasets.getManifest(digest, call);
  return object && { version: digest, depth: decodeManifestObject(object).depth, bundle };
}

/** The top page of one of the version's trees, or undefined when the tree is empty. */
export function topRef(
  version: Pick<Version, "root" | "digest" | "pages">,
  kind: TreeKind,
): PageRef | undefined {
  const { root, digest, pages } = version;
  const tree = root[kind];
  if (tree === undefined) return undefined;
  const placed = TREES.filter((name) => {
    const other = root[name];
    return other !== undefined && !pages.isInline(other.digest);
  });
  return {
    kind,
    level: tree.level,
    digest: tree.digest,
    items: tree.items,
    bytes: kind === "times" ? undefined : root.bytes,
    firstPath: undefined,
    planKey: digest,
    planIndex: placed.indexOf(kind),
  };
}
