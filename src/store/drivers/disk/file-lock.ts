import { lstatSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import type { Random } from "../../../base/random.ts";

/** Primary result codes, https://sqlite.org/rescode.html: someone else holds the lock. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

/**
 * A lock on a file that the kernel releases when its holder dies, however it dies. Node has no flock or fcntl of its
 * own; SQLite has, so the file is an empty database and the lock an exclusive transaction that never writes.
 * docs/decisions "file locks".
 */
export class FileLock {
  readonly #database: DatabaseSync;

  /**
   * Opens the file, which is made when it is not there. Throws what SQLite throws. Errors: STORE_FOREIGN when it is a
   * symbolic link, or no file.
   */
  constructor(path: string) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) {
      throw new AetherError(
        "STORE_FOREIGN",
        "a lock file of the store is no file: remove it, or use another store",
      );
    }
    this.#database = new DatabaseSync(path, { timeout: 0 });
  }

  /** Whether the lock is now ours; it does not wait. */
  tryAcquire(): boolean {
    try {
      // A journal on the disk would be one more file to leave behind.
      this.#database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return true;
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
  }

  release(): void {
    this.#database.exec("ROLLBACK");
  }

  /** Releases the lock if it is held. */
  close(): void {
    this.#database.close();
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return false;
  const primary = error.errcode & 0xff;
  return primary === SQLITE_BUSY || primary === SQLITE_LOCKED;
}

const WAIT_MS_FIRST = 1;
const WAIT_MS_MAX = 50;
/** A holder keeps the lock for one read and one rename; who waits longer waits for a stopped process. */
const WAIT_MS_TOTAL = 15_000;

/** One task at a time, among all processes that use the file. Tasks of this process queue up before they contend. */
export class Mutex {
  readonly #path: () => Promise<string>;
  readonly #clock: Clock;
  readonly #random: Random;
  #lock: FileLock | undefined;
  #tail: Promise<undefined> = Promise.resolve(undefined);

  /** `path` makes the folder of the lock's file when first needed, and gives the file's path. */
  constructor(path: () => Promise<string>, clock: Clock, random: Random) {
    this.#path = path;
    this.#clock = clock;
    this.#random = random;
  }

  /** What the task gives, run while nobody else runs one. Errors: STORE_UNAVAILABLE after 15 s of waiting. */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tail;
    const turn = Promise.withResolvers<undefined>();
    this.#tail = turn.promise;
    await before;
    try {
      const lock = await this.#acquire(signal);
      try {
        return await task();
      } finally {
        lock.release();
      }
    } finally {
      turn.resolve(undefined);
    }
  }

  /** Nothing may be under way. */
  close(): void {
    this.#lock?.close();
    this.#lock = undefined;
  }

  async #acquire(signal?: AbortSignal): Promise<FileLock> {
    signal?.throwIfAborted();
    this.#lock ??= new FileLock(await this.#path());
    const startMs = this.#clock.elapsedMs();
    for (let waitMs = WAIT_MS_FIRST; !this.#lock.tryAcquire(); waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
      if (this.#clock.elapsedMs() - startMs > WAIT_MS_TOTAL) {
        throw new AetherError(
          "STORE_UNAVAILABLE",
          "another process holds the store's lock and does not let go",
        );
      }
      await this.#clock.sleep(waitMs * (0.5 + this.#random.fraction()), signal);
    }
    return this.#lock;
  }
}
