/** The keys of a bucket in the order of S3: that of their UTF-8 bytes. */
import { compareUtf8 } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import { parseDigest, type Digest } from "../../format/digest.ts";
import { parseTag, type Tag } from "../../format/reference.ts";
import type { Caller, DirectoryNode, EntryNode, SymlinkNode, Tree } from "../../vfs/tree.ts";
import type { VersionName } from "../../vfs/tree-path.ts";
import type { Answer } from "../answers.ts";
import type { Bucket } from "./buckets.ts";
import { etagOf, folderEtagOf } from "./object-headers.ts";

/** An object as a list shows it. */
export interface KeyItem {
  readonly key: string;
  readonly sizeBytes: number;
  /** With its quotes. */
  readonly etag: string;
  /** When it changed, in seconds since 1970. */
  readonly seconds: number;
  /** The version that it was found in; undefined of what stands for a whole tag. */
  readonly version: Digest | undefined;
}

/** The version that a tag is taken to point at, wherever it has moved, as long as that version is there. */
export interface Pin {
  readonly tag: Tag;
  readonly version: Digest;
}

/** What of a bucket is read. */
export interface BucketView {
  readonly tree: Tree;
  readonly caller: Caller;
  readonly bucket: Bucket;
  /** What a list began with that goes on. */
  readonly pin?: Pin | undefined;
  /** Gives turns. */
  readonly answer: Pick<Answer, "turn">;
  readonly signal: AbortSignal;
}

/**
 * Goes through a bucket's keys from one on; memory for about a page of entries. Files are objects, links that lead to a file are that
 * file, and an empty directory is `path/`. `byTag`: of each tag that has not begun yet comes no more than `TAG/`, without a look
 * into its version: enough for a list by "/" from the top.
 */
export class KeyCursor {
  readonly #view: BucketView;
  readonly #byTag: boolean;
  #batches: AsyncGenerator<KeyItem[]>;
  #batch: readonly KeyItem[] = [];
  #index = 0;
  #leap: string | undefined;
  #pin: Pin | undefined;

  constructor(view: BucketView, from: string, { byTag }: { readonly byTag: boolean }) {
    this.#view = view;
    this.#byTag = byTag;
    this.#pin = view.pin;
    this.#batches = bucketKeys({ ...view, isPeek: false }, from, byTag);
  }

