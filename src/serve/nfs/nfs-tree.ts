/** Places of the tree: found by handle, by name, from what lies in them to what they lie in. */
import type { Clock } from "../../base/clock.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { LoadingCache } from "../../dataset/version/loading-cache.ts";
import { parseDigest, type Digest } from "../../format/digest.ts";
import {
  parseDatasetName,
  parseScope,
  parseTag,
  scopeOf,
  type DatasetName,
  type Tag,
} from "../../format/reference.ts";
import type { Caller, DirectoryNode, FileNode, Tree } from "../../vfs/tree.ts";
import type { HandlePlace } from "./handles.ts";
import { NameLists } from "./name-lists.ts";
import { NfsError } from "./nfs-status.ts";
import {
  foundOf,
  isDirectory,
  type EntryPlace,
  type FoundEntry,
  type OpenDirectory,
  type Place,
  type TagChange,
  type TagPlace,
  type VersionPlace,
  type Visitor,
} from "./nodes.ts";
import { Remembered } from "./remembered.ts";

/** Bytes of a name. RFC 1813 has no limit; Linux does. */
export const NAME_BYTES_MAX = 255;
/** How long a tag counts as standing where it stood: clients ask for each path through it. */
const POINTER_AGE_MS = 1000;
const POINTERS_MAX = 10_000;
/** How long a version counts as the dataset's own, and there. */
const TOP_AGE_MS = 10_000;
const TOPS_MAX = 128;
/** The share of the memory that entries may take which handles led to, and what one takes besides its path. */
const ENTRIES_SHARE = 1 / 64;
const ENTRY_BYTES = 500;

const GONE: ReadonlySet<ErrorCode> = new Set([
  ...(["DATASET_NOT_FOUND", "TAG_NOT_FOUND", "VERSION_NOT_FOUND", "PATH_NOT_FOUND"] as const),
]);
/** Opens what the visitor was asked about before: it is shared by all who may. */
const ASKED_BEFORE: Caller = { check: async () => undefined };

/** What is looked at, and with how much memory. */
export interface NfsTreeOptions {
  readonly tree: Tree;
  readonly clock: Clock;
  readonly memoryBytes: number;
}

/** Finds places, for many visitors. Each call asks whether the visitor may. */
export class NfsTree {
  readonly names: NameLists;
  readonly #tree: Tree;
  readonly #pointers: Remembered<TagChange | undefined>;
  readonly #tops: Remembered<DirectoryNode>;
  /** By their place in a version, and by their path. */
  readonly #entries: LoadingCache<FoundEntry>;

  constructor({ tree, clock, memoryBytes }: NfsTreeOptions) {
    this.#tree = tree;
    this.names = new NameLists(tree, clock, memoryBytes);
    this.#pointers = new Remembered(clock, { ageMsMax: POINTER_AGE_MS, countMax: POINTERS_MAX });
    this.#tops = new Remembered(clock, { ageMsMax: TOP_AGE_MS, countMax: TOPS_MAX });
    const weigh = ({ entry }: FoundEntry): number => ENTRY_BYTES + 2 * entry.path.length;
    this.#entries = new LoadingCache(memoryBytes * ENTRIES_SHARE, weigh);
  }

