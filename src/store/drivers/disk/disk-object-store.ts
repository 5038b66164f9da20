import { constants } from "node:fs";
import {
  link,
  lstat,
  open,
  readFile,
  realpath,
  rename,
  statfs,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import { totalBytes } from "../../../base/bytes.ts";
import { checkRange, type ByteRange } from "../../../base/byte-range.ts";
import type { Clock } from "../../../base/clock.ts";
import { AetherError, errnoOf } from "../../../base/errors.ts";
import type { Random } from "../../../base/random.ts";
import { digestOf } from "../../../format/digest.ts";
import type { CallOptions, ReadRangeOptions, StoreFeatures } from "../../block-store.ts";
import type { Revised, Revision } from "../../dataset-store.ts";
import { STORE_KEY, STORE_ROOT, type Key, type KeyPrefix } from "../../keys.ts";
import type { ListOptions, ObjectInfo, ObjectStore, ReadOptions } from "../../object-store.ts";
import { DescriptorCache, type OpenFile } from "./descriptor-cache.ts";
import { diskError, isAbsent, isNoFile } from "./disk-errors.ts";
import { Mutex } from "./file-lock.ts";
import { Folders, makeRoot } from "./folders.ts";
import { listFiles, listFolders } from "./listing.ts";
import { isFileNow, QuickReads } from "./quick-reads.ts";
import { sweepTemporaryFiles, TemporaryFiles } from "./temporary-files.ts";

const TEMPORARY = `${STORE_ROOT}tmp`;
const LOCK_NAME = "replace.lock";
/** Blocks kept open between reads. */
const OPEN_FILES_MAX = 64;
/** Opening must not follow a link, nor wait for the other end of a pipe. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** How to open a folder. */
export interface DiskOptions extends CallOptions {
  /** For messages: the place as the user gave it. */
  readonly name: string;
  /** Make the folder when it is not there. */
  readonly create: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Objects as files of one folder: the key is the path. Many processes may use the folder at once. Every file is written
 * and fdatasynced under a temporary name and then renamed, or linked where it must be the first of its name.
 */
class DiskObjectStore implements ObjectStore {
  readonly features: StoreFeatures;
  readonly name: string;
  readonly #root: string;
  readonly #folders: Folders;
  readonly #temporary: TemporaryFiles;
  readonly #mutex: Mutex;
  readonly #descriptors: DescriptorCache;
  readonly #quick: QuickReads;
  /** The store's record was seen: where it is not any more, the disk is not mounted, or the folder was moved away. */
  #isStore = false;

  /** `root` is an absolute path of a folder, on a file system of that type (statfs(2)). openDisk makes it. */
  constructor(root: string, fileSystem: number, options: DiskOptions) {
    const { name, clock, random } = options;
    this.name = name;
    this.#root = root;
    this.features = { kind: "disk", persistent: true, shared: true, folder: join(root, STORE_ROOT) };
    this.#folders = new Folders(root, () => this.#checkStore());
    const temporaryFolder = async (): Promise<string> => {
      await this.#folders.make(TEMPORARY);
      return join(root, TEMPORARY);
    };
    this.#temporary = new TemporaryFiles(temporaryFolder, random);
    this.#mutex = new Mutex(async () => join(await temporaryFolder(), LOCK_NAME), clock, random);
    this.#descriptors = new DescriptorCache(OPEN_FILES_MAX, (path) => this.#openFile(path));
    this.#quick = new QuickReads(clock, fileSystem);
  }

  get(key: Key, options: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#reading(async () => {
      options.signal?.throwIfAborted();
      const now = this.#now(key, options.bytesMax);
      if (now !== undefined) return now === "absent" ? undefined : now;
      const path = this.#path(key);
      const file = await this.#openFile(path);
      this.#quick.note(path, file?.bytes);
      if (file === undefined) {
        await this.#checkStore();
        return undefined;
      }
      if (key === STORE_KEY) this.#isStore = true;
      try {
        if (file.bytes > options.bytesMax) throw this.#invalid(key, `has ${file.bytes} bytes, too many`);
        return await this.#readExactly(file.handle, { start: 0, end: file.bytes }, key);
      } finally {
        await file.handle.close();
      }
    });
  }

  async getRevised(key: Key, options: ReadOptions): Promise<Revised<Uint8Array> | undefined> {
    const value = await this.get(key, options);
    return value === undefined ? undefined : { value, revision: revisionOf(value) };
  }

  revisedNow(key: Key, bytesMax: number): Revised<Uint8Array> | "absent" | undefined {
    const now = this.#now(key, bytesMax);
    return now instanceof Uint8Array ? { value: now, revision: revisionOf(now) } : now;
  }

  /** What is there, where that is known without waiting. */
  #now(key: Key, bytesMax: number): Uint8Array | "absent" | undefined {
    const now = this.#quick.read(this.#path(key), bytesMax);
    return now === "absent" && !isFileNow(this.#path(STORE_KEY)) ? undefined : now;
  }

  getRange(key: Key, range: ByteRange, options?: ReadRangeOptions): Promise<Uint8Array | undefined> {
    return this.#reading(async () => {
      options?.signal?.throwIfAborted();
      const read = await this.#descriptors.use(this.#path(key), ({ handle, bytes }) =>
        this.#readExactly(handle, checkRange(range, bytes), key, options?.into),
      );
      if (read === undefined) await this.#checkStore();
      return read;
    });
  }

  stat(key: Key, options?: CallOptions): Promise<number | undefined> {
    return this.#reading(async () => {
      options?.signal?.throwIfAborted();
      const bytes = await this.#sizeOf(key);
      if (bytes === undefined) await this.#checkStore();
      return bytes;
    });
  }

  add(key: Key, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#writing(async () => {
      options?.signal?.throwIfAborted();
      const folder = await this.#makeFolder(key);
      // A kept one may be another process's, whose folder is not synced yet: the next flush does it.
      if ((await this.#sizeOf(key)) !== totalBytes(parts)) {
        await this.#temporary.written(parts, (path) => rename(path, this.#path(key)), options?.signal);
        await this.#descriptors.forget(this.#path(key));
      }
      this.#folders.changed(folder);
    });
  }

  put(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#writing(async () => {
      options?.signal?.throwIfAborted();
      const folder = await this.#makeFolder(key);
      await this.#temporary.written([bytes], (path) => rename(path, this.#path(key)), options?.signal);
      this.#folders.changed(folder);
    });
  }

  create(key: Key, bytes: Uint8Array, options?: CallOptions): Promise<boolean> {
    return this.#writing(async () => {
      options?.signal?.throwIfAborted();
      const folder = await this.#makeFolder(key);
      const created = await this.#temporary.written(
        [bytes],
        (path) => this.#linked(path, key),
        options?.signal,
      );
      this.#folders.changed(folder);
      await this.#folders.syncUpwards(folder);
      if (key === STORE_KEY) this.#isStore = true;
      return created;
    });
  }

  replace(
    key: Key,
    bytes: Uint8Array,
    expected: Revision | undefined,
    options?: CallOptions,
  ): Promise<Revision> {
    const signal = options?.signal;
    return this.#writing(async () => {
      signal?.throwIfAborted();
      const folder = await this.#makeFolder(key);
      const place = async (path: string): Promise<boolean> => {
        if (expected === undefined) return this.#linked(path, key);
        return this.#mutex.run(async () => {
          const present = await this.#revisionAt(key);
          if (present === expected) await rename(path, this.#path(key));
          return present === expected;
        }, signal);
      };
      if (!(await this.#temporary.written([bytes], place, signal))) {
        const text = `${key} in ${this.name} was changed by someone else: read it again`;
        throw new AetherError("OBJECT_CONFLICT", text, { data: { key } });
      }
      this.#folders.changed(folder);
      return revisionOf(bytes);
    });
  }

  remove(key: Key, options?: CallOptions): Promise<void> {
    return this.#writing(async () => {
      options?.signal?.throwIfAborted();
      await this.#descriptors.forget(this.#path(key));
      try {
        await unlink(this.#path(key));
        this.#folders.changed(folderOf(key));
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    });
  }

  async *list(prefix: KeyPrefix, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    try {
      await this.#checkStore();
      yield* listFiles(this.#root, prefix, `${TEMPORARY}/`, options);
    } catch (error) {
      throw diskError(error, this.name, "read");
    }
  }

  async *folders(prefix: KeyPrefix, options?: CallOptions): AsyncGenerator<string> {
    try {
      await this.#checkStore();
      yield* listFolders(this.#root, prefix, options?.signal);
    } catch (error) {
      throw diskError(error, this.name, "read");
    }
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#writing(async () => {
      options?.signal?.throwIfAborted();
      await this.#folders.syncAll(options?.signal);
    });
  }

  async close(): Promise<void> {
    await this.#descriptors.close();
    await this.#temporary.close();
    this.#mutex.close();
  }

  /**
   * What is not there is missing only as long as the store itself is there. Errors: STORE_UNAVAILABLE when the store's record was there
   * and is not any more.
   */
  async #checkStore(): Promise<void> {
    const isThere = (await this.#sizeOf(STORE_KEY)) !== undefined;
    if (isThere) this.#isStore = true;
    if (isThere || !this.#isStore) return;
    const text = `${this.name} holds the store no more: mount the disk again, or put the folder back`;
    throw new AetherError("STORE_UNAVAILABLE", text);
  }

  #path(key: Key): string {
    return `${this.#root}/${key}`;
  }

  async #makeFolder(key: Key): Promise<string> {
    const folder = folderOf(key);
    await this.#folders.make(folder);
    return folder;
  }

  /** Whether the file now has the key's name too: false when another has it. */
  async #linked(path: string, key: Key): Promise<boolean> {
    try {
      await link(path, this.#path(key));
      return true;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  async #revisionAt(key: Key): Promise<Revision | undefined> {
    try {
      return revisionOf(await readFile(this.#path(key)));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #sizeOf(key: Key): Promise<number | undefined> {
    try {
      const found = await lstat(this.#path(key));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #openFile(path: string): Promise<OpenFile | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, READ_FLAGS);
    } catch (error) {
      if (isAbsent(error) || isNoFile(error)) return undefined;
      throw error;
    }
    const found = await handle.stat();
    if (found.isFile()) return { handle, bytes: found.size };
    await handle.close();
    return undefined;
  }

  async #readExactly(
    handle: FileHandle,
    { start, end }: ByteRange,
    key: Key,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    // Not from the shared pool: the caller may transfer it to a worker.
    const bytes = into?.subarray(0, end - start) ?? Buffer.allocUnsafeSlow(end - start);
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesRead } = await handle.read(bytes, done, bytes.byteLength - done, start + done);
      if (bytesRead === 0) throw this.#invalid(key, "became shorter while it was read");
      done += bytesRead;
    }
    return bytes;
  }

  #invalid(key: Key, why: string): AetherError {
    return new AetherError("OBJECT_INVALID", `${key} in ${this.name} ${why}`, { data: { key } });
  }

  async #reading<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      throw diskError(error, this.name, "read");
    }
  }

  async #writing<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (isAbsent(error)) this.#folders.forget();
      throw diskError(error, this.name, "write");
    }
  }
}

