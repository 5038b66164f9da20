/** Reading plans. docs/format.md §7 */
import { AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { decodePlan, type Plan } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import { LoadingCache } from "./loading-cache.ts";
import type { Traffic } from "./traffic.ts";

/** Frames and places of all cached plans together: some 100 bytes each. */
const CACHED_ITEMS_MAX = 20_000;

/** The plans of one version, cached. */
export class PlanSource {
  readonly #datasets: ManifestReader;
  readonly #traffic: Traffic;
  readonly #options: CallOptions;
  readonly #cache = new LoadingCache<Plan>(
    CACHED_ITEMS_MAX,
    (plan) => 1 + plan.frames.length + plan.places.length,
  );

  constructor(datasets: ManifestReader, traffic: Traffic, options: CallOptions) {
    this.#datasets = datasets;
    this.#traffic = traffic;
    this.#options = options;
  }

  /** The plan of a page or root. Errors: OBJECT_MISSING, OBJECT_INVALID, OBJECT_CORRUPT, FORMAT_UNSUPPORTED. */
  get(key: Digest): Promise<Plan> {
    return this.#cache.get(key, () => this.#load(key));
  }

  /** Forgets a plan: what it said turned out not to hold, and the next get() reads it again. */
  forget(key: Digest): void {
    this.#cache.remove(key);
  }

  async #load(key: Digest): Promise<Plan> {
    const found = await this.#datasets.getPlan(key, this.#options);
    if (found === undefined) {
      throw new AetherError("OBJECT_MISSING", `the plan of ${formatDigest(key)} is missing`, {
        data: { digest: formatDigest(key) },
      });
    }
    this.#traffic.manifestBytes += found.value.byteLength;
    return decodePlan(found.value);
  }
}
