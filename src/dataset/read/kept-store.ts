/** A store on another machine, and what this machine keeps of it: enough to find content again when the store is away. */
import { AetherError, codeOf } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { RangeReader } from "../../store/block-store.ts";
import type { ManifestReader, Revised, Revision, VersionStore } from "../../store/dataset-store.ts";
import type { PageKeeper } from "../version/page-source.ts";
import { isAway } from "./breaker-store.ts";
import type { KeptObjects } from "./kept-objects.ts";

/** What is kept stands in for what nobody replaces from here. */
const NO_REVISION = "" as Revision;
/** Plans that are known to be of now: some 8 MB. */
const FRESH_MAX = 65_536;

/** What a program that reads versions of a place keeps of them. */
export interface KeptStore {
  /** Manifests and plans as they were read once; blocks are read from where they lie. */
  readonly store: VersionStore;
  /** Pages as they were read once. */
  readonly keeper: PageKeeper;
}

/**
 * Manifests and pages never change, and what is kept is not asked for again. Nor are plans, until a block is missing: then what they
 * say may be of before a prune, and each is asked for once more; one that is not to be had then is taken as it was. `place`: the store's or
 * hub's name, for plans say where things lie there. `inner`: undefined: nothing is asked. Errors, besides those of
 * `inner`: STORE_UNAVAILABLE for what is not kept, when there is no `inner`.
 */
export function keptStore(kept: KeptObjects, place: string, inner: VersionStore = NOTHING): KeptStore {
  const blocks = new WatchedBlocks(inner.blocks);
  const keeper: PageKeeper = {
    find: (digest) => kept.find("page", digest),
    keep: (digest, bytes) => {
      kept.keep("page", digest, bytes);
    },
  };
  const datasets: ManifestReader = {
    getManifest: async (version, options) => {
      const known = kept.find("manifest", version);
      if (known !== undefined) return known;
      const bytes = await inner.datasets.getManifest(version, options);
      if (bytes !== undefined) kept.keep("manifest", version, bytes);
      return bytes;
    },
    getPlan: async (key, options) => {
      const at = keyIn(place, key);
      const known = options?.domain === undefined ? kept.find("plan", at) : undefined;
      if (known !== undefined && blocks.trusts(key)) return { value: known, revision: NO_REVISION };
      let plan: Revised<Uint8Array> | undefined;
      try {
        plan = await inner.datasets.getPlan(key, options);
      } catch (error) {
        if (known === undefined || !isAway(error)) throw error;
        return { value: known, revision: NO_REVISION };
      }
      blocks.trust(key);
      if (plan !== undefined && options?.domain === undefined) kept.keep("plan", at, plan.value);
      return plan;
    },
  };
  return { store: { blocks, datasets }, keeper };
}

/** The name of what `key` names in one place. */
export function keyIn(place: string, key: string): Digest {
  return digestOf(Buffer.from(`${place}\0${key}`));
}

/** Blocks, and whether any was not where plans said. */
class WatchedBlocks implements RangeReader {
  readonly #inner: RangeReader;
  /** Plans that were read since a block was missing; undefined: none was. */
  #fresh: Set<Digest> | undefined;

  constructor(inner: RangeReader) {
    this.#inner = inner;
  }

  /** Whether a plan that is kept may be taken as it is. */
  trusts(key: Digest): boolean {
    return this.#fresh?.has(key) !== false;
  }

  /** The plan was read just now. */
  trust(key: Digest): void {
    if (this.#fresh === undefined) return;
    if (this.#fresh.size >= FRESH_MAX) this.#fresh.clear();
    this.#fresh.add(key);
  }

  async read(...[block, range, options]: Parameters<RangeReader["read"]>): Promise<Uint8Array> {
    try {
      return await this.#inner.read(block, range, options);
    } catch (error) {
      if (codeOf(error) === "OBJECT_MISSING") this.#fresh = new Set();
      throw error;
    }
  }

  stat(...[block, options]: Parameters<RangeReader["stat"]>): Promise<number | undefined> {
    return this.#inner.stat(block, options);
  }
}

const NOTHING: VersionStore = {
  blocks: { read: refuse, stat: refuse },
  datasets: { getManifest: refuse, getPlan: refuse },
};

async function refuse(): Promise<never> {
  throw new AetherError("STORE_UNAVAILABLE", "it is not in the cache folder, and nothing else is asked");
}
