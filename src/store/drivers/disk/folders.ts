import { lstat, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AetherError, errnoOf } from "../../../base/errors.ts";
import { makeFolders } from "../../make-folders.ts";
import { isAbsent } from "./disk-errors.ts";

/** Folders that are remembered to be there; a store of blocks and plans has some 800. */
const KNOWN_MAX = 10_000;
/** Folders that may wait for a barrier; more are synced without one. */
const DIRTY_MAX = 10_000;
/** Folders fsynced at once. */
const PARALLEL_SYNCS = 4;

/**
 * The folders of one store that this process writes to: made when needed, never through a symbolic link, and fsynced
 * together. Paths are relative to the root, "" is the root itself.
 */
export class Folders {
  readonly #root: string;
  readonly #checkStore: () => Promise<void>;
  readonly #known = new Set<string>([""]);
  /** Folders whose entries changed, with the number of the last change. */
  readonly #dirty = new Map<string, number>();
  #changes = 0;
  #failed: unknown;

  /** `checkStore` rejects when the root is not the store's any more: nothing is made in what took its place. */
  constructor(root: string, checkStore: () => Promise<void>) {
    this.#root = root;
    this.#checkStore = checkStore;
  }

  /** Makes the folder and those above it. Errors: STORE_FOREIGN when one of them is no folder but a link or a file. */
  async make(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    if (this.#dirty.size > DIRTY_MAX) await this.syncAll();
    const parent = parentOf(folder);
    if (parent === "") await this.#checkStore();
    await this.make(parent);
    const path = join(this.#root, folder);
    try {
      await mkdir(path);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if (!(await lstat(path)).isDirectory()) {
        throw new AetherError(
          "STORE_FOREIGN",
          `${folder} in the store is no folder: restore it, or use another store`,
        );
      }
    }
    // Whoever made it may not have synced it yet, so that is ours to do as well.
    this.changed(parent);
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.add("").add(folder);
  }

  /** Notes that an entry of the folder was made, replaced or removed. */
  changed(folder: string): void {
    this.#dirty.set(folder, ++this.#changes);
  }

  /** Forgets which folders are there: somebody removed one. */
  forget(): void {
    this.#known.clear();
    this.#known.add("");
  }

  /** Makes the entries of the folder, and of those above it, durable. */
  async syncUpwards(folder: string): Promise<void> {
    for (let each = folder; ; each = parentOf(each)) {
      if (this.#dirty.has(each)) await this.#sync(each);
      if (each === "") return;
    }
  }

  /** Makes every noted change durable. */
  async syncAll(signal?: AbortSignal): Promise<void> {
    const folders = [...this.#dirty.keys()].values();
    const work = async (): Promise<void> => {
      for (const folder of folders) {
        signal?.throwIfAborted();
        await this.#sync(folder);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_SYNCS }, work));
    this.#throwIfFailed();
  }

  async #sync(folder: string): Promise<void> {
    this.#throwIfFailed();
    const change = this.#dirty.get(folder);
    try {
      await syncFolder(join(this.#root, folder));
    } catch (error) {
      // After a failed fsync the kernel may forget what it could not write: a second one would succeed and lie.
      this.#failed = error;
      throw error;
    }
    if (this.#dirty.get(folder) === change) this.#dirty.delete(folder);
  }

  #throwIfFailed(): void {
    if (this.#failed === undefined) return;
    throw new AetherError(
      "STORE_UNAVAILABLE",
      "the disk failed to keep what was written: check it, then run again",
      {
        cause: this.#failed,
      },
    );
  }
}

/** Makes the root, and makes it durable up to the first folder that was there. */
export async function makeRoot(root: string): Promise<void> {
  const first = makeFolders(root);
  if (first === undefined) return;
  for (let path = root; path.length >= first.length; path = dirname(path)) await syncFolder(dirname(path));
}

function parentOf(folder: string): string {
  return folder.slice(0, Math.max(folder.lastIndexOf("/"), 0));
}

/** A folder that is gone needs no sync. */
async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
