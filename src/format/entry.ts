/** One file, directory or symlink of a version. docs/format.md §6.1 */
import { AetherError } from "../base/errors.ts";
import { PATH_BYTES_MAX } from "../base/limits.ts";
import { compareUtf8 } from "../base/bytes.ts";
import type { Digest } from "./digest.ts";

/** A point in time as file systems keep it. */
export interface FileTime {
  /** Seconds since 1970, negative before. */
  readonly seconds: number;
  /** 0 to 999,999,999 after that second. */
  readonly nanos: number;
}

interface EntryBase {
  /** Relative, segments joined by "/". */
  readonly path: string;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly mtime: FileTime;
}

/** A regular file; `digest` is the SHA-256 of its bytes. */
export interface FileEntry extends EntryBase {
  readonly kind: "file";
  readonly size: number;
  readonly digest: Digest;
}
export interface DirectoryEntry extends EntryBase {
  readonly kind: "directory";
}
/** A symbolic link; `target` is kept as it is, never followed. */
export interface SymlinkEntry extends EntryBase {
  readonly kind: "symlink";
  readonly target: string;
}
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry;

/** Bytes of a symlink's target at most. */
export const TARGET_BYTES_MAX = PATH_BYTES_MAX;
export const MODE_MAX = 0o7777;
/** Seconds before and after 1970 that an entry's time may lie. */
export const SECONDS_MAX = 2 ** 40;

/** Why a path may not stand in a dataset, or undefined when it may. */
export function pathFault(path: string): string | undefined {
  if (path === "") return "it is empty";
  if (!path.isWellFormed()) return "it is not valid Unicode";
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return `it has more than ${PATH_BYTES_MAX} bytes`;
  if (path.includes("\0")) return "it has a NUL";
  for (const segment of path.split("/")) {
    if (segment === "") return "it is absolute, or has an empty segment";
    if (segment === "." || segment === "..") return `it has a "${segment}" segment`;
  }
  return undefined;
}

/**
 * Holds a sequence of entries to the rules of §6.1, one at a time in constant memory: paths are valid, ascend by bytes
 * with none twice, and every parent was an entry before and is a directory.
 */
export class EntrySequence {
  #last: string | undefined;
  /** Directories that may still get children, each a string prefix of the next. */
  readonly #open: string[] = [];

  /** Takes the next entry. Errors: MANIFEST_UNSAFE. */
  next(path: string, isDirectory: boolean): void {
    const fault = pathFault(path);
    if (fault !== undefined) throw unsafe(path, fault);
    if (this.#last !== undefined && compareUtf8(this.#last, path) >= 0) {
      throw unsafe(path, this.#last === path ? "it stands twice" : "it is out of order");
    }
    this.#last = path;
    const open = this.#open;
    while (open.length > 0 && !path.startsWith(open[open.length - 1] ?? "")) open.pop();
    const slash = path.lastIndexOf("/");
    if (slash !== -1 && !open.includes(path.slice(0, slash))) {
      throw unsafe(path, "its parent is not a directory of the version");
    }
    if (isDirectory) open.push(path);
  }
}

/** The error for a path that breaks a rule; shows at most its first 200 characters. */
export function unsafe(path: string, why: string): AetherError {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return new AetherError(
    "MANIFEST_UNSAFE",
    `the version's path ${JSON.stringify(shown)} is refused: ${why}`,
    {
      data: { path: shown },
    },
  );
}