  /** The next object, or undefined at the end. Errors: those of Tree.tags, open and entries. */
  async next(): Promise<KeyItem | undefined> {
    for (;;) {
      const item = this.#batch[this.#index];
      if (item === undefined) {
        if (!(await this.#load())) return undefined;
        continue;
      }
      this.#index++;
      if (this.#leap !== undefined && compareUtf8(item.key, this.#leap) < 0) continue;
      this.#leap = undefined;
      this.#pin = pinOf(this.#view.bucket, item) ?? this.#pin;
      return item;
    }
  }

  /** Goes on at the first key that is not before this one. */
  leap(key: string): void {
    this.#leap = key;
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }

  async #load(): Promise<boolean> {
    // What is leapt over ends beyond what is at hand: the pages between are not read. Tags are, in no more than names.
    if (this.#leap !== undefined && this.#batch.length > 0 && !this.#byTag) {
      await this.close();
      const view = { ...this.#view, pin: this.#pin, isPeek: true };
      this.#batches = bucketKeys(view, this.#leap, this.#byTag);
      this.#leap = undefined;
    }
    const next = await this.#view.answer.turn(() => this.#batches.next());
    this.#batch = next.done === true ? [] : next.value;
    this.#index = 0;
    return next.done !== true;
  }
}

/** A view, of which only what comes first may be wanted: the rest is leapt over. */
interface CursorView extends BucketView {
  readonly isPeek: boolean;
}

/** The version that an object was found in, and by which tag; undefined where none stands for it. */
export function pinOf({ tag }: Bucket, { key, version }: Pick<KeyItem, "key" | "version">): Pin | undefined {
  if (version === undefined) return undefined;
  const named = tag ?? versionOf(key.slice(0, key.indexOf("/")))?.tag;
  return named === undefined ? undefined : { tag: named, version };
}

async function openPinned(
  { tree, caller, pin }: BucketView,
  version: VersionName,
  listed: string | undefined,
): Promise<DirectoryNode> {
  if (pin !== undefined && pin.tag === version.tag) {
    try {
      return await tree.open(caller, { ...version, tag: undefined, digest: pin.version }, listed);
    } catch (error) {
      if (codeOf(error) !== "VERSION_NOT_FOUND") throw error;
    }
  }
  return tree.open(caller, version, listed);
}

async function* bucketKeys(view: CursorView, from: string, byTag: boolean): AsyncGenerator<KeyItem[]> {
  const { tree, caller, bucket, isPeek } = view;
  const { name, tag } = bucket;
  if (tag !== undefined) {
    const top = await openPinned(view, { name, tag, digest: undefined }, isPeek ? undefined : from);
    yield* versionKeys(view, top, "", from);
    return;
  }
  const named = from.includes("/") ? versionOf(from.slice(0, from.indexOf("/"))) : undefined;
  const first = named && { name, ...named };
  if (first !== undefined) {
    for await (const batch of taggedKeys(view, first, from)) {
      yield batch;
      if (byTag) break;
    }
    if (first.tag === undefined) return;
  }
  for await (const pointer of tree.tags(caller, name, { after: first?.tag ?? tagBefore(from) })) {
    const base = `${pointer.tag}/`;
    if (compareUtf8(base, from) < 0) continue;
    if (byTag) yield [markerOf(base, 0)];
    else yield* taggedKeys(view, { name, tag: pointer.tag, digest: undefined }, base);
  }
}

/** The version that the first segment of a key names: by a tag, or by a digest, which no list shows. */
function versionOf(text: string): Omit<VersionName, "name"> | undefined {
  try {
    if (text.includes(":")) return { tag: undefined, digest: parseDigest(text) };
    return { tag: parseTag(text), digest: undefined };
  } catch {
    return undefined;
  }
}

/** A tag, be it there or not, after which come all whose `TAG/` is not before the key, or undefined: all may. */
function tagBefore(from: string): Tag | undefined {
  let length = from.length;
  while (length > 0 && from.slice(length - 1, length) <= "/") length--;
  try {
    return length <= 1 ? undefined : parseTag(from.slice(0, length - 1));
  } catch {
    return undefined;
  }
}

async function* taggedKeys(view: CursorView, version: VersionName, from: string): AsyncGenerator<KeyItem[]> {
  const base = from.slice(0, from.indexOf("/") + 1);
  const listed = view.isPeek ? undefined : from.slice(base.length);
  let top: DirectoryNode;
  try {
    top = await openPinned(view, version, listed);
  } catch (error) {
    const code = codeOf(error);
    if (code === "TAG_NOT_FOUND" || code === "VERSION_NOT_FOUND") return;
    throw error;
  }
  const { files, directories, symlinks } = top.version.root;
  const isEmpty = files + directories + symlinks === 0;
  if (!isEmpty) yield* versionKeys(view, top, base, from);
  else if (from === base) yield [markerOf(base, 0)];
}

/** The keys of a version that are not before `from`, which begins with `base`. */
async function* versionKeys(
  { tree, isPeek, signal }: CursorView,
  top: DirectoryNode,
  base: string,
  from: string,
): AsyncGenerator<KeyItem[]> {
  const path = from.slice(base.length);
  const folders = await Folders.before(tree, top, path);
  const options = { from: path === "" ? undefined : path, isPeek, signal };
  for await (const batch of tree.entries(top, options)) {
    const items: KeyItem[] = [];
    for (const node of batch) {
      items.push(...folders.passing(node.entry.path).map(({ entry }) => markerIn(top, base, entry)));
      if (node.kind === "directory") folders.enter(node);
      else items.push(...(await fileItem(tree, top, base, node)));
    }
    if (items.length > 0) yield items;
    // Nothing of it may be an object, and no page wait for its bytes: others get their turn.
    else await new Promise(setImmediate);
  }
  const rest = folders.passing(undefined).map(({ entry }) => markerIn(top, base, entry));
  if (rest.length > 0) yield rest;
}

type FolderNode = Extract<EntryNode, { readonly kind: "directory" }>;

/**
 * Directories whose `path/` has not come yet, since what follows them directly may stand before it (`a`, `a-b`, `a/`). Each path begins
 * with the one before it.
 */
class Folders {
  readonly #waiting: FolderNode[] = [];

  /** Those that stand before `path` and whose `path/` does not. */
  static async before(tree: Tree, top: DirectoryNode, path: string): Promise<Folders> {
    const folders = new Folders();
    for (let end = 1; end <= path.length; end++) {
      const follows = path.charAt(end);
      if (follows === "" || follows > "/" || (follows === "/" && end < path.length - 1)) continue;
      const prefix = path.slice(0, end);
      const node = await firstFrom(tree, top, prefix);
      if (node?.entry.path.startsWith(prefix) !== true) break;
      if (node.kind === "directory" && node.entry.path === prefix) folders.enter(node);
    }
    return folders;
  }

  enter(node: FolderNode): void {
    this.#waiting.push(node);
  }

  /** The empty ones whose `path/` comes before the entry at `path`, in order; undefined: those that are left. */
  passing(path: string | undefined): FolderNode[] {
    const empty: FolderNode[] = [];
    for (let last = this.#waiting.at(-1); last !== undefined; last = this.#waiting.at(-1)) {
      const key = `${last.path}/`;
      if (path !== undefined && compareUtf8(key, path) > 0) break;
      this.#waiting.pop();
      if (path?.startsWith(key) !== true) empty.push(last);
    }
    return empty;
  }
}

async function firstFrom(tree: Tree, top: DirectoryNode, from: string): Promise<EntryNode | undefined> {
  for await (const [first] of tree.entries(top, { from, isPeek: true })) return first;
  return undefined;
}

async function fileItem(
  tree: Tree,
  top: DirectoryNode,
  base: string,
  node: Exclude<EntryNode, FolderNode>,
): Promise<KeyItem[]> {
  const file = node.kind === "file" ? node : await followed(tree, top, node);
  if (file === undefined) return [];
  const { size, digest, mtime } = file.entry;
  return [
    {
      ...{ key: `${base}${node.entry.path}`, sizeBytes: size, etag: etagOf(digest), seconds: mtime.seconds },
      version: top.version.digest,
    },
  ];
}

/** The file that a link leads to. */
async function followed(tree: Tree, top: DirectoryNode, { entry }: SymlinkNode) {
  try {
    const found = await tree.lookIn(top, entry.path);
    return found.kind === "file" ? found : undefined;
  } catch (error) {
    if (codeOf(error) === "PATH_NOT_FOUND") return undefined;
    throw error;
  }
}

function markerIn({ version }: DirectoryNode, base: string, { path, mtime }: FolderNode["entry"]): KeyItem {
  return { ...markerOf(`${base}${path}/`, mtime.seconds), version: version.digest };
}

function markerOf(key: string, seconds: number): KeyItem {
  return { key, sizeBytes: 0, etag: folderEtagOf(key), seconds, version: undefined };
}