/**
 * The objects of a folder; leftovers of dead writers are removed on the way. Errors: STORE_NOT_FOUND when the folder is
 * not there and may not be made; STORE_FOREIGN when something else is in its place; STORE_UNWRITABLE, STORE_UNREADABLE,
 * STORE_UNAVAILABLE.
 */
export async function openDisk(path: string, options: DiskOptions): Promise<ObjectStore> {
  options.signal?.throwIfAborted();
  try {
    if (options.create) await makeRoot(path);
    const root = await realpath(path);
    if (!(await lstat(root)).isDirectory()) throw noFolder(options.name);
    const temporary = join(root, TEMPORARY);
    // Not through a symbolic link: what is removed must be the store's own.
    if ((await realpath(temporary).catch(() => undefined)) === temporary) {
      await sweepTemporaryFiles(temporary, options.random);
    }
    return new DiskObjectStore(root, (await statfs(root)).type, options);
  } catch (error) {
    throw openError(error, options);
  }
}

function openError(error: unknown, { name, create }: DiskOptions): unknown {
  const errno = errnoOf(error);
  if (errno === "ENOTDIR" || errno === "EEXIST") return noFolder(name, error);
  if (errno !== "ENOENT") return diskError(error, name, create ? "write" : "read");
  return create
    ? new AetherError("STORE_UNWRITABLE", `${name}: a folder cannot be made there`, { cause: error })
    : new AetherError(
        "STORE_NOT_FOUND",
        `there is no store at ${name}: push to it first, or check the address`,
        { cause: error },
      );
}

function noFolder(name: string, cause?: unknown): AetherError {
  const text = `${name} is no folder, or lies below what is none: name the folder of the store`;
  return new AetherError("STORE_FOREIGN", text, { cause });
}

function folderOf(key: Key): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function revisionOf(bytes: Uint8Array): Revision {
  return digestOf(bytes) as string as Revision;
}
