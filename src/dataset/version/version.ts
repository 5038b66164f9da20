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
import type { ReadEngine } from "../engine.ts";
import { loadBundle, type KnownBundles } from "./manifest-source.ts";
import type { LoadingCache } from "./loading-cache.ts";
import { PageSource, type LoadedPage, type PageKeeper, type PageRef } from "./page-source.ts";
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
  const { signal, known, keeper, caches, isEager = false } = options;
  const { blocks, datasets } = engine.store;
  const traffic = new Traffic();
  const call = signal === undefined ? {} : { signal };
  const plans = new PlanSource(datasets, traffic, { ...call, known, cache: caches?.plans });
  if (isEager) plans.expect(digest);
  const bundle = await loadBundle(datasets, digest, { ...call, known, traffic });
  const inline = bundle.pages;
  const cache = caches?.pages;
  const pages = new PageSource({ ...call, blocks, plans, traffic, inline, keeper, cache, isEager });
  const version = { digest, root: decodeRoot(bundle.root), bundle, pages, plans, traffic, signal };
  if (isEager) {
    const tops = TREES.map((kind) => topRef(version, kind)).filter((ref) => ref !== undefined);
    pages.expect(tops);
  }
  return version;
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
export function topRef(version: Version, kind: TreeKind): PageRef | undefined {
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
