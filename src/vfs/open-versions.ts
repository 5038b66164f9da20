import type { ReadEngine } from "../dataset/engine.ts";
import { LoadingCache } from "../dataset/version/loading-cache.ts";
import { openVersion, type Version } from "../dataset/version/version.ts";
import type { Digest } from "../format/digest.ts";

/** Versions kept open: each caches pages and plans of some 10 MB. */
const OPEN_MAX = 8;

/** Versions that are open between requests. */
export class OpenVersions {
  readonly #engine: Pick<ReadEngine, "store">;
  readonly #isFar: boolean;
  readonly #open = new LoadingCache<Version>(OPEN_MAX, () => 1);

  /** `isFar`: each read of the engine's store is a journey. */
  constructor(engine: Pick<ReadEngine, "store">, isFar: boolean) {
    this.#engine = engine;
    this.#isFar = isFar;
  }

  /** The version, for reading. Errors: those of openVersion. */
  open(digest: Digest): Promise<Version> {
    return this.#open.get(digest, () => openVersion(this.#engine, digest, { isEager: this.#isFar }));
  }
}
