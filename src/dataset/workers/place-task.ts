/** Giving a pull's paths their final form, in a thread. */
import fs from "node:fs";
import path from "node:path";
import { threadId } from "node:worker_threads";
import type { DirectoryEntry, Entry } from "../../format/entry.ts";
import { hasTime, setLinkTime, setTime } from "../pull/file-times.ts";
import { foldName, STAGING_NAME } from "../pull/staging.ts";
import { targetError } from "../pull/target-errors.ts";
import { isRacy, type StatRecord } from "../stat-cache.ts";
import { lstat, statRecord } from "./inspect-task.ts";
import type { TaskResult } from "./tasks.ts";

/** A path to place. `attributes`: only mode and time are set. */
export interface PlaceItem {
  readonly entry: Entry;
  readonly action: "attributes" | "replace";
  /** Of a file to replace: where it lies whole, relative to the target. */
  readonly staged: string | undefined;
}

let temporaryLinks = 0;

/**
 * Places each item in order. A folder in the way goes: with all in it if `removesFolders`, else only if it is empty.
 * Errors: TARGET_UNWRITABLE, SPACE_EXHAUSTED.
 */
export function placePaths(input: {
  readonly target: string;
  readonly items: readonly PlaceItem[];
  readonly removesFolders: boolean;
}): TaskResult<undefined> {
  for (const item of input.items) {
    try {
      place(input.target, item, input.removesFolders);
    } catch (error) {
      throw targetError(error, item.entry.path);
    }
  }
  return { output: undefined, transfer: [] };
}

function place(target: string, { entry, action, staged }: PlaceItem, removesFolders: boolean): void {
  const file = path.join(target, entry.path);
  if (action === "attributes") {
    if (entry.kind === "symlink") setLinkTime(file, entry.mtime);
    else {
      fs.chmodSync(file, entry.mode);
      setTime(file, entry.mtime);
    }
    return;
  }
  if (entry.kind === "directory") {
    const stats = lstat(file);
    if (stats?.isDirectory() === true) return;
    if (stats !== undefined) fs.unlinkSync(file);
    fs.mkdirSync(file, { mode: entry.mode | 0o700 });
    return;
  }
  let source = staged === undefined ? undefined : path.join(target, staged);
  if (entry.kind === "symlink") {
    source = path.join(target, STAGING_NAME, `l${threadId}-${temporaryLinks++}`);
    fs.rmSync(source, { force: true });
    fs.symlinkSync(entry.target, source);
    setLinkTime(source, entry.mtime);
  }
  if (entry.kind === "file" && source !== undefined) {
    // A pull that was killed may have left it whole, but without these.
    fs.chmodSync(source, entry.mode);
    setTime(source, entry.mtime);
  }
  if (lstat(file)?.isDirectory() === true) {
    if (removesFolders) removeTree(file);
    else fs.rmdirSync(file);
  }
  if (source !== undefined) fs.renameSync(source, file);
}

/** Removes what lies at each path with all below it; symlinks are not followed. Errors: TARGET_UNWRITABLE. */
export function removePaths(input: {
  readonly target: string;
  readonly paths: readonly string[];
}): TaskResult<undefined> {
  for (const relative of input.paths) {
    try {
      removeTree(path.join(input.target, relative));
    } catch (error) {
      throw targetError(error, relative);
    }
  }
  return { output: undefined, transfer: [] };
}

function removeTree(file: string): void {
  try {
    fs.rmSync(file, { recursive: true, force: true });
  } catch {
    // Folders that their owner may not write hold what they hold.
    makeWritable(file);
    fs.rmSync(file, { recursive: true, force: true });
  }
}

/** Paths are PATH_BYTES_MAX long at most on every system, which bounds the depth. */
function makeWritable(folder: string): void {
  if (lstat(folder)?.isDirectory() !== true) return;
  fs.chmodSync(folder, 0o700);
  for (const item of fs.readdirSync(folder, { withFileTypes: true })) {
    if (item.isDirectory()) makeWritable(path.join(folder, item.name));
  }
}

/**
 * The names in a folder of the target that are not among `names` (folded, if it ignores case), and whether each is a
 * folder; none when it is no folder, or lies below a symlink. Errors: TARGET_UNWRITABLE.
 */
export function listStrangers(input: {
  readonly target: string;
  readonly folder: string;
  readonly names: ReadonlySet<string>;
  readonly ignoresCase: boolean;
}): TaskResult<{ readonly name: string; readonly isDirectory: boolean }[]> {
  const { target, folder, names, ignoresCase } = input;
  const output = [];
  try {
    if (isOwnFolder(target, folder)) {
      for (const item of fs.readdirSync(path.join(target, folder), { withFileTypes: true })) {
        if (names.has(foldName(item.name, ignoresCase))) continue;
        output.push({ name: item.name, isDirectory: item.isDirectory() });
      }
    }
  } catch (error) {
    throw targetError(error, folder);
  }
  return { output, transfer: [] };
}

/** Whether it and every one above it within the target is a folder, not a symlink to one. */
function isOwnFolder(target: string, folder: string): boolean {
  let at = target;
  for (const name of folder === "" ? [] : folder.split("/")) {
    at = path.join(at, name);
    if (lstat(at)?.isDirectory() !== true) return false;
  }
  return true;
}

/** Something to finish: a file to remember, or a folder in which nothing changes any more. */
export type FinishItem = Extract<Entry, { kind: "file" }> | DirectoryEntry;

/**
 * Gives folders their mode and time, and tells what files look like now: records of those that are as they should be
 * and old enough at `nowMs` for a later change to show. Errors: TARGET_UNWRITABLE.
 */
export function finishPaths(input: {
  readonly target: string;
  readonly items: readonly FinishItem[];
  readonly nowMs: number;
}): TaskResult<StatRecord[]> {
  const seenNs = BigInt(Math.floor(input.nowMs)) * 1_000_000n;
  const output: StatRecord[] = [];
  for (const entry of input.items) {
    const file = path.join(input.target, entry.path);
    try {
      const stats = lstat(file);
      if (entry.kind === "directory" && stats?.isDirectory() === true) finishFolder(file, entry, stats);
      const isAsMade = entry.kind === "file" && stats?.isFile() === true && stats.size === BigInt(entry.size);
      if (!isAsMade || !hasTime(stats.mtimeNs, entry.mtime) || isRacy(stats.ctimeNs, seenNs)) continue;
      output.push(statRecord(entry.path, stats));
    } catch (error) {
      throw targetError(error, entry.path);
    }
  }
  return { output, transfer: [] };
}

function finishFolder(file: string, entry: DirectoryEntry, stats: fs.BigIntStats): void {
  if ((Number(stats.mode) & 0o7777) !== entry.mode) fs.chmodSync(file, entry.mode);
  if (!hasTime(stats.mtimeNs, entry.mtime)) setTime(file, entry.mtime);
}
