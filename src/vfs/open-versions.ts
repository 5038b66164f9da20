import type { ReadEngine } from "../dataset/engine.ts";
import { LoadingCache } from "../dataset/version/loading-cache.ts";
import { openPageCache, type PageKeeper } from "../dataset/version/page-source.ts";
import { openPlanCache } from "../dataset/version/plan-source.ts";
import { openVersion, type Version, type VersionCaches } from "../dataset/version/version.ts";
import type { Digest } from "../format/digest.ts";
import type { TagOpening } from "../format/record.ts";

/** Shares of the engine's memory, in bytes as they are stored: as objects they take some five times as much. */
const MANIFESTS_SHARE = 1 / 64;
const PAGES_SHARE = 1 / 64;
/** Bytes of memory for one item of the plans that are kept: a thirty-second of all. */
const PLAN_ITEM_SHARE_BYTES = 32 * 100;
/** What an open version takes besides its manifest's bytes. */
const VERSION_BYTES = 2048;

/** Versions that are open between requests, and the pages and plans that they share. */
export class OpenVersions {
  readonly #engine: Pick<ReadEngine, "store">;
  readonly #isFar: boolean;
  readonly #keeper: PageKeeper | undefined;
  readonly #caches: VersionCaches;
  readonly #open: LoadingCache<Version>;

  /** `isFar`: each read of the engine's store is a journey. `keeper`: keeps pages besides. */
  constructor(
    engine: Pick<ReadEngine, "store" | "memoryBytes">,
    { isFar, keeper }: { readonly isFar: boolean; readonly keeper: PageKeeper | undefined },
  ) {
    const { memoryBytes } = engine;
    this.#engine = engine;
    this.#isFar = isFar;
    this.#keeper = keeper;
    this.#caches = {
      pages: openPageCache(memoryBytes * PAGES_SHARE),
      plans: openPlanCache(memoryBytes / PLAN_ITEM_SHARE_BYTES),
    };
    this.#open = new LoadingCache(memoryBytes * MANIFESTS_SHARE, weightOf);
  }

  /** The version, for reading; `opening`: what a hint says of it. Errors: those of openVersion. */
  open(digest: Digest, opening?: TagOpening): Promise<Version> {
    const options = { isEager: this.#isFar, caches: this.#caches, keeper: this.#keeper, opening };
    return this.#open.get(digest, () => openVersion(this.#engine, digest, options));
  }
}

function weightOf({ bundle }: Version): number {
  return bundle.pages.reduce(
    (bytes, page) => bytes + page.byteLength,
    VERSION_BYTES + bundle.root.byteLength,
  );
}
