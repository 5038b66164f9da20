/** Reading directories: READDIR, READDIRPLUS. RFC 1813 §3.3.16, §3.3.17 */
import { KiB } from "../../base/limits.ts";
import { LoadingCache } from "../../dataset/version/loading-cache.ts";
import type { Digest } from "../../format/digest.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import { writeOptionalAttributes } from "./attributes.ts";
import { COOKIE_FIRST } from "./name-list.ts";
import { NfsError } from "./nfs-status.ts";
import { NAME_BYTES_MAX } from "./nfs-tree.ts";
import type { NfsService, Visited } from "./nfs-service.ts";
import {
  entryIdOf,
  fileIdOf,
  firstIdOf,
  foundOf,
  type EntryPlace,
  type NamesPlace,
  type OpenDirectory,
  type Place,
  type TagName,
  type TagPlace,
  type VersionPlace,
} from "./nodes.ts";
import { inRoom, type RpcCaller, type RpcProcedure, type RpcTail } from "./rpc-programs.ts";
import { XdrWriter, type XdrReader } from "./xdr.ts";

/** What one answer has at most, whatever the client takes. */
const LIST_BYTES_MAX = 256 * KiB;
/** What ends the list: no further entry, and whether that was all. */
const END_BYTES = 8;
/** Bytes of an entry that the client counts as the directory's own, besides its name. */
const ENTRY_BYTES = 20;
const VERIFIER_BYTES = 8;
const NO_VERIFIER = Buffer.alloc(VERIFIER_BYTES);
const [COOKIE_SELF, COOKIE_PARENT] = [1n, 2n];
/** Versions of tags that were listed lately: a client that has begun goes on in the same when the tag has moved. */
const LISTED_MAX = 1000;
const INDEX_MAX = 2 ** 40;
/** The share of the memory that entries as they were sent may take, and what some take besides their bytes. */
const PAGES_SHARE = 1 / 64;
const PAGE_BYTES = 500;

/** An item of the list. */
interface Item {
  readonly name: string;
  readonly cookie: bigint;
  readonly fileId: bigint;
  readonly place: Place | TagName;
  /** The place where its attributes are at hand, and will be what the place's own are. */
  readonly shown: Place | undefined;
}

/** Where a client goes on, and what it takes. */
interface Wish {
  readonly cookie: bigint;
  readonly verifier: Buffer;
  readonly nameBytesMax: number;
  readonly bytesMax: number;
  readonly isPlus: boolean;
}

/** What says which list it is, and the directory where it is one of a version. */
interface List {
  readonly verifier: Buffer;
  readonly directory: OpenDirectory | undefined;
}

/** What an answer may still take; `isFirst`: it has no entry yet. */
interface Room {
  readonly bytes: number;
  readonly nameBytes: number;
  readonly isFirst: boolean;
}

/** How many entries were written, whether those are all, and the room that is left. */
interface Filled extends Omit<Room, "isFirst"> {
  readonly count: number;
  readonly isAll: boolean;
}

/** Entries of a directory of a version as they were sent: many clients list the same directories. */
interface Page {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly isAll: boolean;
  readonly costBytes: number;
}

/** By their names. */
export function listProcedures(nfs: NfsService): Readonly<Record<"readdir" | "readdirplus", RpcProcedure>> {
  const lists = new Lists(nfs);
  const answer = async (
    args: XdrReader,
    results: XdrWriter,
    caller: RpcCaller,
    isPlus: boolean,
  ): Promise<RpcTail> => {
    const visited = await nfs.visit(args);
    const [cookie, verifier] = [args.uint64(), Buffer.from(args.fixed(VERIFIER_BYTES))];
    const first = args.uint32();
    const bytesMax = Math.min(isPlus ? args.uint32() : first, LIST_BYTES_MAX);
    const wish = { cookie, verifier, nameBytesMax: isPlus ? first : bytesMax, bytesMax, isPlus };
    return inRoom(caller, bytesMax, () => lists.write(results, visited, wish));
  };
  return {
    readdir: nfs.procedure("READDIR", 1, (args, results, caller) => answer(args, results, caller, false)),
    readdirplus: nfs.procedure("READDIRPLUS", 1, (args, results, caller) =>
      answer(args, results, caller, true),
    ),
  };
}

class Lists {
  readonly #nfs: NfsService;
  /** Digests by the first bytes, which are the verifier. */
  readonly #listed = new Map<string, Digest>();
  /** By all that they follow from. */
  readonly #pages: LoadingCache<Page>;

