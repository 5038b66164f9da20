/** The tree of a process that holds a store itself. */
import { AetherError, codeOf } from "../base/errors.ts";
import { DatasetVersions } from "../dataset/dataset-versions.ts";
import { findDataset, listDatasets, listTags, requireDataset, type TagPointer } from "../dataset/datasets.ts";
import type { Engine } from "../dataset/engine.ts";
import { resolve } from "../dataset/resolve.ts";
import { currentOf, readHead } from "../dataset/tag-head.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import type { Catalog } from "./catalog.ts";
import type { VersionName } from "./tree-path.ts";
import { SharedLook } from "./shared-look.ts";
import { Tree } from "./tree.ts";

/** The tree over all that the engine's store has. */
export function openStoreTree(engine: Engine): Tree {
  const isLocal = engine.store.blocks.features.folder !== undefined;
  return new Tree(engine, new StoreCatalog(engine), { isLocal });
}

/** What a store of this process has. */
class StoreCatalog implements Catalog {
  readonly #engine: Engine;
  readonly #own: DatasetVersions;
  readonly #looks = new SharedLook<Digest>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#own = new DatasetVersions(engine.store.datasets);
  }

  datasets(options?: NamesOptions<DatasetName>): AsyncIterable<DatasetName> {
    return listDatasets(this.#engine, options);
  }

  async created(name: DatasetName): Promise<string | undefined> {
    try {
      return (await findDataset(this.#engine.store.datasets, name))?.value.created;
    } catch (error) {
      if (codeOf(error) === "DATASET_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async pointer(name: DatasetName, tag: Tag): Promise<HistoryRecord | undefined> {
    const { record } = await readHead(this.#engine.store.datasets, name, tag, {});
    return currentOf(record) === null ? undefined : record;
  }

  tags(name: DatasetName, options?: NamesOptions<Tag>): AsyncIterable<TagPointer> {
    return listTags(this.#engine, name, options);
  }

  find(version: VersionName): Promise<Digest> {
    const { name, tag, digest } = version;
    return this.#looks.get(`${name}:${tag ?? ""}@${digest ?? ""}`, () => this.#look(version));
  }

  async #look({ name, tag, digest }: VersionName): Promise<Digest> {
    if (digest === undefined)
      return (await resolve(this.#engine, { host: undefined, name, tag, digest })).version;
    if (await this.#own.has(await requireDataset(this.#engine, name), digest)) return digest;
    const text = formatDigest(digest);
    const data = { dataset: name, digest: text };
    throw new AetherError("VERSION_NOT_FOUND", `${name} has no version ${text}`, { data });
  }
}
