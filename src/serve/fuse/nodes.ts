import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import type { FileTime } from "../../format/entry.ts";
import type { EntryNode, TreeNode } from "../../vfs/tree.ts";
import type { Attributes } from "./answers.ts";
import { ROOT_ID, type Forgotten } from "./protocol.ts";

/** Files from this size on may be worth a copy that the kernel reads by itself. */
const LARGE_BYTES = MiB;
/** Where the numbers of their nodes begin, so that these tell. */
export const LARGE_ID = 2 ** 40;

/** Nodes that are looked at for some to turn. */
const SEEN_MAX = 16;

/** Something that the kernel knows by a number. */
export interface Node {
  readonly id: number;
  readonly key: string;
  /** Of the folder and the name where it was found last. */
  parent: number;
  name: string;
  /** The same content and attributes, found in the newest of the versions that have it. */
  entry: TreeNode;
  /** `st_ino` */
  readonly inode: readonly [number, number];
  /** How often the kernel was given it, and has not forgotten it. */
  lookups: number;
}

/**
 * Everything that the kernel knows by a number, which is never given twice. A folder of another version is another node; a
 * file or link that is the same in both is one: what the kernel keeps of its content holds on.
 */
export class Nodes {
  readonly #byId = new Map<number, Node>();
  readonly #byKey = new Map<string, Node>();
  readonly root: Node;
  #last = ROOT_ID;

  constructor(top: TreeNode) {
    const at = { id: ROOT_ID, key: "", parent: ROOT_ID, name: "", inode: [1, 0] } as const;
    this.root = { ...at, entry: top, lookups: 1 };
    this.#byId.set(ROOT_ID, this.root);
  }

  /** How many there are. */
  get size(): number {
    return this.#byId.size;
  }

  /** The node with this number; undefined: the kernel was never given it, or has forgotten it. */
  get(id: number): Node | undefined {
    return this.#byId.get(id);
  }

  /** The node of something in a folder, which the kernel will know once more. */
  give(parent: Node, name: string, entry: EntryNode): Node {
    const key = keyOf(entry);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.parent = parent.id;
      known.name = name;
      known.entry = entry;
      known.lookups++;
      return known;
    }
    const { path } = entry.entry;
    const isLarge = entry.kind === "file" && entry.entry.size >= LARGE_BYTES;
    const node = {
      ...{ id: ++this.#last + (isLarge ? LARGE_ID : 0), key, parent: parent.id, name },
      ...{ entry, inode: inodeOf(path), lookups: 1 },
    };
    this.#byId.set(node.id, node);
    this.#byKey.set(key, node);
    return node;
  }

  /** Takes back what the kernel has forgotten. */
  forget({ node: id, lookups }: Forgotten): void {
    const node = this.#byId.get(id);
    if (node === undefined || id === ROOT_ID) return;
    node.lookups -= lookups;
    if (node.lookups > 0) return;
    this.#byId.delete(id);
    this.#byKey.delete(node.key);
  }

  /**
   * At most as many of the nodes that were given first, each of which now counts as given last. Folders only if `withFolders`: the kernel
   * takes the path from who is in one that it is to forget.
   */
  turn(count: number, withFolders: boolean): readonly Node[] {
    const turned: Node[] = [];
    const seen: Node[] = [];
    for (const node of this.#byId.values()) {
      if (turned.length === count || seen.length === SEEN_MAX) break;
      if (node.id === ROOT_ID) continue;
      seen.push(node);
      if (withFolders || node.entry.kind !== "directory") turned.push(node);
    }
    for (const node of seen) {
      this.#byId.delete(node.id);
      this.#byId.set(node.id, node);
    }
    return turned;
  }

  /** What lies in a folder, as far as the kernel knows it. */
  *within(parent: number): Generator<Node> {
    for (const node of this.#byId.values()) if (node.parent === parent && node.id !== ROOT_ID) yield node;
  }
}

/** What a file or link is, or which folder of which version. */
function keyOf({ kind, version, entry }: EntryNode): string {
  if (kind === "directory") return `${version.digest}/${entry.path}`;
  const { path, mode, mtime } = entry;
  const content =
    entry.kind === "file" ? `${entry.size}:${entry.digest}` : `>${must(entry.target, "it is a link")}`;
  return `${mode}:${mtime.seconds}.${mtime.nanos}:${content}\0${path}`;
}

/** FNV-1a's prime and offset; the other half begins elsewhere. */
const PRIME = 16_777_619;
const OFFSETS = [2_166_136_261, 3_735_928_559] as const;

/** A number for a path: the same whenever and wherever it is mounted. Two of ten million paths have the same once in 300,000 times. */
export function inodeOf(path: string): readonly [number, number] {
  let [low, high]: [number, number] = [...OFFSETS];
  for (let index = 0; index < path.length; index++) {
    const unit = path.charCodeAt(index);
    low = Math.imul(low ^ unit, PRIME);
    high = Math.imul(high ^ (unit + (low >>> 17)), PRIME);
  }
  return [low >>> 0, (high >>> 0) | 1];
}

/** What the kernel is told of a node; `topTime`: the time of a version's top, which has none of its own. */
export function attributesOf({ id, inode, entry: { kind, entry } }: Node, topTime: FileTime): Attributes {
  if (entry === undefined) {
    return { node: id, kind, inode, mode: 0o755, size: 0, mtime: topTime };
  }
  const { mode, mtime } = entry;
  const size =
    entry.kind === "file" ? entry.size : entry.kind === "symlink" ? Buffer.byteLength(entry.target) : 0;
  return { node: id, kind, inode, mode, size, mtime };
}
