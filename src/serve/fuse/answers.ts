/** Answers and notices as the Linux kernel takes them: include/uapi/linux/fuse.h, as in protocol.ts. */
import { must } from "../../base/assert.ts";
import type { FileTime } from "../../format/entry.ts";
import {
  INIT_EXT,
  INIT_FLAGS,
  INIT_FLAGS2,
  MAJOR,
  MINOR_MAX,
  NAME_BYTES_MAX,
  type InitRequest,
} from "./protocol.ts";

/** `struct fuse_out_header` */
const HEADER_BYTES = 16;
/** `struct fuse_attr`, `fuse_entry_out`, `fuse_dirent` up to its name */
const ATTR_BYTES = 88;
const ENTRY_BYTES = 40 + ATTR_BYTES;
const DIRENT_BYTES = 24;
/** Requests of reading ahead that the kernel keeps under way, and when it holds that to be many. */
const BACKGROUND_MAX = 16;
const CONGESTED = 12;
const INIT_BYTES = 64;
/** The least that the kernel takes; nothing is written. */
const WRITE_BYTES_MAX = 4096;
const PAGE_BYTES = 4096;
const BLOCK_BYTES = 512;
/** What programs should read at once (`st_blksize`). */
const READ_BYTES = 128 * 1024;
/** Seconds that what never changes holds: as long as the kernel can say. */
export const FOREVER_SECONDS = 2 ** 31;

/** Codes of `enum fuse_notify_code`. */
const INVAL_INODE = 2;
const INVAL_ENTRY = 3;

/** `S_IFMT` of the three kinds. */
const FORMATS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/** What the kernel is told of a node. */
export interface Attributes {
  /** Names the node in requests. */
  readonly node: number;
  readonly kind: keyof typeof FORMATS;
  /** `st_ino`, its low and its high 32 bits. */
  readonly inode: readonly [number, number];
  /** Permission bits. */
  readonly mode: number;
  /** Of a file, or of a link's target. */
  readonly size: number;
  readonly mtime: FileTime;
}

/** Who owns everything. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** How long something holds, in seconds. */
export interface Validity {
  readonly entrySeconds: number;
  readonly attrSeconds: number;
}

/** The head of an answer with `bytes` after it; `errno` is positive, 0: none. */
export function answerHeader(unique: bigint, errno: number, bytes: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, HEADER_BYTES + bytes, true);
  view.setInt32(4, -errno, true);
  view.setBigUint64(8, unique, true);
  return header;
}

/**
 * `struct fuse_init_out`: what of the kernel's offers is taken. READs have at most `readBytesMax`. `isPassing`: the kernel offers to read
 * files of this machine by itself, and is taken at its word.
 */
export function initAnswer(
  { minor, flags, readAheadBytes }: InitRequest,
  readBytesMax: number,
  isPassing: boolean,
): Uint8Array {
  const always = Object.values(INIT_FLAGS).reduce((all, flag) => all | flag);
  const wanted = always | (isPassing ? INIT_EXT : 0);
  const answer = new Uint8Array(INIT_BYTES);
  const view = new DataView(answer.buffer);
  view.setUint32(0, MAJOR, true);
  view.setUint32(4, Math.min(minor, MINOR_MAX), true);
  view.setUint32(8, Math.max(readAheadBytes, readBytesMax), true);
  view.setUint32(12, (flags & wanted) >>> 0, true);
  view.setUint16(16, BACKGROUND_MAX, true);
  view.setUint16(18, CONGESTED, true);
  view.setUint32(20, WRITE_BYTES_MAX, true);
  // Times are as fine as a nanosecond.
  view.setUint32(24, 1, true);
  view.setUint16(28, readBytesMax / PAGE_BYTES, true);
  if (isPassing) {
    view.setUint32(32, INIT_FLAGS2.passthrough, true);
    // `max_stack_depth`: what it reads lies on a file system that is none of another.
    view.setUint32(36, 1, true);
  }
  return answer;
}

/** `struct fuse_entry_out` of a node. */
export function entryAnswer(attributes: Attributes, validity: Validity, owner: Owner): Uint8Array {
  const answer = new Uint8Array(ENTRY_BYTES);
  writeEntry(new DataView(answer.buffer), 0, attributes, validity, owner);
  return answer;
}

/** `struct fuse_entry_out` that says: there is nothing of that name, for so long. */
export function nothingAnswer(seconds: number): Uint8Array {
  const answer = new Uint8Array(ENTRY_BYTES);
  setInteger(new DataView(answer.buffer), 16, seconds);
  return answer;
}

/** `struct fuse_attr_out` */
export function attrAnswer(attributes: Attributes, { attrSeconds }: Validity, owner: Owner): Uint8Array {
  const answer = new Uint8Array(16 + ATTR_BYTES);
  const view = new DataView(answer.buffer);
  setInteger(view, 0, attrSeconds);
  writeAttr(view, 16, attributes, owner);
  return answer;
}

/** `struct fuse_open_out` of a file that has no handle. `backing`: the kernel's number of the file that it reads itself. */
export function openAnswer(flags: number, backing = 0): Uint8Array {
  const answer = new Uint8Array(16);
  const view = new DataView(answer.buffer);
  view.setUint32(8, flags, true);
  view.setInt32(12, backing, true);
  return answer;
}

