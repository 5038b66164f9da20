/** One mounted version, or those that a tag points at one after another, as the kernel asks about it. */
import { constants } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { DirectoryNode, EntryNode, Tree } from "../../vfs/tree.ts";
import * as answers from "./answers.ts";
import type { WholeFiles } from "../../dataset/read/whole-files.ts";
import { Directories } from "./directories.ts";
import { attributesOf, inodeOf, Nodes, type Node } from "./nodes.ts";
import {
  EXPIRE_ONLY,
  INIT_EXT,
  INIT_FLAGS2,
  MAJOR,
  MINOR_MIN,
  ROOT_ID,
  type InitRequest,
  type Request,
} from "./protocol.ts";
import { OpenFiles, type Backings } from "./open-files.ts";
import { Requests, type Kernel, type Pending } from "./requests.ts";
import { Tops } from "./tops.ts";
import { xattrsOf } from "./xattrs.ts";

const { EINVAL, EISDIR, ENODATA, ENOENT, ENOSYS, ENOTDIR } = constants.errno;
const { ENAMETOOLONG, EPROTO, ERANGE, EROFS, ESTALE } = constants.errno;

/** Bytes of one READ: as many as the kernel has pages for in a request by itself. */
const READ_BYTES_MAX = MiB;
/** Bytes of a link's target that the kernel has room for. */
const TARGET_BYTES_MAX = 4095;
/** Nodes that the kernel is asked to forget for each new one, when there are too many. */
const TURNED = 2;
/** With so many times more than there should be, it is asked to forget folders too. */
const TOO_MANY = 2;
/** Notices on their way that ask the kernel to forget nodes. */
const NOTICES_MAX = 256;
const EVER = { entrySeconds: answers.FOREVER_SECONDS, attrSeconds: answers.FOREVER_SECONDS };

/** What is shown, and how. */
export interface SessionOptions {
  readonly tree: Tree;
  readonly top: DirectoryNode;
  /** As what is mounted was named, for an extended attribute. */
  readonly reference: string;
  /** Another version may take the place of this one: see move(). */
  readonly isFollowed: boolean;
  readonly owner: answers.Owner;
  /** How long a request may take before it fails with EIO, in milliseconds. */
  readonly timeoutMs: number;
  /** Told of a request that did. */
  readonly onLate: () => void;
  /** Nodes to remember; with more the kernel is asked to forget some. */
  readonly nodesMax: number;
  /** Both are there: large files that are opened again are kept whole, and the kernel reads them by itself. */
  readonly files: WholeFiles | undefined;
  readonly backings: Backings | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Answers what the kernel asks, many requests at a time. Nothing is ever written to a version. */
export class FuseSession {
  readonly #kernel: Kernel;
  readonly #options: SessionOptions;
  readonly #nodes: Nodes;
  readonly #directories: Directories;
  readonly #requests: Requests;
  readonly #tops: Tops;
  #canExpire = false;
  #openFiles: OpenFiles | undefined;

  constructor(kernel: Kernel, options: SessionOptions) {
    this.#kernel = kernel;
    this.#options = options;
    this.#nodes = new Nodes(options.top);
    this.#directories = new Directories(options.tree);
    this.#tops = new Tops(options.top, options.clock);
    this.#requests = new Requests(kernel, options);
  }

  /** Ends what the session does by itself. */
  close(): void {
    this.#requests.close();
  }

  /**
   * Shows another version from now on. What is open stays what it is, and so does what is looked up from inside of folders of the
   * version before, as long as somebody is in there.
   */
  move(top: DirectoryNode): void {
    this.#nodes.root.entry = top;
    this.#tops.move(top);
    this.#forgetTop();
  }

  /**
   * Has the kernel look at the top's names once more, a while after a move: whoever asked again what a name means just before may have told
   * the kernel that it holds for ever just after. Names that are looked up for the first time need none: the kernel holds the folder's lock.
   */
  settle(): void {
    if (this.#canExpire) this.#forgetTop();
  }

  #forgetTop(): void {
    const flags = this.#canExpire ? EXPIRE_ONLY : 0;
    for (const { name } of this.#nodes.within(ROOT_ID)) {
      this.#kernel.notify(answers.forgetNameNotice(ROOT_ID, Buffer.from(name), flags));
    }
    this.#kernel.notify(answers.forgetContentNotice(ROOT_ID));
  }

