/** One read-only tree over datasets, behind every file interface: [@scope/]name, then a tag or digest, then files. */
import type { ByteRange } from "../base/byte-range.ts";
import { codeOf } from "../base/errors.ts";
import { KiB } from "../base/limits.ts";
import type { WaitOptions } from "../base/shared-call.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import type { ReadEngine } from "../dataset/engine.ts";
import type { PieceFigures } from "../dataset/read/piece-cache.ts";
import { SMALL_FILE_BYTES_MAX, SmallFiles } from "../dataset/read/small-files.ts";
import { StreamReader, type HeldRange, type StreamReaderOptions } from "../dataset/read/stream-reader.ts";
import type { OnLikely } from "../dataset/tag-head.ts";
import {
  entries,
  expectEntries,
  findEntry,
  findEntryAt,
  listFolder,
  type EntriesOptions,
  type PlacedEntry,
} from "../dataset/version/entries.ts";
import { LoadingCache } from "../dataset/version/loading-cache.ts";
import type { PageKeeper } from "../dataset/version/page-source.ts";
import type { Version } from "../dataset/version/version.ts";
import type { Digest } from "../format/digest.ts";
import type { DirectoryEntry, Entry, FileEntry, SymlinkEntry } from "../format/entry.ts";
import type { HistoryRecord, TagOpening } from "../format/record.ts";
import { scopeOf, type DatasetName, type Tag } from "../format/reference.ts";
import type { NamesOptions } from "../store/dataset-store.ts";
import { isNameAfter } from "../store/keys.ts";
import type { Catalog } from "./catalog.ts";
import { findFollowing } from "./follow.ts";
import { OpenVersions } from "./open-versions.ts";
import { ReadPatterns } from "./read-patterns.ts";
import type { VersionName, VersionPath } from "./tree-path.ts";

/** What is fetched of a range before it is certain that it will be read. */
const SOON_BYTES_MAX = 64 * KiB;
/** Shares of the engine's memory: small files, and where files were found in their versions. */
const SMALL_FILES_SHARE = 1 / 32;
const FOUND_SHARE = 1 / 128;
/** So many look-ups, which memory may have answered, and all else gets its turn: they take some milliseconds. */
const LOOKS_PER_TURN = 32;
/** What a place that was found takes besides paths. */
const FOUND_COST_BYTES = 600;

/** Who looks at the tree. */
export interface Caller {
  /** Whether it may see that the dataset exists, or read it. Errors: ACCESS_DENIED. */
  check(action: "list" | "read", name: DatasetName): Promise<void>;
}

/** What every node of a version says: the version stays the one that was found, wherever its tag moves. */
interface NodeBase extends VersionName {
  readonly version: Version;
}

/** A directory; the version's top has no entry. */
export interface DirectoryNode extends NodeBase {
  readonly kind: "directory";
  /** "" is the top; links on the way here are followed. */
  readonly path: string;
  readonly entry: DirectoryEntry | undefined;
}

/** A file, and where its bytes begin in the version's stream. */
export interface FileNode extends NodeBase {
  readonly kind: "file";
  readonly entry: FileEntry;
  readonly start: number;
}

/** A symbolic link, not followed. */
export interface SymlinkNode extends NodeBase {
  readonly kind: "symlink";
  readonly entry: SymlinkEntry;
}

/** Something in a version. */
export type TreeNode = DirectoryNode | FileNode | SymlinkNode;

/** The same, but no version's top; `index` entries of the version stand before it. */
export type EntryNode = TreeNode & { readonly entry: Entry; readonly index: number };

/** Where the path of a request led in a version; undefined: to its top. */
interface Found {
  readonly path: string;
  readonly placed: PlacedEntry | undefined;
}

/** Options of Tree.list: the path of an entry of the directory to begin after. */
export interface ListOptions {
  readonly after?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a tree reads. */
export interface TreeOptions extends StreamReaderOptions {
  /** Keeps pages besides memory. */
  readonly keeper?: PageKeeper | undefined;
}

/** Looks up, lists and reads, for many at once. Every call asks whether the caller may. */
export class Tree {
  readonly #catalog: Catalog;
  readonly #versions: OpenVersions;
  readonly #reader: StreamReader;
  readonly #isFar: boolean;
  readonly #patterns = new ReadPatterns();
  readonly #found: LoadingCache<Found>;
  readonly #smallFiles: SmallFiles;
  #looks = 0;

  constructor(engine: ReadEngine, catalog: Catalog, options: TreeOptions) {
    const { memoryBytes } = engine;
    this.#catalog = catalog;
    this.#isFar = !options.isLocal;
    this.#versions = new OpenVersions(engine, { isFar: this.#isFar, keeper: options.keeper });
    this.#reader = new StreamReader(engine, options);
    this.#found = new LoadingCache(memoryBytes * FOUND_SHARE, costOf);
    this.#smallFiles = new SmallFiles(memoryBytes * SMALL_FILES_SHARE, this.#reader.figures.memory);
  }

