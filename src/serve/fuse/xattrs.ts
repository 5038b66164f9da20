/** What extended attributes tell of a file system's nodes. */
import { formatDigest } from "../../format/digest.ts";
import type { TreeNode } from "../../vfs/tree.ts";
import { XATTR_PREFIX } from "./protocol.ts";

/** The attributes by their names. `reference`: as what was mounted was named. */
export function xattrsOf({ kind, entry, version }: TreeNode, reference: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  // Of a link only what is trusted or about security may be told: xattr(7).
  if (kind === "symlink") return attributes;
  if (kind === "file") attributes.set(`${XATTR_PREFIX}digest`, formatDigest(entry.digest));
  attributes.set(`${XATTR_PREFIX}version`, formatDigest(version.digest));
  attributes.set(`${XATTR_PREFIX}ref`, reference);
  return attributes;
}