  /** Takes a request; the answer follows when there is one. Never throws. */
  handle(request: Request): void {
    const { unique, kind } = request;
    if (kind === "forget") {
      for (const forgotten of request.nodes) this.#nodes.forget(forgotten);
      return;
    }
    if (kind === "interrupt") {
      this.#requests.interrupt(request.interrupted);
      return;
    }
    if (kind === "init") {
      this.#init(unique, request);
      return;
    }
    if (kind === "writing") this.#refuse(unique, EROFS);
    else if (kind === "destroy") this.#kernel.answer(unique, 0);
    else if (kind === "release") {
      this.#openFiles?.release(request.node);
      this.#kernel.answer(unique, 0);
    }
    // The kernel asks no more for what it is told to be unknown, and needs nobody for opening then.
    else if (kind === "opendir" || kind === "unknown") this.#refuse(unique, ENOSYS);
    else this.#handleNode(request);
  }

  #handleNode(request: Request): void {
    const { unique, kind } = request;
    const node = this.#nodes.get(request.node);
    if (node === undefined) {
      this.#refuse(unique, ENOENT);
      return;
    }
    switch (kind) {
      case "getattr":
        this.#kernel.answer(
          unique,
          0,
          answers.attrAnswer(this.#attributesOf(node), EVER, this.#options.owner),
        );
        return;
      case "lookup":
        this.#requests.begin(request, (pending) => this.#lookUp(pending, node, request.name));
        return;
      case "read":
        this.#requests.begin(request, (pending) => this.#read(pending, node, request.offset, request.size));
        return;
      case "readdir":
      case "readdirplus":
        this.#requests.begin(request, (pending) =>
          this.#list(pending, node, request, kind === "readdirplus"),
        );
        return;
      case "readlink":
        this.#readLink(unique, node);
        return;
      case "open":
        this.#open(unique, node);
        return;
      case "statfs": {
        const { bytes, files, directories, symlinks } = node.entry.version.root;
        this.#kernel.answer(unique, 0, answers.statfsAnswer(bytes, files + directories + symlinks));
        return;
      }
      case "getxattr":
        this.#getXattr(unique, node, request.name, request.size);
        return;
      case "listxattr":
        this.#listXattrs(unique, node, request.size);
        return;
      default:
        this.#refuse(unique, ENOSYS);
    }
  }

  #init(unique: bigint, request: InitRequest): void {
    const { major, minor, flags, flags2 } = request;
    if (major !== MAJOR || minor < MINOR_MIN) {
      this.#options.log.error({ major, minor }, "the kernel's FUSE is too old: Linux 5.4 is needed");
      this.#refuse(unique, EPROTO);
      return;
    }
    const { files, backings, tree } = this.#options;
    const isPassing = (flags & INIT_EXT) !== 0 && (flags2 & INIT_FLAGS2.passthrough) !== 0;
    if (isPassing && files !== undefined && backings !== undefined) {
      this.#openFiles = new OpenFiles(tree, files, backings);
      this.#kernel.openSmall();
    }
    this.#options.log.debug({ minor, isPassing, passes: this.#openFiles !== undefined }, "the kernel's FUSE");
    this.#canExpire = (flags2 & INIT_FLAGS2.expireOnly) !== 0;
    this.#kernel.answer(
      unique,
      0,
      answers.initAnswer(request, READ_BYTES_MAX, this.#openFiles !== undefined),
    );
  }

  async #lookUp(pending: Pending, parent: Node, nameBytes: Uint8Array): Promise<void> {
    const isTop = parent.id === ROOT_ID;
    const name = textOf(nameBytes);
    for (;;) {
      const { entry: folder } = parent;
      if (folder.kind !== "directory") {
        pending.refuse(ENOTDIR);
        return;
      }
      const found =
        name === undefined ? undefined : await this.#options.tree.entryIn(folder, joined(folder.path, name));
      // The version before is none that the kernel may still be told of: it was told to forget it.
      if (parent.entry.version !== folder.version) continue;
      if (found === undefined || name === undefined) {
        const seconds = isTop && this.#options.isFollowed ? 0 : answers.FOREVER_SECONDS;
        pending.settle(answers.nothingAnswer(seconds));
        return;
      }
      if (pending.isAnswered) return;
      const node = this.#give(parent, name, found);
      const answer = answers.entryAnswer(this.#attributesOf(node), EVER, this.#options.owner);
      if (!pending.settle(answer)) this.#nodes.forget({ node: node.id, lookups: 1 });
      return;
    }
  }

  /** Counts that the kernel is told of a node. When it knows too many, it is asked to forget others. */
  #give(parent: Node, name: string, entry: EntryNode): Node {
    const node = this.#nodes.give(parent, name, entry);
    const excess = this.#nodes.size / this.#options.nodesMax;
    if (excess > 1 && this.#kernel.notices < NOTICES_MAX) {
      for (const old of this.#nodes.turn(TURNED, excess > TOO_MANY)) {
        this.#kernel.notify(answers.forgetNameNotice(old.parent, Buffer.from(old.name), 0));
      }
    }
    return node;
  }

  async #list(
    pending: Pending,
    node: Node,
    { offset, size }: { readonly offset: number; readonly size: number },
    isPlus: boolean,
  ): Promise<void> {
    const { entry } = node;
    if (entry.kind !== "directory") {
      pending.refuse(ENOTDIR);
      return;
    }
    const isTop = node.id === ROOT_ID;
    const part = isTop ? this.#tops.partAt(offset) : { folder: entry, place: offset, base: 0 };
    if (part === undefined) {
      pending.refuse(ESTALE);
      return;
    }
    const { folder, place, base } = part;
    const list = new answers.DirectoryAnswer(Math.min(size, READ_BYTES_MAX), isPlus);
    const found: { readonly name: string; readonly entry: EntryNode }[] = [];
    const self = this.#attributesOf(node);
    const dots = [".", ".."].slice(place);
    const hasRoom = dots.every((name, at) => list.add(Buffer.from(name), base + place + at + 1, self));
    if (hasRoom) {
      await this.#directories.read(node.id, folder, Math.max(0, place - 2), (name, entry, index) => {
        const { kind } = entry;
        const isTaken = list.add(name, base + index + 3, { kind, inode: inodeOf(entry.entry.path) });
        if (isTaken) found.push({ name: name.toString(), entry });
        return isTaken;
      });
    }
    if (pending.isAnswered) return;
    // Of a version before, the kernel gets the names alone: it was told to forget what they meant.
    const isGiven = isPlus && (!isTop || this.#tops.isNewest(folder));
    // A long list makes nothing be forgotten: what it began with would be, before it is looked at.
    const room = place === 0 ? Infinity : Math.max(0, this.#options.nodesMax - this.#nodes.size);
    const given = found.slice(0, isGiven ? room : 0).map(({ name, entry }) => this.#give(node, name, entry));
    for (const [index, each] of given.entries())
      list.tell(dots.length + index, this.#attributesOf(each), EVER, this.#options.owner);
    if (!pending.settle(list.bytes)) {
      for (const { id } of given) this.#nodes.forget({ node: id, lookups: 1 });
    }
  }

  async #read(pending: Pending, { entry: file }: Node, offset: number, size: number): Promise<void> {
    if (file.kind !== "file") {
      pending.refuse(file.kind === "directory" ? EISDIR : EINVAL);
      return;
    }
    const end = Math.min(file.entry.size, offset + Math.min(size, READ_BYTES_MAX));
    if (offset >= end) {
      pending.settle();
      return;
    }
    const { parts, release } = await this.#options.tree.hold(file, { start: offset, end }, pending);
    // Written before anything else happens: nobody reads them after that.
    pending.settle(...parts);
    release(true);
  }

  /** Only where the kernel can read files by itself does it matter what is open. */
  #open(unique: bigint, node: Node): void {
    const { entry: file } = node;
    if (this.#openFiles === undefined || file.kind !== "file") this.#refuse(unique, ENOSYS);
    else if (!this.#kernel.answer(unique, 0, this.#openFiles.open(node, file)))
      this.#openFiles.release(node.id);
  }

  #readLink(unique: bigint, { entry: { kind, entry } }: Node): void {
    if (kind !== "symlink") {
      this.#refuse(unique, EINVAL);
      return;
    }
    const target = Buffer.from(entry.target);
    if (target.byteLength > TARGET_BYTES_MAX) {
      this.#refuse(unique, ENAMETOOLONG);
      return;
    }
    this.#kernel.answer(unique, 0, target);
  }

  #getXattr(unique: bigint, { entry }: Node, name: Uint8Array, size: number): void {
    const value = xattrsOf(entry, this.#options.reference).get(textOf(name) ?? "");
    if (value === undefined) this.#refuse(unique, ENODATA);
    else this.#answerSized(unique, size, Buffer.from(value));
  }

  #listXattrs(unique: bigint, { entry }: Node, size: number): void {
    const names = [...xattrsOf(entry, this.#options.reference).keys()];
    this.#answerSized(unique, size, Buffer.from(names.map((name) => `${name}\0`).join("")));
  }

  /** Who asks with no room wants to know how much it takes. */
  #answerSized(unique: bigint, size: number, bytes: Uint8Array): void {
    if (size === 0) this.#kernel.answer(unique, 0, answers.sizeAnswer(bytes.byteLength));
    else if (size < bytes.byteLength) this.#refuse(unique, ERANGE);
    else this.#kernel.answer(unique, 0, bytes);
  }

  #attributesOf(node: Node): answers.Attributes {
    return attributesOf(node, this.#tops.mtime);
  }

  #refuse(unique: bigint, errno: number): void {
    this.#kernel.answer(unique, errno);
  }
}

function joined(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text, or undefined when it is no UTF-8: nothing in a version is called so. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}
