/** Reading plans. docs/format.md §7 */
import type { Digest } from "../../format/digest.ts";
import type { Plan } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import { loadPlan, wholePlan, type LoadPlanOptions } from "./load-plan.ts";
import { LoadingCache } from "./loading-cache.ts";
import type { KnownBundles } from "./manifest-source.ts";
import type { Traffic } from "./traffic.ts";

/** Frames and places of the plans that a version keeps by itself: some 100 bytes each. */
const CACHED_ITEMS_MAX = 20_000;

/** The same, of plans that were read ahead and not asked for yet. */
const AHEAD_ITEMS_MAX = 2000;

/** Plans of one store, by what they are of, of which so many items are kept. */
export function openPlanCache(itemsMax = CACHED_ITEMS_MAX): LoadingCache<Plan> {
  return new LoadingCache<Plan>(itemsMax, (plan) => 1 + plan.frames.length + plan.places.length);
}

/** Options of a plan source. */
export interface PlanSourceOptions extends CallOptions {
  readonly known?: KnownBundles | undefined;
  /** Shared with other versions of the store; undefined: its own. */
  readonly cache?: LoadingCache<Plan> | undefined;
}

/** The plans of one version, cached. */
export class PlanSource {
  readonly #datasets: ManifestReader;
  readonly #traffic: Traffic;
  readonly #options: PlanSourceOptions;
  readonly #cache: LoadingCache<Plan>;
  /** Plans of bases that will probably be asked for. */
  readonly #ahead: LoadingCache<Plan>;

  constructor(datasets: ManifestReader, traffic: Traffic, options: PlanSourceOptions) {
    this.#datasets = datasets;
    this.#traffic = traffic;
    this.#options = options;
    this.#cache = options.cache ?? openPlanCache();
    this.#ahead = openPlanCache(AHEAD_ITEMS_MAX);
  }

  /**
   * The plan of a page or root, with all that decoding its items takes. Errors: OBJECT_MISSING, OBJECT_INVALID, OBJECT_CORRUPT,
   * FORMAT_UNSUPPORTED.
   */
  get(key: Digest): Promise<Plan> {
    return this.#cache.get(`whole ${key}`, async () =>
      wholePlan(this.#datasets, await this.getShort(key), this.#loading),
    );
  }

  /** The plan as it lies in the store: places and sources may be ELSEWHERE. Errors: as get(). */
  getShort(key: Digest): Promise<Plan> {
    return this.#cache.get(key, () => loadPlan(this.#datasets, key, this.#loading));
  }

  /** Begins to read a plan that will probably be asked for. Who asks meets the errors. */
  expect(key: Digest): void {
    this.get(key).catch(() => undefined);
  }

  /** Begins to read a plan that a plan which is being read probably has for a base: who completes that takes it. */
  expectBase(key: Digest): void {
    if (this.#cache.has(`whole ${key}`)) return;
    this.#ahead.get(key, () => loadPlan(this.#datasets, key, this.#loading)).catch(() => undefined);
  }

  /** Once: it may be written anew meanwhile, and who finds it wrong reads it again. */
  readonly #takeAhead = (key: Digest): Promise<Plan> | undefined => {
    if (!this.#ahead.has(key)) return undefined;
    const taken = this.#ahead.get(key, () => loadPlan(this.#datasets, key, this.#loading));
    this.#ahead.remove(key);
    return taken;
  };

  /** Forgets a plan: what it said turned out not to hold, and the next get() reads it again. */
  forget(key: Digest): void {
    this.#cache.remove(key);
    this.#cache.remove(`whole ${key}`);
  }

  get #loading(): LoadPlanOptions {
    const { signal, known } = this.#options;
    const call = signal === undefined ? {} : { signal };
    return { ...call, known, traffic: this.#traffic, takeAhead: this.#takeAhead };
  }
}
