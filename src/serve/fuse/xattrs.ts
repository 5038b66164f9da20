/** What extended attributes tell of a file system's nodes. */
import { formatDigest } from "../../format/digest.ts";
import type { TreeNode } from "../../vfs/tree.ts";

/** The attributes by their names. `reference`: as what was mounted was named. */
export function xattrsOf({ kind, entry, version }: TreeNode, reference: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  // Of a link only what is trusted or about security may be told: xattr(7).
  if (kind === "symlink") return attributes;
  if (kind === "file") attributes.set("user.aetherfs.digest", formatDigest(entry.digest));
  attributes.set("user.aetherfs.version", formatDigest(version.digest));
  attributes.set("user.aetherfs.ref", reference);
  return attributes;
}
