/** Builds the trees of pages of a manifest, streaming. docs/format.md §6.4 */
import { assert } from "../base/assert.ts";
import { digestOf, type Digest } from "./digest.ts";
import type { FileTime } from "./entry.ts";
import {
  PAGE_ITEMS_MAX,
  TREE_LEVELS_MAX,
  encodeChunkPage,
  encodeEntryPage,
  encodeInnerPage,
  encodeTimePage,
  type ChildItem,
  type ChunkItem,
  type EncodedPage,
  type TimelessEntry,
  type TreeKind,
} from "./page.ts";

/** A tree as the root names it: its one page on top. */
export interface TreeRef {
  readonly digest: Digest;
  /** Of the top page: 0 when it is a leaf. */
  readonly level: number;
  /** Items of level 0. */
  readonly items: number;
}

/** Where a page of one level of a tree ends. docs/format.md §6.4 has the table. */
interface PageRule {
  /** No end before this many items. */
  readonly itemsMin: number;
  /** After that an end where the item's hash has these bits zero. */
  readonly mask: number;
  /** An end once the items' weights reach this. */
  readonly weightMax: number;
}

const WEIGHT_MAX = 32 * 1024;
const LEAF_RULES: Record<TreeKind, PageRule> = {
  entries: { itemsMin: 16, mask: 63, weightMax: WEIGHT_MAX },
  times: { itemsMin: 256, mask: 1023, weightMax: WEIGHT_MAX },
  chunks: { itemsMin: 64, mask: 127, weightMax: WEIGHT_MAX },
};
const INNER_RULES: Record<TreeKind, PageRule> = {
  entries: { itemsMin: 16, mask: 63, weightMax: WEIGHT_MAX },
  times: { itemsMin: 64, mask: 127, weightMax: WEIGHT_MAX },
  chunks: { itemsMin: 64, mask: 127, weightMax: WEIGHT_MAX },
};
/** Weights: about the encoded bytes of an item, the paths counted whole. */
const ENTRY_WEIGHT = 48;
const TIME_WEIGHT = 8;
const CHUNK_WEIGHT = 40;
const CHILD_WEIGHT = 48;

/** The items of one page to be. */
class Level<T> {
  readonly #rule: PageRule;
  #items: T[] = [];
  #weight = 0;
  /** Pages that this level closed. */
  closed = 0;

