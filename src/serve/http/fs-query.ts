/** What the query of a request under /fs asks for. */
import { AetherError } from "../../base/errors.ts";

/** Forms that a folder can be had in as one file. */
export const ARCHIVE_KINDS = ["tar", "tar.zst", "zip"] as const;
export type ArchiveKind = (typeof ARCHIVE_KINDS)[number];

const LIMIT_MAX = 1_000_000;

/** All is optional; what else a query has is not looked at. */
export interface FsQuery {
  /** The name to save the content under; "" is its own. */
  readonly download?: string | undefined;
  readonly archive?: ArchiveKind | undefined;
  /** A part of a list: the name after which it begins, and how many items it has at most. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

const NOTHING: FsQuery = {};

/** The query of a request's target. Errors: ARGUMENT_INVALID. */
export function parseFsQuery(target: string): FsQuery {
  const at = target.indexOf("?");
  if (at === -1) return NOTHING;
  const words = new URLSearchParams(target.slice(at + 1));
  const archive = words.get("archive");
  const kind = ARCHIVE_KINDS.find((each) => each === archive);
  if (archive !== null && kind === undefined) {
    throw new AetherError("ARGUMENT_INVALID", `archive is one of ${ARCHIVE_KINDS.join(", ")}`);
  }
  return {
    download: words.get("download") ?? undefined,
    archive: kind,
    after: words.get("after") ?? undefined,
    limit: limitOf(words.get("limit")),
  };
}

function limitOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const limit = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new AetherError("ARGUMENT_INVALID", `limit is a number from 1 to ${LIMIT_MAX}`);
}