  /** Where content came from, since the tree was made. */
  get figures(): PieceFigures {
    return this.#reader.figures;
  }

  /** The datasets that the caller may see, in the order of the seam; `scope`: only those of it, and no others are looked at. Errors: those of the store. */
  async *datasets(
    caller: Caller,
    { scope, ...options }: NamesOptions<DatasetName> & { readonly scope?: string } = {},
  ): AsyncGenerator<DatasetName> {
    // What stands before all names of the scope, which stand together: no name begins with "-".
    const before = scope === undefined ? undefined : (`${scope}/-` as DatasetName);
    const after = before !== undefined && isNameAfter(before, options.after) ? before : options.after;
    for await (const name of this.#catalog.datasets({ ...options, after })) {
      if (scope !== undefined && scopeOf(name) !== scope) return;
      if (await mayList(caller, name)) yield name;
    }
  }

  /**
   * When the dataset was made, as RFC 3339 has it; undefined: there is none. Costs less than a look into it.
   * Errors: ACCESS_DENIED; those of the store.
   */
  async created(caller: Caller, name: DatasetName): Promise<string | undefined> {
    await caller.check("read", name);
    return this.#catalog.created(name);
  }

  /** The newest change of a tag that points at a version; undefined: there is no such tag. Errors: ACCESS_DENIED; those of the store. */
  async pointer(caller: Caller, name: DatasetName, tag: Tag): Promise<HistoryRecord | undefined> {
    await caller.check("read", name);
    return this.#catalog.pointer(name, tag);
  }

  /** The tags of a dataset that point at a version. Errors: ACCESS_DENIED; those of Catalog.tags. */
  async *tags(caller: Caller, name: DatasetName, options?: NamesOptions<Tag>): AsyncGenerator<TagPointer> {
    await caller.check("read", name);
    yield* this.#catalog.tags(name, options);
  }