  /** What a handle names. Errors: NFS3ERR_STALE when it is there no more; ACCESS_DENIED; those of the tree. */
  async at(visitor: Visitor, place: HandlePlace): Promise<Place> {
    const found = await goneIsStale(this.#at(visitor, place));
    if (found === undefined) throw new NfsError("NFS3ERR_STALE");
    return found;
  }

  /** As at(), of what was found before. Errors: those of at. */
  async expectThere({ caller }: Visitor, { name, digest }: EntryPlace | VersionPlace): Promise<void> {
    await caller.check("read", name);
    await goneIsStale(this.#top(name, digest));
  }

  async #at(visitor: Visitor, place: HandlePlace): Promise<Place | undefined> {
    if (place.kind === "root") return place;
    if (place.kind === "scope") {
      const scope = await this.names.scope(place.scope);
      return scope === undefined ? undefined : { kind: "scope", scope };
    }
    const name = await this.names.dataset(place.dataset);
    if (name === undefined) return undefined;
    await visitor.caller.check("read", name);
    if (place.kind === "dataset") return this.#dataset(visitor, name);
    if (place.kind === "tag") {
      const tag = await this.names.tag(name, place.tag);
      return tag && this.#tag(name, tag);
    }
    const { kind, digest } = place;
    if (kind === "version") return this.#version(name, digest);
    const found = await this.#entry(name, digest, place.index);
    return found && { kind, name, digest, found };
  }

  /** What lies in a directory under a name. Errors: NFS3ERR_NOTDIR, _NOENT, _NAMETOOLONG; ACCESS_DENIED; those of the tree. */
  async lookup(visitor: Visitor, directory: Place, name: string): Promise<Place> {
    if (!isDirectory(directory)) throw new NfsError("NFS3ERR_NOTDIR");
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new NfsError("NFS3ERR_NAMETOOLONG");
    if (name === ".") return directory;
    if (name === "..") return this.parent(directory);
    const found =
      name === "" || /[/\0]/.test(name) ? undefined : await this.#lookup(visitor, directory, name);
    if (found === undefined) throw new NfsError("NFS3ERR_NOENT");
    return found;
  }

  async #lookup(visitor: Visitor, directory: Place, name: string): Promise<Place | undefined> {
    if (directory.kind === "root") {
      if (!name.startsWith("@")) return this.#dataset(visitor, parsed(parseDatasetName, name));
      const scope = parsed(parseScope, name);
      if (scope === undefined || !(await this.names.hasScope(visitor, scope))) return undefined;
      this.names.note("scope", scope);
      return { kind: "scope", scope };
    }
    if (directory.kind === "scope")
      return this.#dataset(visitor, parsed(parseDatasetName, `${directory.scope}/${name}`));
    if (directory.kind === "dataset") return this.#versionOf(directory.name, name);
    const { top, path } = await this.open(directory);
    const { digest } = top.version;
    const inside = inDirectory(path, name);
    const found = await this.#entries.get(`${digest}/${inside}`, async () => {
      const node = await this.#tree.entryIn(top, inside);
      if (node === undefined) throw new NfsError("NFS3ERR_NOENT");
      return foundOf(node);
    });
    this.keep(digest, found);
    return { kind: "entry", name: directory.name, digest, found };
  }

  /** The directory that a place lies in; the root lies in itself. Errors: those of lookup. */
  async parent(place: Place): Promise<Place> {
    if (place.kind === "root" || place.kind === "scope") return { kind: "root" };
    if (place.kind === "dataset") {
      const scope = scopeOf(place.name);
      return scope === "" ? { kind: "root" } : { kind: "scope", scope };
    }
    if (place.kind !== "entry") return { kind: "dataset", name: place.name };
    const { name, digest, found } = place;
    const slash = found.entry.path.lastIndexOf("/");
    const top: VersionPlace = { kind: "version", name, digest };
    if (slash === -1) return top;
    const { top: node } = await this.open(top);
    const folder = await this.#tree.entryIn(node, found.entry.path.slice(0, slash));
    if (folder === undefined) throw new NfsError("NFS3ERR_STALE");
    return { kind: "entry", name, digest, found: foundOf(folder) };
  }

  /** A directory of a version, open. Errors: NFS3ERR_NOTDIR, _STALE; those of Tree.open. */
  async open(place: TagPlace | VersionPlace | EntryPlace): Promise<OpenDirectory> {
    const entry = place.kind === "entry" ? place.found.entry : undefined;
    if (entry !== undefined && entry.kind !== "directory") throw new NfsError("NFS3ERR_NOTDIR");
    const digest = place.kind === "tag" ? place.record.digest : place.digest;
    return { top: await goneIsStale(this.#top(place.name, digest)), path: entry?.path ?? "" };
  }

  /** The version of a file, open. Errors: those of Tree.open. */
  topOf({ name, digest }: EntryPlace): Promise<DirectoryNode> {
    return goneIsStale(this.#top(name, digest));
  }

  /** A file as the tree reads it. Errors: NFS3ERR_INVAL, _STALE; those of Tree.open. */
  async file(place: EntryPlace): Promise<FileNode> {
    const { entry, start } = place.found;
    if (entry.kind !== "file") throw new NfsError("NFS3ERR_INVAL");
    return { ...(await this.topOf(place)), kind: "file", entry, start };
  }

  /** Remembers an entry whose handle a client gets. */
  keep(digest: Digest, found: FoundEntry): void {
    void this.#entries.get(keyOf(digest, found.index), () => Promise.resolve(found));
  }

  async #dataset(visitor: Visitor, name: DatasetName | undefined): Promise<Place | undefined> {
    if (name === undefined || (await this.#tree.created(visitor.caller, name)) === undefined)
      return undefined;
    this.names.note("dataset", name);
    return { kind: "dataset", name };
  }

  /** What stands in a dataset's directory: a tag, or a version by its digest. */
  #versionOf(name: DatasetName, text: string): Promise<Place | undefined> {
    if (text.includes(":")) {
      const digest = parsed(parseDigest, text.replace(/^@/, ""));
      return digest === undefined ? Promise.resolve(undefined) : this.#version(name, digest);
    }
    const tag = parsed(parseTag, text);
    return tag === undefined ? Promise.resolve(undefined) : this.#tag(name, tag);
  }

  async #tag(name: DatasetName, tag: Tag): Promise<Place | undefined> {
    const look = async (): Promise<TagChange | undefined> => {
      // Both at once, and neither failure unseen: one that nobody waits for ends the process.
      const [created, pointer] = await Promise.all([
        this.#tree.created(ASKED_BEFORE, name),
        this.#tree.pointer(ASKED_BEFORE, name, tag),
      ]);
      if (created === undefined || pointer === undefined) return undefined;
      // Not the rest, which may be long.
      const { digest, time, number: changes } = pointer;
      return { digest, time, number: changes };
    };
    const record = await this.#pointers.get(`${name}:${tag}`, look);
    if (record === undefined) return undefined;
    this.names.note("tag", tag);
    return { kind: "tag", name, tag, record };
  }

  async #version(name: DatasetName, digest: Digest): Promise<Place | undefined> {
    try {
      await this.#top(name, digest);
    } catch (error) {
      if (GONE.has(codeOf(error))) return undefined;
      throw error;
    }
    return { kind: "version", name, digest };
  }

  async #entry(name: DatasetName, digest: Digest, index: number): Promise<FoundEntry | undefined> {
    const top = await this.#top(name, digest);
    try {
      return await this.#entries.get(keyOf(digest, index), async () => {
        const node = await this.#tree.entryAt(top, index);
        if (node === undefined) throw new NfsError("NFS3ERR_STALE");
        return foundOf(node);
      });
    } catch (error) {
      if (error instanceof NfsError) return undefined;
      throw error;
    }
  }

  #top(name: DatasetName, digest: Digest): Promise<DirectoryNode> {
    const open = (): Promise<DirectoryNode> =>
      this.#tree.open(ASKED_BEFORE, { name, tag: undefined, digest });
    return this.#tops.get(`${name}@${digest}`, open);
  }
}

function keyOf(digest: Digest, index: number): string {
  return `${digest}:${index}`;
}

/** A path in a directory of a version. */
function inDirectory(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

function parsed<T>(parse: (text: string) => T, text: string): T | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** What a handle led to once. */
async function goneIsStale<T>(found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (GONE.has(codeOf(error))) throw new NfsError("NFS3ERR_STALE");
    throw error;
  }
}
