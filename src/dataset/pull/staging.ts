/** The folder inside the target where a pull works, and the lock that keeps pulls apart. */
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { hash } from "node:crypto";
import { AetherError, errnoOf } from "../../base/errors.ts";
import type { FileEntry } from "../../format/entry.ts";
import { targetError } from "./target-errors.ts";
import { makeFolders } from "../../store/make-folders.ts";

/** The staging folder's name in the target; no dataset may hold it. */
export const STAGING_NAME = ".aetherfs-pull";
const LOCK_NAME = "lock";
/** Times that a lock is taken anew because its file was removed meanwhile by who held it. */
const LOCK_TRIES_MAX = 10;

/** A target folder made ready. */
export interface Staging {
  /** Absolute path of the target folder. */
  readonly target: string;
  /** Whether there was nothing in it, not even of an earlier pull. */
  readonly isFresh: boolean;
  /** Whether names that differ in case only are one file there. */
  readonly ignoresCase: boolean;
  /** Removes the staging folder with all in it, and releases the lock. */
  readonly finish: () => void;
  /** Releases the lock and leaves what was staged, if anything, for the next pull. */
  readonly leave: () => void;
}

/**
 * Makes the target folder if need be, and locks it. The kernel releases the lock of a process that dies.
 * Errors: TARGET_UNWRITABLE, also while another pull works on the folder; SPACE_EXHAUSTED.
 */
export function openStaging(target: string): Staging {
  const absolute = path.resolve(target);
  const folder = path.join(absolute, STAGING_NAME);
  try {
    const made = makeFolders(absolute);
    const lock = acquire(folder, target);
    // Only now: until then another pull may have filled it.
    const isFresh = holdsOnly(absolute, STAGING_NAME) && holdsOnly(folder, LOCK_NAME);
    const ignoresCase = probeCase(folder);
    return {
      target: absolute,
      isFresh,
      ignoresCase,
      finish: () => {
        remove(folder);
        lock.close();
      },
      leave: () => {
        if (holdsOnly(folder, LOCK_NAME)) remove(folder);
        lock.close();
        if (made !== undefined && holdsOnly(absolute)) fs.rmdirSync(absolute);
      },
    };
  } catch (error) {
    throw targetError(error, "", target);
  }
}

/** Whether the folder is there and has no more than these names in it. */
function holdsOnly(folder: string, ...names: readonly string[]): boolean {
  try {
    return fs.readdirSync(folder).every((name) => names.includes(name));
  } catch {
    return false;
  }
}

/** What cannot be removed is left to the next pull: all that matters is in its place. */
function remove(file: string): void {
  try {
    fs.rmSync(file, { recursive: true, force: true });
  } catch {
    return;
  }
}

/** Node has no flock of its own; SQLite has: an exclusive transaction on an empty database that never writes. */
function acquire(folder: string, target: string): DatabaseSync {
  const file = path.join(folder, LOCK_NAME);
  for (let tries = 0; tries < LOCK_TRIES_MAX; tries++) {
    makeFolder(folder);
    const before = lockInode(file);
    const database = new DatabaseSync(file, { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    } catch (cause) {
      database.close();
      throw lockError(target, cause);
    }
    // Who held it may have removed the file on its way out: then another process may lock a new one.
    if (before !== undefined && before === inode(file)) return database;
    database.close();
  }
  throw new AetherError("TARGET_UNWRITABLE", `other pulls keep beginning and ending on ${target}: try again`);
}

/** https://sqlite.org/rescode.html: someone else holds the lock. */
const SQLITE_BUSY = 5;

function lockError(target: string, cause: unknown): AetherError {
  const isBusy = cause instanceof Error && "errcode" in cause && cause.errcode === SQLITE_BUSY;
  const message = isBusy
    ? `another pull is at work on ${target}: wait until it ends`
    : `${target} cannot be locked: check its file system, and remove ${STAGING_NAME} in it`;
  return new AetherError("TARGET_UNWRITABLE", message, { data: { path: target }, cause });
}

/**
 * Makes the lock's file if need be. One that is there is not opened: closing it would release the locks that this process
 * has on it (POSIX fcntl).
 */
function lockInode(file: string): bigint | undefined {
  const stats = fs.lstatSync(file, { throwIfNoEntry: false });
  // What is no empty file was not made by a pull; a symlink would lead out of the target.
  if (stats !== undefined && (!stats.isFile() || stats.size > 0)) remove(file);
  try {
    fs.closeSync(fs.openSync(file, "wx", 0o600));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
  return inode(file);
}

function makeFolder(folder: string): void {
  const stats = fs.lstatSync(folder, { throwIfNoEntry: false });
  // Someone's symlink would lead what is staged out of the target.
  if (stats !== undefined && !stats.isDirectory()) fs.rmSync(folder);
  makeFolders(folder, 0o700);
}

function inode(file: string): bigint | undefined {
  return fs.lstatSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}

function probeCase(folder: string): boolean {
  const probe = path.join(folder, "case-probe");
  fs.closeSync(fs.openSync(probe, "w", 0o600));
  try {
    return fs.existsSync(path.join(folder, "CASE-PROBE"));
  } finally {
    fs.rmSync(probe, { force: true });
  }
}

/** The form in which names that are one file there are equal. */
export function foldName(name: string, ignoresCase: boolean): string {
  return ignoresCase ? name.normalize("NFC").toLowerCase() : name;
}

/** Where a file is gathered that does not go to its place at once: the same name in every pull, so that the next finds it. */
export function stagedName(entry: FileEntry): string {
  return `${STAGING_NAME}/${entry.digest}-${hash("sha256", entry.path, "hex").slice(0, 16)}`;
}
