/** Holds an archive's members to what a dataset can hold, whatever the archive's format. */
import { AetherError, type ErrorCode } from "../../../base/errors.ts";
import { SECONDS_MAX, TARGET_BYTES_MAX, pathFault } from "../../../format/entry.ts";
import type { PathFilter } from "../../path-filter.ts";
import { STAGING_NAME } from "../../pull/staging.ts";
import type { ReportSkip } from "../walk.ts";
import type { ArchiveIndex } from "./archive-index.ts";
import type { CatalogEntry } from "./catalog.ts";

/** A member as the archive has it: its path may be "./a/" for "a", and may be anything else too. */
export type Member = Omit<CatalogEntry, "kind"> & { readonly kind: CatalogEntry["kind"] | "link" };

const NANOS = 1_000_000_000n;
/** What `lstat` says of a symlink on Linux, whatever an archive says. */
const SYMLINK_MODE = 0o777;

/** Takes members on their way into the index. */
export class Members {
  readonly #index: ArchiveIndex;
  readonly #filter: PathFilter;
  readonly #skip: ReportSkip;

  /** `skip` hears of what cannot be held and is not excluded; it may throw. */
  constructor(index: ArchiveIndex, filter: PathFilter, skip: ReportSkip) {
    this.#index = index;
    this.#filter = filter;
    this.#skip = skip;
  }

  /** Adds a member; one that a dataset cannot hold is refused as in refuse(). Errors: those of ArchiveIndex.add. */
  add(member: Member): void {
    const path = tidyPath(member.path, member.kind === "directory");
    // The archive's root has no entry.
    if (path === "") return;
    const fault = pathFault(path);
    if (fault !== undefined) {
      this.#report("PATH_INVALID", member.path, fault);
      return;
    }
    if (path === STAGING_NAME || path.startsWith(`${STAGING_NAME}/`)) return;
    const seconds = member.mtimeNs / NANOS;
    const late = seconds > SECONDS_MAX || seconds < -SECONDS_MAX;
    if (late) this.refuse(path, "its time of change is out of range");
    else if (member.kind === "link") this.#addLink(path, member);
    else if (member.kind !== "symlink") this.#index.add({ ...member, kind: member.kind, path });
    else {
      const targetFault = faultOf(member.target);
      if (targetFault !== undefined) this.refuse(path, targetFault);
      else this.#index.add({ ...member, kind: "symlink", path, mode: SYMLINK_MODE });
    }
  }

  /** Tells of a member that cannot be held, with the reason, unless it is excluded. Errors: what `skip` throws. */
  refuse(path: string, reason: string): void {
    this.#report("SOURCE_UNSUPPORTED", path, reason);
  }

  #addLink(path: string, member: Member): void {
    const target = this.#index.find(tidyPath(member.target, false));
    if (target?.kind !== "file") {
      this.refuse(
        path,
        `it is a hard link to ${JSON.stringify(member.target)}, no file before it in the archive`,
      );
      return;
    }
    const { size, offset } = target;
    this.#index.add({ ...member, kind: "file", target: "", path, size, offset });
  }

  #report(code: ErrorCode, path: string, reason: string): void {
    if (this.#filter.isExcluded(path, false)) return;
    const shown = path.slice(0, 200);
    const message = `${JSON.stringify(shown)} of the archive cannot be in a dataset: ${reason}; exclude it, or give --skip-unreadable`;
    this.#skip(shown, new AetherError(code, message, { data: { path: shown } }));
  }
}

function faultOf(target: string): string | undefined {
  if (target === "" || target.includes("\0"))
    return "it is a symbolic link whose target is empty or has a NUL";
  if (Buffer.byteLength(target) <= TARGET_BYTES_MAX) return undefined;
  return `its target has more than ${TARGET_BYTES_MAX} bytes`;
}

/** Without "./" in front and, of a folder, "/" at the end; "" for the root. What is absolute stays so. */
function tidyPath(path: string, isDirectory: boolean): string {
  let start = 0;
  while (path.startsWith("./", start)) {
    start += 2;
    while (path[start] === "/") start++;
  }
  let end = path.length;
  while (isDirectory && end > start && path[end - 1] === "/") end--;
  const tidy = path.slice(start, end);
  if (tidy === "." || (tidy === "" && start > 0)) return "";
  return tidy === "" ? "/" : tidy;
}