/** `struct fuse_getxattr_out`: how long a value or a list is, for who asks for that alone. */
export function sizeAnswer(bytes: number): Uint8Array {
  const answer = new Uint8Array(8);
  new DataView(answer.buffer).setUint32(0, bytes, true);
  return answer;
}

/** `struct fuse_statfs_out` of a file system of `bytes` in `files`, with nothing free. */
export function statfsAnswer(bytes: number, files: number): Uint8Array {
  const answer = new Uint8Array(80);
  const view = new DataView(answer.buffer);
  setInteger(view, 0, Math.ceil(bytes / PAGE_BYTES));
  setInteger(view, 24, files);
  view.setUint32(40, PAGE_BYTES, true);
  view.setUint32(44, NAME_BYTES_MAX, true);
  view.setUint32(48, PAGE_BYTES, true);
  return answer;
}

/** Part of a directory, as long as there is room. */
export class DirectoryAnswer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #isPlus: boolean;
  readonly #starts: number[] = [];
  #end = 0;

  /** `isPlus`: READDIRPLUS, of which each entry is a look-up too. */
  constructor(bytesMax: number, isPlus: boolean) {
    this.#bytes = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
    this.#isPlus = isPlus;
  }

  /** Adds an entry, after which the next part begins at `next`; false: there is no room for it. */
  add(name: Uint8Array, next: number, { kind, inode }: Pick<Attributes, "inode" | "kind">): boolean {
    const before = this.#isPlus ? ENTRY_BYTES : 0;
    const bytes = Math.ceil((before + DIRENT_BYTES + name.byteLength) / 8) * 8;
    if (this.#end + bytes > this.#bytes.byteLength) return false;
    const view = this.#view;
    this.#starts.push(this.#end);
    const at = this.#end + before;
    view.setUint32(at, inode[0], true);
    view.setUint32(at + 4, inode[1], true);
    setInteger(view, at + 8, next);
    view.setUint32(at + 16, name.byteLength, true);
    view.setUint32(at + 20, FORMATS[kind] >>> 12, true);
    this.#bytes.set(name, at + DIRENT_BYTES);
    this.#end += bytes;
    return true;
  }

  /** Tells of the entry that was added as the `index`-th, from 0, what a look-up does. Without it (`.` and `..`) it is none. */
  tell(index: number, attributes: Attributes, validity: Validity, owner: Owner): void {
    writeEntry(this.#view, must(this.#starts[index], "it was added"), attributes, validity, owner);
  }

  /** What was added. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }
}

/** `struct fuse_notify_inval_inode_out`: the kernel forgets attributes and content of a node. */
export function forgetContentNotice(node: number): Uint8Array {
  const notice = noticeOf(INVAL_INODE, 24);
  setInteger(new DataView(notice.buffer), HEADER_BYTES, node);
  return notice;
}

/**
 * `struct fuse_notify_inval_entry_out`: the kernel forgets a name, and what lies below it; with `flags` EXPIRE_ONLY it asks again
 * what the name means, and keeps what is the same.
 */
export function forgetNameNotice(parent: number, name: Uint8Array, flags: number): Uint8Array {
  const notice = noticeOf(INVAL_ENTRY, 16 + name.byteLength + 1);
  const view = new DataView(notice.buffer);
  setInteger(view, HEADER_BYTES, parent);
  view.setUint32(HEADER_BYTES + 8, name.byteLength, true);
  view.setUint32(HEADER_BYTES + 12, flags, true);
  notice.set(name, HEADER_BYTES + 16);
  return notice;
}

function noticeOf(code: number, bytes: number): Uint8Array<ArrayBuffer> {
  const notice = new Uint8Array(HEADER_BYTES + bytes);
  const view = new DataView(notice.buffer);
  view.setUint32(0, notice.byteLength, true);
  view.setInt32(4, code, true);
  return notice;
}

function writeEntry(
  view: DataView,
  at: number,
  attributes: Attributes,
  { entrySeconds, attrSeconds }: Validity,
  owner: Owner,
): void {
  setInteger(view, at, attributes.node);
  setInteger(view, at + 16, entrySeconds);
  setInteger(view, at + 24, attrSeconds);
  writeAttr(view, at + 40, attributes, owner);
}

function writeAttr(view: DataView, at: number, attributes: Attributes, { uid, gid }: Owner): void {
  const { inode, kind, mode, size, mtime } = attributes;
  view.setUint32(at, inode[0], true);
  view.setUint32(at + 4, inode[1], true);
  setInteger(view, at + 8, size);
  setInteger(view, at + 16, Math.ceil(size / BLOCK_BYTES));
  for (const [index, time] of [24, 32, 40].entries()) {
    // Before 1970 it is negative, in two's complement.
    setInteger(view, at + time, mtime.seconds);
    view.setUint32(at + 48 + 4 * index, mtime.nanos, true);
  }
  view.setUint32(at + 60, FORMATS[kind] | mode, true);
  // One link also of a directory: who counts its folders by it is told that it cannot.
  view.setUint32(at + 64, 1, true);
  view.setUint32(at + 68, uid, true);
  view.setUint32(at + 72, gid, true);
  view.setUint32(at + 80, READ_BYTES, true);
}

function setInteger(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}