  constructor(rule: PageRule) {
    this.#rule = rule;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Adds an item; true when the page ends after it. */
  add(item: T, hash: number, weight: number): boolean {
    this.#items.push(item);
    this.#weight += weight;
    const count = this.#items.length;
    if (this.#weight >= this.#rule.weightMax || count === PAGE_ITEMS_MAX) return true;
    return count >= this.#rule.itemsMin && (hash & this.#rule.mask) === 0;
  }

  take(): T[] {
    const items = this.#items;
    this.#items = [];
    this.#weight = 0;
    this.closed++;
    return items;
  }
}

/**
 * The levels above the leaves, of any tree: leaves come in by `child`. Pages go out through `emit`, children before
 * their parents.
 */
class InnerLevels {
  readonly #kind: TreeKind;
  readonly #emit: (page: EncodedPage) => void;
  readonly #levels: Level<ChildItem>[] = [];

  constructor(kind: TreeKind, emit: (page: EncodedPage) => void) {
    this.#kind = kind;
    this.#emit = emit;
  }

  child(level: number, child: ChildItem): void {
    assert(level <= TREE_LEVELS_MAX, "a tree has no more than TREE_LEVELS_MAX levels");
    const index = level - 1;
    const target = (this.#levels[index] ??= new Level<ChildItem>(INNER_RULES[this.#kind]));
    const hash = Number.parseInt(child.digest.slice(0, 8), 16);
    const weight = CHILD_WEIGHT + Buffer.byteLength(child.firstPath);
    if (target.add(child, hash, weight)) this.#close(level, target);
  }

  #close(level: number, target: Level<ChildItem>): ChildItem {
    const children = target.take();
    const bytes = encodeInnerPage(this.#kind, level, children);
    const digest = digestOf(bytes);
    this.#emit({ kind: this.#kind, level, digest, bytes });
    const parent = summarize(digest, children);
    this.child(level + 1, parent);
    return parent;
  }

  /** Closes what is open, bottom up, until one page stands on top. `leaf` is the tree's only leaf, if it has one. */
  finish(): { readonly top: ChildItem; readonly level: number } {
    for (let level = 1; ; level++) {
      const target = this.#levels[level - 1];
      assert(target !== undefined, "every level below the top has a parent level");
      if (target.closed === 0) {
        const children = target.take();
        if (children.length === 1 && children[0] !== undefined) return { top: children[0], level: level - 1 };
        const bytes = encodeInnerPage(this.#kind, level, children);
        const digest = digestOf(bytes);
        this.#emit({ kind: this.#kind, level, digest, bytes });
        return { top: summarize(digest, children), level };
      }
      if (!target.isEmpty) this.#close(level, target);
    }
  }
}

function summarize(digest: Digest, children: readonly ChildItem[]): ChildItem {
  let items = 0;
  let bytes = 0;
  for (const child of children) {
    items += child.items;
    bytes += child.bytes;
  }
  return { digest, items, bytes, firstPath: children[0]?.firstPath ?? "" };
}

/** Builds one tree from its items in order. */
class TreeBuilder<T> {
  readonly #kind: TreeKind;
  readonly #emit: (page: EncodedPage) => void;
  readonly #encode: (items: readonly T[]) => Uint8Array;
  readonly #leaf: Level<T>;
  readonly #inner: InnerLevels;
  #leafBytes = 0;
  #leafFirstPath = "";
  #items = 0;

  constructor(
    kind: TreeKind,
    encodeLeaf: (items: readonly T[]) => Uint8Array,
    emit: (page: EncodedPage) => void,
  ) {
    this.#kind = kind;
    this.#emit = emit;
    this.#encode = encodeLeaf;
    this.#leaf = new Level<T>(LEAF_RULES[kind]);
    this.#inner = new InnerLevels(kind, emit);
  }

  add(item: T, hash: number, weight: number, bytes: number, path: string): void {
    if (this.#leaf.isEmpty) this.#leafFirstPath = path;
    this.#leafBytes += bytes;
    this.#items++;
    if (this.#leaf.add(item, hash, weight)) this.#closeLeaf();
  }

  finish(): TreeRef | undefined {
    if (this.#items === 0) return undefined;
    if (!this.#leaf.isEmpty) this.#closeLeaf();
    const { top, level } = this.#inner.finish();
    return { digest: top.digest, level, items: this.#items };
  }

  #closeLeaf(): void {
    const items = this.#leaf.take();
    const bytes = this.#encode(items);
    const digest = digestOf(bytes);
    this.#emit({ kind: this.#kind, level: 0, digest, bytes });
    const child = { digest, items: items.length, bytes: this.#leafBytes, firstPath: this.#leafFirstPath };
    this.#leafBytes = 0;
    this.#inner.child(1, child);
  }
}

/** FNV-1a over a path's UTF-8 bytes with murmur3's finish: where pages of entries and times end. §6.4 */
export function pathHash(path: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(path)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Builds the entries tree and the times tree side by side, from entries in byte order of path. */
export class EntryTreesBuilder {
  readonly #entries: TreeBuilder<TimelessEntry>;
  readonly #times: TreeBuilder<FileTime>;

  /** `emit` gets each page as it ends, children before parents. */
  constructor(emit: (page: EncodedPage) => void) {
    this.#entries = new TreeBuilder("entries", encodeEntryPage, emit);
    this.#times = new TreeBuilder("times", encodeTimePage, emit);
  }

  /** Takes the next entry; the order is the caller's to keep (EntrySequence). */
  add(entry: TimelessEntry, mtime: FileTime): void {
    const hash = pathHash(entry.path);
    const targetBytes = entry.kind === "symlink" ? Buffer.byteLength(entry.target) : 0;
    const weight = ENTRY_WEIGHT + Buffer.byteLength(entry.path) + targetBytes;
    this.#entries.add(entry, hash, weight, entry.kind === "file" ? entry.size : 0, entry.path);
    this.#times.add(mtime, hash, TIME_WEIGHT, 0, "");
  }

  /** The finished trees, or undefined when there was no entry. */
  finish(): { readonly entries: TreeRef | undefined; readonly times: TreeRef | undefined } {
    return { entries: this.#entries.finish(), times: this.#times.finish() };
  }
}

/** Builds the chunks tree from the stream's chunks in order. */
export class ChunkTreeBuilder {
  readonly #chunks: TreeBuilder<ChunkItem>;

  /** `emit` gets each page as it ends, children before parents. */
  constructor(emit: (page: EncodedPage) => void) {
    this.#chunks = new TreeBuilder("chunks", encodeChunkPage, emit);
  }

  add(chunk: ChunkItem): void {
    const hash = Number.parseInt(chunk.digest.slice(0, 8), 16);
    this.#chunks.add(chunk, hash, CHUNK_WEIGHT, chunk.length, "");
  }

  finish(): TreeRef | undefined {
    return this.#chunks.finish();
  }
}
