/** Reading plans. docs/format.md §7 */
import type { Digest } from "../../format/digest.ts";
import type { Plan } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import { loadPlan, wholePlan } from "./load-plan.ts";
import { LoadingCache } from "./loading-cache.ts";
import type { KnownBundles } from "./manifest-source.ts";
import type { Traffic } from "./traffic.ts";

/** Frames and places of all cached plans together: some 100 bytes each. */
const CACHED_ITEMS_MAX = 20_000;

/** Options of a plan source. */
export interface PlanSourceOptions extends CallOptions {
  readonly known?: KnownBundles | undefined;
}

/** The plans of one version, cached. */
export class PlanSource {
  readonly #datasets: ManifestReader;
  readonly #traffic: Traffic;
  readonly #options: PlanSourceOptions;
  readonly #cache = new LoadingCache<Plan>(
    CACHED_ITEMS_MAX,
    (plan) => 1 + plan.frames.length + plan.places.length,
  );

  constructor(datasets: ManifestReader, traffic: Traffic, options: PlanSourceOptions) {
    this.#datasets = datasets;
    this.#traffic = traffic;
    this.#options = options;
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

  /** Forgets a plan: what it said turned out not to hold, and the next get() reads it again. */
  forget(key: Digest): void {
    this.#cache.remove(key);
    this.#cache.remove(`whole ${key}`);
  }

  get #loading(): PlanSourceOptions & { readonly traffic: Traffic } {
    return { ...this.#options, traffic: this.#traffic };
  }
}
