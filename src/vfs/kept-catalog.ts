import { AetherError } from "../base/errors.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import type { KeptObjects } from "../dataset/read/kept-objects.ts";
import { keyIn } from "../dataset/read/kept-store.ts";
import type { OnLikely } from "../dataset/tag-head.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import { DEFAULT_TAG, type DatasetName, type Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import type { Catalog } from "./catalog.ts";
import type { VersionName } from "./tree-path.ts";

/**
 * A catalog of a place that keeps where it found tags; without an inner one, where they were found last, and nothing else.
 * Errors besides those of the inner one: STORE_UNAVAILABLE when there is none.
 */
export class KeptCatalog implements Catalog {
  readonly #kept: KeptObjects;
  readonly #place: string;
  readonly #inner: Catalog | undefined;

  /** `place`: the store's or hub's name. */
  constructor(kept: KeptObjects, place: string, inner: Catalog | undefined) {
    this.#kept = kept;
    this.#place = place;
    this.#inner = inner;
  }

  datasets(options?: NamesOptions<DatasetName>): AsyncIterable<DatasetName> {
    return this.#required.datasets(options);
  }

  async created(name: DatasetName): Promise<string | undefined> {
    return await this.#required.created(name);
  }

  async pointer(name: DatasetName, tag: Tag): Promise<HistoryRecord | undefined> {
    return await this.#required.pointer(name, tag);
  }

  tags(name: DatasetName, options?: NamesOptions<Tag>): AsyncIterable<TagPointer> {
    return this.#required.tags(name, options);
  }

  async find(version: VersionName, onLikely?: OnLikely): Promise<Digest> {
    const { name, tag = DEFAULT_TAG, digest } = version;
    if (this.#inner === undefined && digest !== undefined) return digest;
    const key = keyIn(this.#place, `${name}:${tag}`);
    if (this.#inner !== undefined) {
      const found = await this.#inner.find(version, onLikely);
      if (digest === undefined) this.#kept.keep("tag", key, digestBytes(found));
      return found;
    }
    const known = this.#kept.find("tag", key);
    if (known?.byteLength === DIGEST_BYTES) return digestFromBytes(known);
    const text = `the cache folder does not know ${name}:${tag} of ${this.#place}: it was not mounted from here`;
    throw new AetherError("STORE_UNAVAILABLE", text, { data: { dataset: name, tag } });
  }

  get #required(): Catalog {
    if (this.#inner !== undefined) return this.#inner;
    throw new AetherError("STORE_UNAVAILABLE", `${this.#place} is not asked`);
  }
}