  /**
   * The version's top. `from`: its entries will be listed from that path on ("": all), which of a store that is far is begun at once.
   * Errors: ACCESS_DENIED; those of Catalog.find and openVersion.
   */
  open(caller: Caller, version: VersionName, from?: string): Promise<DirectoryNode> {
    return this.#open(caller, version, (likely, opening) => {
      this.#versions.open(likely, opening).then(
        (opened) => {
          if (from !== undefined) expectEntries(opened, from === "" ? undefined : from);
        },
        () => undefined,
      );
    });
  }

  async #open(
    caller: Caller,
    { name, tag, digest }: VersionName,
    onLikely: OnLikely,
  ): Promise<DirectoryNode> {
    await caller.check("read", name);
    const found = await this.#catalog.find({ name, tag, digest }, this.#isFar ? onLikely : undefined);
    const version = await this.#versions.open(found);
    return { kind: "directory", name, tag, digest, version, path: "", entry: undefined };
  }

  /**
   * What lies at a place, links of the version followed. Reads the pages on the way and no others. `soon` is what will be
   * read if it is a file: of a store that is far it is fetched while it is found out whether the tag still stands where it did, until
   * the signal of `options` aborts. Errors: PATH_NOT_FOUND; those of open.
   */
  async look(
    caller: Caller,
    place: VersionPath,
    soon?: ByteRange,
    options?: WaitOptions,
  ): Promise<DirectoryNode | FileNode> {
    const top = await this.#open(caller, place, (likely, opening) => {
      void this.#expect({ likely, opening }, place.path, soon, options);
    });
    return this.lookIn(top, place.path);
  }

  /** As look(), in the version of `top` that is open, at a path from its top. Errors: PATH_NOT_FOUND; those of findFollowing. */
  async lookIn(top: DirectoryNode, path: string): Promise<DirectoryNode | FileNode> {
    // Who lists a folder of links looks at one after another, and may be answered without ever waiting for a disk.
    this.#looks++;
    if (this.#looks % LOOKS_PER_TURN === 0) await new Promise(setImmediate);
    const found = await this.#find(top.version, path);
    const node = found === undefined ? { ...top, path: "", entry: undefined } : nodeOf(top, found);
    if (node.kind === "symlink") throw new TypeError("links were followed");
    return node;
  }

  async #find(version: Version, path: string): Promise<PlacedEntry | undefined> {
    const find = async (): Promise<Found> => ({ path, placed: await findFollowing(version, path) });
    return (await this.#found.get(`${version.digest}:${path}`, find)).placed;
  }

  /** What lies at a path from the top of a version, no link followed; undefined: nothing. Errors: those of findEntry. */
  async entryIn(top: DirectoryNode, path: string): Promise<EntryNode | undefined> {
    const found = await findEntry(top.version, path);
    return found && nodeOf(top, found);
  }

  /** The entry of a version before which `index` others stand; undefined: there is none. Errors: those of findEntryAt. */
  async entryAt(top: DirectoryNode, index: number): Promise<EntryNode | undefined> {
    const found = await findEntryAt(top.version, index);
    return found && nodeOf(top, found);
  }

  /** Reads what is likely to be wanted. Never rejects: who wants it meets the errors. */
  async #expect(
    { likely, opening }: { readonly likely: Digest; readonly opening: TagOpening | undefined },
    path: string,
    soon: ByteRange | undefined,
    options: WaitOptions | undefined,
  ): Promise<void> {
    try {
      const version = await this.#versions.open(likely, opening);
      const found = await findFollowing(version, path, soon);
      if (found?.entry.kind !== "file" || soon === undefined) return;
      const end = Math.min(soon.end, soon.start + SOON_BYTES_MAX, found.entry.size);
      if (soon.start < end)
        await this.#reader.prefetch(version, shifted({ start: soon.start, end }, found.start), options);
    } catch {
      // Nothing is lost: it was a guess.
    }
  }

  /**
   * What lies directly in a directory, in byte order of path, in batches of about a page; links are not followed.
   * Errors: those of listFolder.
   */
  async *list(directory: DirectoryNode, options?: ListOptions): AsyncGenerator<EntryNode[]> {
    const { version, path } = directory;
    for await (const batch of listFolder(version, path, options)) {
      yield batch.map((placed) => nodeOf(directory, placed));
    }
  }

  /**
   * All entries of the version of `top`, in byte order of path, in batches of about a page; with `from`, reads the pages from there
   * on and no others. Links are not followed. Errors: those of entries.
   */
  async *entries(top: DirectoryNode, options?: EntriesOptions): AsyncGenerator<EntryNode[]> {
    for await (const batch of entries(top.version, options)) {
      yield batch.map((placed) => nodeOf(top, placed));
    }
  }

  /**
   * The bytes of a range that lies in the file; each piece holds until the next is asked for. For who reads the file, or several small
   * ones, in order, one range after another, what comes next is decoded meanwhile. The signal is for who waits for a piece and leaves.
   * Errors: those of StreamReader.read.
   */
  read(file: FileNode, range: ByteRange, { signal }: WaitOptions = {}): AsyncGenerator<Uint8Array> {
    const { version, start } = file;
    return this.#reader.read(version, shifted(range, start), { next: this.#note(file, range), signal });
  }

  /** What to read ahead of the version's stream, now that a range of the file was asked for. */
  #note({ version, start, entry }: FileNode, range: ByteRange): ByteRange | undefined {
    const ends = { fileEnd: start + entry.size, streamEnd: version.root.bytes };
    return this.#patterns.note(version.digest, shifted(range, start), ends);
  }

  /**
   * The bytes of a small file whole, in one piece that stays as it is: nobody may write to it, since others get it too. Undefined: it is
   * to be read. The signal is asked for only when the file is not at hand. Errors: those of StreamReader.read.
   */
  whole({ version, start, entry }: FileNode, options?: WaitOptions): Promise<Uint8Array> | undefined {
    const { size } = entry;
    if (size > SMALL_FILE_BYTES_MAX) return undefined;
    const read = (signal: AbortSignal): AsyncGenerator<Uint8Array> =>
      this.#reader.read(version, { start, end: start + size }, { signal });
    return this.#smallFiles.get(version, { start, bytes: size }, read, options);
  }

  /**
   * As read(), the whole range at once, which is held until it is released: for short ranges. Errors: those of StreamReader.hold.
   */
  async hold(file: FileNode, range: ByteRange, { signal }: WaitOptions = {}): Promise<HeldRange> {
    const { version, start } = file;
    const ahead = this.#note(file, range);
    const held = await this.#reader.hold(version, shifted(range, start), { signal });
    if (ahead !== undefined) void this.#reader.prefetch(version, ahead);
    return held;
  }

  /**
   * The bytes from a file's first one on, which may go on into the files after it in byte order of path; each piece holds until the
   * next is asked for. Errors: those of StreamReader.read.
   */
  readOn(
    { version, start }: FileNode,
    bytes: number,
    { signal }: WaitOptions = {},
  ): AsyncGenerator<Uint8Array> {
    return this.#reader.read(version, { start, end: start + bytes }, { signal });
  }
}

function costOf({ path, placed }: Found): number {
  return FOUND_COST_BYTES + 2 * (path.length + (placed?.entry.path.length ?? 0));
}

function shifted({ start, end }: ByteRange, by: number): ByteRange {
  return { start: start + by, end: end + by };
}

function nodeOf({ name, tag, digest, version }: NodeBase, { entry, start, index }: PlacedEntry): EntryNode {
  const base = { name, tag, digest, version, index };
  if (entry.kind === "file") return { ...base, kind: "file", entry, start };
  if (entry.kind === "symlink") return { ...base, kind: "symlink", entry };
  return { ...base, kind: "directory", path: entry.path, entry };
}

async function mayList(caller: Caller, name: DatasetName): Promise<boolean> {
  try {
    await caller.check("list", name);
    return true;
  } catch (error) {
    if (codeOf(error) === "ACCESS_DENIED") return false;
    throw error;
  }
}
