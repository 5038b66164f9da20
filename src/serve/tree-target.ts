/** What the path of a request names, where an interface shows the tree as paths. */
import { AetherError } from "../base/errors.ts";
import { parseTreePath, type TreePath } from "../vfs/tree-path.ts";

/** A place in the tree. */
export interface TreeTarget {
  /** The path's first segment: the interface's own name. */
  readonly base: string;
  /** The others, decoded. */
  readonly segments: readonly string[];
  readonly place: TreePath;
  /** The path ends with a slash. */
  readonly isFolder: boolean;
}

/**
 * `/BASE/[@scope/]name/TAG/path`, where a digest (`sha256:…`) may stand for the tag; the query is not looked at.
 * Errors: PATH_INVALID, REFERENCE_INVALID.
 */
export function parseTreeTarget(target: string): TreeTarget {
  const [path = ""] = target.split("?", 1);
  const [, base = "", ...below] = path.split("/").map(decodeSegment);
  const last = below.at(-1);
  const isFolder = last === "" || last === ".";
  // Means nothing (RFC 3986 §5.2.4), and rclone writes it before names with a colon.
  const segments = (isFolder ? below.slice(0, -1) : below).filter((segment) => segment !== ".");
  return { base, segments, place: parseTreePath(segments), isFolder };
}

/** RFC 3986 §2.1, in UTF-8. A slash that is written %2F would be one more segment. */
function decodeSegment(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (cause) {
    throw new AetherError("PATH_INVALID", "the path is not percent-encoded UTF-8", { cause });
  }
  if (text.includes("/")) throw new AetherError("PATH_INVALID", "a segment of the path holds a slash");
  return text;
}

/** A path, each of its segments percent-encoded. */
export function encodeSegments(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/**
 * A path as it stands in a relative reference. After "./" where its first segment has a colon: clients that decode it would take what is
 * before for a scheme. RFC 3986 §4.2
 */
export function encodePath(path: string): string {
  const [first = ""] = path.split("/", 1);
  return `${first.includes(":") ? "./" : ""}${encodeSegments(path)}`;
}
