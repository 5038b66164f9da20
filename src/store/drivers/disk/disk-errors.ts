import { AetherError, errnoOf, type ErrorCode } from "../../../base/errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
const UNSUPPORTED = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"]);

/** Whether the error says that nothing is at a path. */
export function isAbsent(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}

/** Whether the error says that a path is a symbolic link, or a socket: nothing that a store has. */
export function isNoFile(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ELOOP" || errno === "ENXIO";
}

/**
 * What to throw for something that a file operation threw: an error of Node's becomes a row of the table; what is one
 * already, and an abort, stay as they are. `name` is the store as the user gave it.
 */
export function diskError(error: unknown, name: string, doing: "read" | "write"): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || error instanceof AetherError || isProgramming(error, errno)) return error;
  const [code, why] = classify(errno, doing);
  return new AetherError(code, `${name}: ${why} (${errno})`, { data: { errno }, cause: error });
}

/** Node's own codes (`ERR_INVALID_ARG_TYPE`, `ABORT_ERR`) are no answers of a disk; SQLite's are. */
function isProgramming(error: unknown, errno: string): boolean {
  const isAbort = error instanceof Error && error.name === "AbortError";
  return isAbort || (errno.startsWith("ERR_") && errno !== "ERR_SQLITE_ERROR");
}

function classify(errno: string, doing: "read" | "write"): [ErrorCode, string] {
  if (FULL.has(errno)) return ["SPACE_EXHAUSTED", "the disk is full: free some space and run it again"];
  if (DENIED.has(errno)) {
    return doing === "write"
      ? ["STORE_UNWRITABLE", "the store may not be written: check the folder's owner and mode"]
      : ["STORE_UNREADABLE", "the store may not be read: check the folder's owner and mode"];
  }
  if (doing === "write" && UNSUPPORTED.has(errno)) {
    return ["FEATURE_UNSUPPORTED", "the file system cannot do what a store needs (hard links, renames)"];
  }
  if (errno === "EMFILE" || errno === "ENFILE") return ["STORE_UNAVAILABLE", "too many files are open"];
  return ["STORE_UNAVAILABLE", `the disk does not ${doing} as it should`];
}