  constructor(nfs: NfsService) {
    this.#nfs = nfs;
    this.#pages = new LoadingCache(nfs.parts.memoryBytes * PAGES_SHARE, ({ costBytes }) => costBytes);
  }

  async write(results: XdrWriter, visited: Visited, wish: Wish): Promise<void> {
    const start = results.length;
    const { verifier, directory } = await this.#listOf(visited, wish);
    this.#nfs.writeOptionalAttributes(results, visited);
    results.fixed(verifier);
    const room = {
      bytes: wish.bytesMax - END_BYTES - (results.length - start),
      nameBytes: wish.nameBytesMax,
    };
    const dots = await this.#fill(
      results,
      visited,
      wish,
      { ...room, isFirst: true },
      this.#dots(visited, wish),
    );
    let { isAll, count } = dots;
    if (isAll) {
      const left = { bytes: dots.bytes, nameBytes: dots.nameBytes, isFirst: count === 0 };
      const rest = await this.#rest(results, visited, wish, left, directory);
      isAll = rest.isAll;
      count += rest.count;
    }
    if (count === 0 && (!isAll || room.bytes < 0)) throw new NfsError("NFS3ERR_TOOSMALL");
    results.boolean(false).boolean(isAll);
  }

  /** Writes what comes after "." and "..". */
  async #rest(
    results: XdrWriter,
    visited: Visited,
    wish: Wish,
    room: Room,
    directory: OpenDirectory | undefined,
  ): Promise<Pick<Filled, "isAll" | "count">> {
    if (directory === undefined)
      return this.#fill(results, visited, wish, room, this.#names(visited, wish.cookie));
    const { name, version } = directory.top;
    const secret = Buffer.from(visited.visitor.secret ?? []).toString("hex");
    const numbers = [wish.isPlus, wish.cookie, room.bytes, room.nameBytes, room.isFirst].join(" ");
    const key = `${name}@${version.digest} ${secret} ${numbers} ${directory.path}`;
    const page = await this.#pages.get(key, async () => {
      const own = new XdrWriter();
      const items = this.#entries(visited, directory, wish.cookie);
      const { isAll, count } = await this.#fill(own, visited, wish, room, items);
      // A copy: the writer has grown to more.
      return {
        bytes: new Uint8Array(own.bytes),
        isAll,
        count,
        costBytes: own.length + 2 * key.length + PAGE_BYTES,
      };
    });
    results.fixed(page.bytes);
    return page;
  }

  /** Writes items while there is room for them; the first may have as many bytes of names as it likes. */
  async #fill(
    results: XdrWriter,
    visited: Visited,
    { isPlus }: Wish,
    room: Room,
    items: AsyncIterable<Item>,
  ): Promise<Filled> {
    let { bytes, nameBytes, isFirst } = room;
    let count = 0;
    for await (const item of items) {
      const before = results.length;
      this.#writeItem(results, visited, item, isPlus);
      const names = ENTRY_BYTES + Buffer.byteLength(item.name);
      if (results.length - before > bytes || (!isFirst && names > nameBytes)) {
        results.cut(before);
        return { isAll: false, count, bytes, nameBytes };
      }
      bytes -= results.length - before;
      nameBytes -= names;
      isFirst = false;
      count++;
    }
    return { isAll: true, count, bytes, nameBytes };
  }

  #writeItem(results: XdrWriter, { visitor }: Visited, item: Item, isPlus: boolean): void {
    const { name, cookie, fileId, place, shown } = item;
    results.boolean(true).uint64(fileId).string(name).uint64(cookie);
    if (!isPlus) return;
    writeOptionalAttributes(results, shown, this.#nfs.facts);
    results.boolean(true).opaque(this.#nfs.handleOf(place, visitor));
  }

  async #listOf({ place }: Visited, { cookie, verifier }: Wish): Promise<List> {
    if (place.kind !== "tag" && place.kind !== "version" && place.kind !== "entry")
      return { verifier: NO_VERIFIER, directory: undefined };
    const directory = await this.#directoryOf(place, cookie, verifier);
    return { verifier: verifierOf(directory.top.version.digest), directory };
  }

  /** The version that the client has begun to list, which a tag may have left meanwhile. */
  async #directoryOf(
    place: TagPlace | VersionPlace | EntryPlace,
    cookie: bigint,
    verifier: Buffer,
  ): Promise<OpenDirectory> {
    const { places } = this.#nfs.parts;
    if (place.kind !== "tag") return places.open(place);
    const { digest } = place.record;
    this.#note(digest);
    const isCurrent = verifier.equals(verifierOf(digest)) || verifier.equals(NO_VERIFIER);
    if (cookie < COOKIE_FIRST || isCurrent) return places.open(place);
    const begun = this.#listed.get(verifier.toString("hex"));
    if (begun === undefined) throw new NfsError("NFS3ERR_BAD_COOKIE");
    return places.open({ kind: "version", name: place.name, digest: begun });
  }

  #note(digest: Digest): void {
    const key = verifierOf(digest).toString("hex");
    this.#listed.delete(key);
    this.#listed.set(key, digest);
    for (const oldest of this.#listed.keys()) {
      if (this.#listed.size <= LISTED_MAX) return;
      this.#listed.delete(oldest);
    }
  }

  async *#dots({ place }: Visited, { cookie }: Wish): AsyncGenerator<Item> {
    const dot = (name: string, at: Place, own: bigint): Item => ({
      name,
      cookie: own,
      fileId: fileIdOf(at),
      place: at,
      shown: at,
    });
    if (cookie < COOKIE_SELF) yield dot(".", place, COOKIE_SELF);
    if (cookie < COOKIE_PARENT) yield dot("..", await this.#nfs.parts.places.parent(place), COOKIE_PARENT);
  }

  async *#names({ place, visitor }: Visited, after: bigint): AsyncGenerator<Item> {
    if (place.kind !== "root" && place.kind !== "scope" && place.kind !== "dataset") return;
    const { names } = this.#nfs.parts.places;
    const list = await names.list(visitor, place, after < COOKIE_FIRST);
    for (const { kind, name, cookie } of list.after(after)) {
      const child = childOf(place, name);
      names.note(kind, child.kind === "dataset" ? child.name : name);
      // Where a tag stands the list does not know.
      const shown = child.kind === "tag" ? undefined : child;
      yield { name, cookie, fileId: fileIdOf(child), place: child, shown };
    }
  }

  /** The entries of a directory of a version: a cookie says which entry of the version it was. */
  async *#entries({ place }: Visited, { top, path }: OpenDirectory, after: bigint): AsyncGenerator<Item> {
    if (place.kind === "root" || place.kind === "scope" || place.kind === "dataset") return;
    const { tree, places } = this.#nfs.parts;
    const { digest } = top.version;
    const first = firstIdOf(digest);
    const prefixLength = path === "" ? 0 : path.length + 1;
    const options = after < COOKIE_FIRST ? {} : { after: await this.#pathAt(top, path, after) };
    for await (const batch of tree.list({ ...top, path }, options)) {
      for (const node of batch) {
        const name = node.entry.path.slice(prefixLength);
        // Clients would take the whole list for broken.
        if (Buffer.byteLength(name) > NAME_BYTES_MAX) continue;
        const found = foundOf(node);
        places.keep(digest, found);
        const entry: EntryPlace = { kind: "entry", name: place.name, digest, found };
        yield {
          name,
          cookie: BigInt(found.index) + COOKIE_FIRST,
          fileId: entryIdOf(first, found.index),
          place: entry,
          shown: entry,
        };
      }
    }
  }

  /** The path of the directory's entry that has the cookie. Errors: NFS3ERR_BAD_COOKIE. */
  async #pathAt(top: OpenDirectory["top"], directory: string, cookie: bigint): Promise<string> {
    const index = Number(cookie - COOKIE_FIRST);
    const node = index < INDEX_MAX ? await this.#nfs.parts.tree.entryAt(top, index) : undefined;
    const path = node?.entry.path;
    const parent = path?.slice(0, Math.max(path.lastIndexOf("/"), 0));
    if (path === undefined || parent !== directory) throw new NfsError("NFS3ERR_BAD_COOKIE");
    return path;
  }
}

/** What lies in a directory of names. */
function childOf(place: NamesPlace, name: string): NamesPlace | TagName {
  if (place.kind === "dataset") return { kind: "tag", name: place.name, tag: name as Tag };
  if (place.kind === "root" && name.startsWith("@")) return { kind: "scope", scope: name };
  const path = place.kind === "scope" ? `${place.scope}/${name}` : name;
  return { kind: "dataset", name: path as DatasetName };
}

function verifierOf(digest: Digest): Buffer {
  return Buffer.from(digest.slice(0, 2 * VERIFIER_BYTES), "hex");
}
