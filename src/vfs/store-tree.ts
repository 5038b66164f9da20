/** The tree of a process that holds a store itself. */
import { join } from "node:path";
import { AetherError, codeOf } from "../base/errors.ts";
import { PIECE_BYTES_DEFAULT } from "../base/limits.ts";
import { SILENT_LOG, type Log } from "../base/log.ts";
import { DatasetVersions } from "../dataset/dataset-versions.ts";
import { findDataset, listDatasets, listTags, requireDataset, type TagPointer } from "../dataset/datasets.ts";
import type { Engine } from "../dataset/engine.ts";
import { DiskPieces } from "../dataset/read/disk-pieces.ts";
import { resolve } from "../dataset/resolve.ts";
import { currentOf, readHead, type OnLikely } from "../dataset/tag-head.ts";
import { formatDigest, type Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import { DEFAULT_TAG, type DatasetName, type Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import type { Catalog } from "./catalog.ts";
import type { VersionName } from "./tree-path.ts";
import { SharedLook } from "./shared-look.ts";
import { StandingTags } from "./standing-tags.ts";
import { Tree } from "./tree.ts";

/** What is kept of what was decoded. */
export interface TreeCacheOptions {
  /** Bytes that are decoded and kept together: 16 KiB to 1 MiB. */
  readonly pieceBytes: number;
  /** Bytes on this machine's disk, in the engine's cache folder; 0: none. What is kept in memory follows the engine's. */
  readonly diskBytes: number;
  readonly log: Log;
}

const MEMORY_ALONE: TreeCacheOptions = { pieceBytes: PIECE_BYTES_DEFAULT, diskBytes: 0, log: SILENT_LOG };

/** The tree over all that the engine's store has. */
export function openStoreTree(
  engine: Engine,
  { pieceBytes, diskBytes, log }: TreeCacheOptions = MEMORY_ALONE,
): Tree {
  const { cacheDir, clock, random } = engine;
  const isLocal = isOnDisk(engine);
  const hasDisk = diskBytes > 0 && cacheDir !== undefined;
  const disk = hasDisk
    ? new DiskPieces({ folder: join(cacheDir, "pieces"), bytesMax: diskBytes, clock, random, log })
    : undefined;
  return new Tree(engine, new StoreCatalog(engine), { isLocal, pieceBytes, disk });
}

/** Whether the store lies on a disk of this machine. */
function isOnDisk({ store }: Engine): boolean {
  return store.blocks.features.folder !== undefined;
}

/** What a store of this process has. */
class StoreCatalog implements Catalog {
  readonly #engine: Engine;
  readonly #own: DatasetVersions;
  readonly #looks = new SharedLook<Digest>();
  readonly #standing: StandingTags;
  readonly #isLocal: boolean;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#isLocal = isOnDisk(engine);
    this.#own = new DatasetVersions(engine.store.datasets);
    this.#standing = new StandingTags(engine.store.datasets);
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

  find(version: VersionName, onLikely?: OnLikely): Promise<Digest> {
    const { name, tag, digest } = version;
    const look = (): Promise<Digest> => this.#look(version, onLikely);
    // Waiting for the look-up of others to end costs more than it saves where answers take long.
    return this.#isLocal ? this.#looks.get(`${name}:${tag ?? ""}@${digest ?? ""}`, look) : look();
  }

  async #look({ name, tag, digest }: VersionName, onLikely?: OnLikely): Promise<Digest> {
    if (digest === undefined) {
      const standing = this.#standing.find(name, tag ?? DEFAULT_TAG);
      if (standing !== undefined) return standing;
      const found = await resolve(this.#engine, { host: undefined, name, tag, digest }, { onLikely });
      this.#standing.note(found);
      return found.version;
    }
    onLikely?.(digest);
    if (await this.#own.has(await requireDataset(this.#engine, name), digest)) return digest;
    const text = formatDigest(digest);
    const data = { dataset: name, digest: text };
    throw new AetherError("VERSION_NOT_FOUND", `${name} has no version ${text}`, { data });
  }
}
