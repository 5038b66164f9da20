/** Looking at what lies in a pull's target, in a thread. */
import fs from "node:fs";
import { createHash } from "node:crypto";
import path from "node:path";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { Entry, FileEntry } from "../../format/entry.ts";
import { hasTime } from "../pull/file-times.ts";
import { targetError } from "../pull/target-errors.ts";
import { sameStat, type StatRecord } from "../stat-cache.ts";
import type { TaskResult } from "./tasks.ts";

/** What a path in the target is, beside the entry that shall lie there. */
export const PATH_STATES = { absent: 0, same: 1, attributes: 2, differs: 3, obstructed: 4 } as const;
/** absent; the same in all; the same but for mode or time; something else; a folder that is not empty in the way. */
export type PathState = (typeof PATH_STATES)[keyof typeof PATH_STATES];

/** A path to look at. */
export interface InspectItem {
  readonly entry: Entry;
  /** Of a file: what it looked like when it last had the content `recordDigest`. */
  readonly record: StatRecord | undefined;
  readonly recordDigest: Digest | undefined;
  /** Of a file: where an earlier pull may have gathered it, relative to the target. */
  readonly staged: string | undefined;
}

/** What was found at a path. */
export interface Inspection {
  readonly state: PathState;
  /** Of a file that differs: bytes of the regular file there that nobody knows the content of, else 0. */
  readonly unknownBytes: number;
  /** What an earlier pull left of it: nothing, all of it, or something. */
  readonly staged: "none" | "whole" | "part";
}

/** Looks at each item; a file whose record does not vouch for it is read and hashed. Errors: TARGET_UNWRITABLE. */
export function inspectPaths(input: {
  readonly target: string;
  readonly items: readonly InspectItem[];
}): TaskResult<Inspection[]> {
  const buffer = Buffer.allocUnsafeSlow(MiB);
  const output = input.items.map((item) => {
    try {
      return inspect(input.target, item, buffer);
    } catch (error) {
      throw targetError(error, item.entry.path);
    }
  });
  return { output, transfer: [] };
}

function inspect(target: string, item: InspectItem, buffer: Buffer): Inspection {
  const { entry } = item;
  const file = path.join(target, entry.path);
  const stats = lstat(file);
  const of = (state: PathState): Inspection => ({ state, unknownBytes: 0, staged: "none" });
  if (stats === undefined)
    return entry.kind === "file" ? missing(target, item, 0, buffer) : of(PATH_STATES.absent);
  if (stats.isDirectory() !== (entry.kind === "directory")) {
    if (stats.isDirectory() && fs.readdirSync(file).length > 0) return of(PATH_STATES.obstructed);
    return entry.kind === "file"
      ? missing(target, item, 0, buffer, PATH_STATES.differs)
      : of(PATH_STATES.differs);
  }
  const hasAttributes = (Number(stats.mode) & 0o7777) === entry.mode && hasTime(stats.mtimeNs, entry.mtime);
  const same = hasAttributes ? PATH_STATES.same : PATH_STATES.attributes;
  if (entry.kind === "directory") return of(same);
  if (entry.kind === "symlink") {
    const holds = stats.isSymbolicLink() && fs.readlinkSync(file) === entry.target;
    return of(
      holds
        ? hasTime(stats.mtimeNs, entry.mtime)
          ? PATH_STATES.same
          : PATH_STATES.attributes
        : PATH_STATES.differs,
    );
  }
  if (!stats.isFile()) return missing(target, item, 0, buffer, PATH_STATES.differs);
  const known = knownDigest(item, entry, stats);
  if (known === undefined && stats.size === BigInt(entry.size) && hashFile(file, buffer) === entry.digest)
    return of(same);
  if (known === entry.digest) return of(same);
  return missing(target, item, known === undefined ? Number(stats.size) : 0, buffer, PATH_STATES.differs);
}

/** The digest of a file that looks as it did, or undefined. */
function knownDigest(
  { record, recordDigest }: InspectItem,
  entry: FileEntry,
  stats: fs.BigIntStats,
): Digest | undefined {
  if (record === undefined) return undefined;
  return sameStat(record, statRecord(entry.path, stats)) ? recordDigest : undefined;
}

/** What a stat cache keeps of a file. */
export function statRecord(relative: string, stats: fs.BigIntStats): StatRecord {
  const { size, mode, mtimeNs, ctimeNs, ino } = stats;
  return { path: relative, size: Number(size), mode: Number(mode) & 0o7777, mtimeNs, ctimeNs, ino };
}

function missing(
  target: string,
  item: InspectItem,
  unknownBytes: number,
  buffer: Buffer,
  state: PathState = PATH_STATES.absent,
): Inspection {
  const { entry } = item;
  const file = item.staged === undefined ? undefined : path.join(target, item.staged);
  const stats = file === undefined ? undefined : lstat(file);
  let staged: Inspection["staged"] = "none";
  if (file !== undefined && stats?.isFile() === true && entry.kind === "file") {
    const isWhole = stats.size === BigInt(entry.size) && hashFile(file, buffer) === entry.digest;
    staged = isWhole ? "whole" : "part";
  }
  return { state, unknownBytes, staged };
}

/** What lies at `file`, not followed, or undefined. */
export function lstat(file: string): fs.BigIntStats | undefined {
  try {
    return fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // A parent that is no folder: nothing can lie below it.
    if (error instanceof Error && "code" in error && (error.code === "ENOTDIR" || error.code === "ELOOP"))
      return undefined;
    throw error;
  }
}

/** SHA-256 of a regular file's bytes, read through `buffer`; undefined when it cannot be read. */
function hashFile(file: string, buffer: Buffer): Digest | undefined {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const hasher = createHash("sha256");
    for (let bytes = fs.readSync(fd, buffer); bytes > 0; bytes = fs.readSync(fd, buffer)) {
      hasher.update(buffer.subarray(0, bytes));
    }
    return hasher.digest("hex") as Digest;
  } finally {
    fs.closeSync(fd);
  }
}
