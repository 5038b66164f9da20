/** Trees of files for tests, as values. */
import { must } from "../../base/assert.ts";
import { compareUtf8, concatBytes } from "../../base/bytes.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { cutReference } from "../../format/chunker-reference.ts";
import { digestOf } from "../../format/digest.ts";
import type { Entry, FileTime } from "../../format/entry.ts";
import { Segmenter } from "../../format/segment.ts";

/** A file by its bytes, a symlink by its target, or a folder. */
export type TreeNode = (
  { readonly bytes: Uint8Array | string } | { readonly target: string } | { readonly folder: true }
) & { readonly mode?: number; readonly mtime?: FileTime };

/** Path → node. Parents that are not named are folders of mode 0o755. */
export type Tree = Readonly<Record<string, TreeNode>>;

const TIME: FileTime = { seconds: 1_700_000_000, nanos: 0 };

/** The bytes of a file's node; none of another's. */
export function bytesOf(node: TreeNode | undefined): Uint8Array {
  return node !== undefined && "bytes" in node ? Buffer.from(node.bytes) : new Uint8Array(0);
}

/** The tree's entries in byte order of path, parents added. */
export function entriesOf(tree: Tree): Entry[] {
  const nodes = new Map<string, TreeNode>(Object.entries(tree));
  for (const path of Object.keys(tree)) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      if (!nodes.has(parent)) nodes.set(parent, { folder: true });
    }
  }
  return [...nodes].sort(([a], [b]) => compareUtf8(a, b)).map(([path, node]) => entryOf(path, node));
}

/** One entry, as the walk of a folder would give it. */
export function entryOf(path: string, node: TreeNode): Entry {
  const mtime = node.mtime ?? TIME;
  if ("target" in node) return { path, mtime, kind: "symlink", mode: 0o777, target: node.target };
  if ("folder" in node) return { path, mtime, kind: "directory", mode: node.mode ?? 0o755 };
  const bytes = bytesOf(node);
  return {
    path,
    mtime,
    kind: "file",
    mode: node.mode ?? 0o644,
    size: bytes.byteLength,
    digest: digestOf(bytes),
  };
}

/** The chunks of the entries' stream, cut as a push cuts them. */
export function chunksOf(entries: readonly Entry[], tree: Tree, chunking: ChunkingParameters): Uint8Array[] {
  const segmenter = new Segmenter(chunking.averageBytes);
  const segments: Uint8Array[][] = [];
  for (const entry of entries) {
    if (entry.kind !== "file" || entry.size === 0) continue;
    if (segmenter.next(entry.path, entry.size)) segments.push([]);
    must(segments.at(-1), "the first file begins a segment").push(bytesOf(tree[entry.path]));
  }
  return segments.flatMap((parts) => {
    const bytes = concatBytes(parts);
    let start = 0;
    return cutReference(chunking, bytes).map((end) => {
      const chunk = bytes.subarray(start, end);
      start = end;
      return chunk;
    });
  });
}
