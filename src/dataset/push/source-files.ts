/** Where the scanner gets the bytes of files that the walk found. Synchronous: for the source's thread. */
import fs from "node:fs";
import { errnoOf } from "../../base/errors.ts";
import { changed, sourceError } from "./walk.ts";

/** A file that is being read from its beginning. */
export interface SourceFile {
  /** As it was when it was opened. */
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  /** Fills the view with the next bytes; gives how many there were: fewer at the end only. Errors: Node's. */
  readonly read: (view: Uint8Array) => number;
  /** Whether it still is what it was when it was opened. */
  readonly isUnchanged: () => boolean;
  readonly close: () => void;
}

/** The files of a source. */
export interface SourceFiles {
  /** Opens the file of a walked path. Errors: SOURCE_CHANGED when no file is there any more, SOURCE_UNREADABLE. */
  readonly open: (path: string) => SourceFile;
}

/** Files of a folder; `fullPath` gives where a walked path lies. */
export function folderFiles(fullPath: (path: string) => string): SourceFiles {
  return { open: (path) => openFile(fullPath(path), path) };
}

function openFile(full: string, path: string): SourceFile {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(full, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ELOOP" || errno === "ENOTDIR") throw changed(path);
    throw sourceError(error, path, "");
  }
  const before = fs.fstatSync(fd, { bigint: true });
  if (!before.isFile()) {
    fs.closeSync(fd);
    throw changed(path);
  }
  return {
    size: Number(before.size),
    mode: Number(before.mode & 0o7777n),
    mtimeNs: before.mtimeNs,
    read: (view) => readFully(fd, view),
    isUnchanged: () => isSame(before, fs.fstatSync(fd, { bigint: true })),
    close: () => {
      fs.closeSync(fd);
    },
  };
}

function readFully(fd: number, view: Uint8Array): number {
  let total = 0;
  while (total < view.byteLength) {
    const bytes = fs.readSync(fd, view, total, view.byteLength - total, null);
    if (bytes === 0) break;
    total += bytes;
  }
  return total;
}

function isSame(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
