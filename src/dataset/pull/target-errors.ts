import { AetherError, errnoOf, type ErrorCode } from "../../base/errors.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "SPACE_EXHAUSTED",
  EDQUOT: "SPACE_EXHAUSTED",
  EACCES: "TARGET_UNWRITABLE",
  EPERM: "TARGET_UNWRITABLE",
  EROFS: "TARGET_UNWRITABLE",
  ENOTDIR: "TARGET_UNWRITABLE",
  EISDIR: "TARGET_UNWRITABLE",
  EEXIST: "TARGET_UNWRITABLE",
  ENOENT: "TARGET_UNWRITABLE",
  ENOTEMPTY: "TARGET_UNWRITABLE",
  EBUSY: "TARGET_UNWRITABLE",
  ELOOP: "TARGET_UNWRITABLE",
  ENAMETOOLONG: "TARGET_UNWRITABLE",
  EFBIG: "TARGET_UNWRITABLE",
  ETXTBSY: "TARGET_UNWRITABLE",
};

/** The table's error for a failure of the file system at `path` of the target folder; any other error as it is. */
export function targetError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  const code = errno === undefined ? undefined : CODES[errno];
  if (error instanceof AetherError || errno === undefined || code === undefined) return error;
  const shown = path === "" ? "the folder" : JSON.stringify(path);
  const message =
    code === "SPACE_EXHAUSTED"
      ? `no space is left to write ${shown}: free some and pull again, what has arrived is kept`
      : `${shown} cannot be written in the target folder (${errno})`;
  return new AetherError(code, message, { data: { path, errno }, cause: error });
}
