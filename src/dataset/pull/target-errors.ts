import { AetherError, errnoOf } from "../../base/errors.ts";

const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const IN_THE_WAY: ReadonlySet<string> = new Set(["ENOTDIR", "EEXIST"]);

/**
 * The table's error for a failure of the file system at `path` of a target folder, or, where that is "", at the folder
 * itself, which messages call `target`; any other error as it is.
 */
export function targetError(error: unknown, path: string, target = "the target folder"): unknown {
  const errno = errnoOf(error);
  // Node's own codes (ERR_INVALID_ARG_TYPE) are no answers of a file system.
  if (error instanceof AetherError || errno === undefined || errno.startsWith("ERR_")) return error;
  const shown = path === "" ? target : `${JSON.stringify(path)} in ${target}`;
  const data = { path: path === "" ? target : path, errno };
  if (FULL.has(errno)) {
    const message = `no space is left to write ${shown}: free some and pull again, what has arrived is kept`;
    return new AetherError("SPACE_EXHAUSTED", message, { data, cause: error });
  }
  const why = path === "" && IN_THE_WAY.has(errno) ? "something that is no folder is in its way, " : "";
  return new AetherError("TARGET_UNWRITABLE", `${shown} cannot be written (${why}${errno})`, {
    data,
    cause: error,
  });
}
