/** Where a mount's versions come from, and what of them is kept in the cache folder. */
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { breakerStore } from "../dataset/read/breaker-store.ts";
import { DiskPieces } from "../dataset/read/disk-pieces.ts";
import { KeptObjects } from "../dataset/read/kept-objects.ts";
import { keptStore } from "../dataset/read/kept-store.ts";
import { WholeFiles } from "../dataset/read/whole-files.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import type { Reference } from "../format/reference.ts";
import { ClientCatalog } from "../sdk/client-catalog.ts";
import type { Client } from "../sdk/client.ts";
import { KeptCatalog } from "../vfs/kept-catalog.ts";
import { Tree } from "../vfs/tree.ts";

/** Of the disk's cache, what whole files may take, and what it takes to find content; the rest is for pieces. */
const FILES_SHARE = 1 / 2;
const KEPT_SHARE = 1 / 8;

/** Which versions, and what may be kept of them. */
export interface SourceOptions {
  /** The store or hub; undefined: nobody is asked, and what the cache folder has is all that there is. */
  readonly client: Client | undefined;
  /** The store's or hub's name: what is kept is found by it again. */
  readonly place: string;
  /** Reads of it go no further than a disk of this machine. */
  readonly isLocal: boolean;
  readonly reference: Reference;
  readonly memoryBytes: number;
  /** Threads, where there is no client that has some. */
  readonly threads: number;
  readonly cacheDir: string | undefined;
  /** What is kept of what was decoded: bytes together, and on disk in `cacheDir`. */
  readonly cache: { readonly pieceBytes: number; readonly diskBytes: number };
  readonly log: Log;
}

/** What a mount reads from. */
export interface MountSource {
  readonly tree: Tree;
  /** Tells it that somebody waited in vain: perhaps the store or hub does not answer. */
  readonly suspect: () => void;
  /** Where large files are kept whole, for the kernel to read them by itself. */
  readonly openFiles: () => Promise<WholeFiles | undefined>;
  /** Ends what is not the client's. */
  readonly close: () => Promise<void>;
}

/**
 * Makes it; nothing is asked of the store yet. Of what is far, manifests, plans, pages and tags are kept, so that content is found
 * again without the store. Errors: ARGUMENT_INVALID when there is neither a client nor a cache.
 */
export function openSource(options: SourceOptions): MountSource {
  const { client, place, reference, isLocal, memoryBytes, threads, cacheDir, cache, log } = options;
  const { pieceBytes } = cache;
  const parts = { clock: systemClock, random: systemRandom, log };
  const folderOf = (name: string, share: number): { folder: string; bytesMax: number } | undefined =>
    cacheDir === undefined || cache.diskBytes === 0
      ? undefined
      : { folder: join(cacheDir, name), bytesMax: cache.diskBytes * share };
  const pieces = folderOf("pieces", 1 - FILES_SHARE - KEPT_SHARE);
  const versions = folderOf("versions", KEPT_SHARE);
  const files = folderOf("files", FILES_SHARE);
  const disk = pieces && new DiskPieces({ ...pieces, ...parts });
  const asked = client && { engine: client.copyEngine(reference.name), catalog: new ClientCatalog(client) };
  const breaker = asked && !isLocal ? breakerStore(asked.engine.store, parts) : undefined;
  const suspect = (): void => breaker?.suspect();
  const openFiles = async (pool: WorkerPool): Promise<WholeFiles | undefined> =>
    files && (await WholeFiles.open({ ...files, ...parts, pool }));
  if (asked !== undefined && (versions === undefined || isLocal)) {
    const { engine, catalog } = asked;
    const guarded = { ...engine, store: breaker?.store ?? engine.store };
    const tree = new Tree(guarded, catalog, { isLocal, pieceBytes, disk });
    return { tree, suspect, openFiles: () => openFiles(engine.pool), close: async () => breaker?.close() };
  }
  if (versions === undefined)
    throw new AetherError(
      "ARGUMENT_INVALID",
      "without --cache_dir and --cache_size nothing is there offline",
    );
  const kept = new KeptObjects({ ...versions, ...parts });
  const pool = asked?.engine.pool ?? new WorkerPool(threads);
  const { store, keeper } = keptStore(kept, place, breaker?.store);
  const engine = { ...parts, pool, memoryBytes, cacheDir, store };
  const catalog = new KeptCatalog(kept, place, asked?.catalog);
  const tree = new Tree(engine, catalog, { isLocal, pieceBytes, disk, keeper });
  const close = async (): Promise<void> => {
    await breaker?.close();
    if (asked === undefined) await pool.close();
  };
  return { tree, suspect, openFiles: () => openFiles(pool), close };
}
