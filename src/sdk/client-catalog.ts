import { codeOf } from "../base/errors.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import type { Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import type { Catalog } from "../vfs/catalog.ts";
import type { VersionName } from "../vfs/tree-path.ts";
import type { Client } from "./client.ts";

/** What a client's hub or store has, as a tree asks about it. */
export class ClientCatalog implements Catalog {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async *datasets({ after, signal }: NamesOptions<DatasetName> = {}): AsyncGenerator<DatasetName> {
    for await (const name of this.#client.listDatasets(signal === undefined ? {} : { signal })) {
      if (after === undefined || name > after) yield name;
    }
  }

  async created(name: DatasetName): Promise<string | undefined> {
    try {
      return (await this.#client.dataset(name)).created;
    } catch (error) {
      if (codeOf(error) === "DATASET_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async pointer(name: DatasetName, tag: Tag): Promise<HistoryRecord | undefined> {
    try {
      return (await this.#client.resolve({ host: undefined, name, tag, digest: undefined })).record;
    } catch (error) {
      if (codeOf(error) === "TAG_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async *tags(name: DatasetName, { after, signal }: NamesOptions<Tag> = {}): AsyncGenerator<TagPointer> {
    for await (const pointer of this.#client.listTags(name, signal === undefined ? {} : { signal })) {
      if (after === undefined || pointer.tag > after) yield pointer;
    }
  }

  async find({ name, tag, digest }: VersionName): Promise<Digest> {
    return (await this.#client.resolve({ host: undefined, name, tag, digest })).version;
  }
}
