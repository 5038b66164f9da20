/** Reading plans, and what completing them takes. docs/format.md §7 */
import { AetherError } from "../../base/errors.ts";
import { digestOf, formatDigest, type Digest } from "../../format/digest.ts";
import { decodeRoot, type ManifestBundle } from "../../format/manifest.ts";
import { decodePage, type ChunkItem } from "../../format/page.ts";
import { completePlan } from "../../format/plan-base.ts";
import { PLAN_ITEMS_MAX, decodePlan, planBaseOf, type Plan } from "../../format/plan.ts";
import type { ManifestReader, PlanOptions } from "../../store/dataset-store.ts";
import { loadBundle, type KnownBundles } from "./manifest-source.ts";
import type { Traffic } from "./traffic.ts";

/** Options of loadPlan. */
export interface LoadPlanOptions extends PlanOptions {
  readonly known?: KnownBundles | undefined;
  readonly traffic: Traffic;
  /** The plan of a base as it lies in the store, when it was read ahead: each is taken once. */
  readonly takeAhead?: ((key: Digest) => Promise<Plan> | undefined) | undefined;
}

/**
 * The plan of a page or version, as it lies in the store: it may leave something to its base's. Errors: OBJECT_MISSING,
 * OBJECT_INVALID, OBJECT_CORRUPT, FORMAT_UNSUPPORTED.
 */
export async function loadPlan(
  datasets: ManifestReader,
  key: Digest,
  options: LoadPlanOptions,
): Promise<Plan> {
  const found = await datasets.getPlan(key, options);
  if (found === undefined) {
    throw new AetherError("OBJECT_MISSING", `the plan of ${formatDigest(key)} is missing`, {
      data: { digest: formatDigest(key) },
    });
  }
  options.traffic.manifestBytes += found.value.byteLength;
  return readPlan(datasets, found.value, options);
}

/** The plan in bytes that were read. Errors: as loadPlan. */
export async function readPlan(
  datasets: ManifestReader,
  bytes: Uint8Array,
  options: LoadPlanOptions,
): Promise<Plan> {
  const base = planBaseOf(bytes);
  return base?.kind === "version"
    ? decodePlan(bytes, await chunksOfVersion(datasets, base.key, options))
    : decodePlan(bytes);
}

/** The same plan, with all that decoding its items takes. Errors: as loadPlan. */
export async function wholePlan(
  datasets: ManifestReader,
  plan: Plan,
  options: LoadPlanOptions,
): Promise<Plan> {
  if (plan.base === undefined) return plan;
  const { kind, key, height } = plan.base;
  const place = kind === "version" ? placedVersion : placedPage;
  return completePlan(plan, (await place(datasets, key, options, height)).plan);
}

/** A whole plan, and how many others completing it took. */
export interface PlacedBase {
  readonly plan: Plan;
  readonly height: number;
}

/** Where a page's items lie. Errors: as loadPlan. */
export async function placedPage(
  datasets: ManifestReader,
  page: Digest,
  options: LoadPlanOptions,
  heightBelow = Infinity,
): Promise<PlacedBase> {
  const { plan, height } = await loadBelow(datasets, page, options, heightBelow);
  if (plan.covers !== "items")
    throw new AetherError("OBJECT_INVALID", `the plan of page ${formatDigest(page)} is not of its items`);
  return { height, plan: await wholePlan(datasets, plan, options) };
}

/** A version whose pages lie with its root, and where its chunks lie. Errors: as loadPlan. */
export async function placedVersion(
  datasets: ManifestReader,
  version: Digest,
  options: LoadPlanOptions,
  heightBelow = Infinity,
): Promise<PlacedBase & { readonly chunks: readonly ChunkItem[] }> {
  const { plan, height } = await loadBelow(datasets, version, options, heightBelow);
  const chunks = await chunksOfVersion(datasets, version, options);
  if (plan.covers !== "version" || plan.places.length !== chunks.length)
    throw new AetherError("OBJECT_INVALID", `the plan of ${formatDigest(version)} is not of all its chunks`);
  return { chunks, height, plan: await wholePlan(datasets, plan, options) };
}

/** The plan of a base as it lies in the store: heights fall from plan to plan, so this ends. */
async function loadBelow(
  datasets: ManifestReader,
  key: Digest,
  options: LoadPlanOptions,
  heightBelow: number,
): Promise<PlacedBase> {
  const plan = await (options.takeAhead?.(key) ?? loadPlan(datasets, key, { ...options, domain: undefined }));
  const height = plan.base?.height ?? 0;
  if (height >= heightBelow)
    throw new AetherError("OBJECT_INVALID", `the plan of ${formatDigest(key)} is too high to be a base`);
  return { plan, height };
}

async function chunksOfVersion(
  datasets: ManifestReader,
  version: Digest,
  options: LoadPlanOptions,
): Promise<readonly ChunkItem[]> {
  const { traffic, known } = options;
  const call = options.signal === undefined ? {} : { signal: options.signal };
  return inlineChunks(await loadBundle(datasets, version, { ...call, traffic, known }));
}

/** The chunks of a version whose pages lie with its root, in order. Errors: OBJECT_MISSING, OBJECT_INVALID. */
export function inlineChunks(bundle: ManifestBundle): readonly ChunkItem[] {
  const { chunks } = decodeRoot(bundle.root);
  const pages = new Map(bundle.pages.map((page) => [digestOf(page), page]));
  const found: ChunkItem[] = [];
  const visit = (digest: Digest, level: number): void => {
    const bytes = pages.get(digest);
    if (bytes === undefined)
      throw new AetherError("OBJECT_MISSING", `page ${formatDigest(digest)} does not lie with its root`, {
        data: { digest: formatDigest(digest) },
      });
    const page = decodePage(bytes, "chunks", level);
    if ("children" in page) for (const child of page.children) visit(child.digest, level - 1);
    else if ("chunks" in page) found.push(...page.chunks);
    // A page may stand in a tree many times.
    if (found.length > PLAN_ITEMS_MAX)
      throw new AetherError("OBJECT_INVALID", "a version has more chunks than a plan");
  };
  if (chunks !== undefined) visit(chunks.digest, chunks.level);
  return found;
}
