/**
 * What the Linux kernel asks of a file system in user space: requests as they are read from /dev/fuse. Numbers and layouts
 * are those of include/uapi/linux/fuse.h, version 7.31 and later, in the machine's byte order, which is little-endian on all
 * that AetherFS runs on; the struct is named at each.
 */

/** `FUSE_KERNEL_VERSION`, and the newest minor version whose structs are known here. */
export const MAJOR = 7;
export const MINOR_MAX = 45;
/** Linux 5.4: what is relied on is there from here on. */
export const MINOR_MIN = 31;
/** Bytes of a name that every kernel takes (`FUSE_NAME_MAX`). */
export const NAME_BYTES_MAX = 1024;
/** What all extended attributes begin with that there are. */
export const XATTR_PREFIX = "user.aetherfs.";
/** `FUSE_ROOT_ID` */
export const ROOT_ID = 1;

/** Flags of `struct fuse_init_in` and `fuse_init_out`. */
export const INIT_FLAGS = {
  asyncRead: 1 << 0,
  /** Nothing but the top ever has another time: a list of it that the kernel keeps holds as long as that one. */
  autoInvalData: 1 << 12,
  /** Without `FUSE_READDIRPLUS_AUTO` (1 << 14): who lists a long folder and then asks for each file's size finds it there. */
  doReaddirplus: 1 << 13,
  noOpenSupport: 1 << 17,
  parallelDirops: 1 << 18,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  noOpendirSupport: 1 << 24,
} as const;
/** Bits of `flags2` there. */
export const INIT_FLAGS2 = { expireOnly: 1 << 3, passthrough: 1 << 5 } as const;
/** `FUSE_INIT_EXT`: `flags2` of an answer counts. */
export const INIT_EXT = 1 << 30;
/** `FOPEN_KEEP_CACHE` and `FOPEN_PASSTHROUGH` of `struct fuse_open_out` */
export const KEEP_CACHE = 1 << 1;
export const PASSTHROUGH = 1 << 7;
/** `FUSE_EXPIRE_ONLY` of `struct fuse_notify_inval_entry_out`, which a kernel with INIT_FLAGS2.expireOnly knows. */
export const EXPIRE_ONLY = 1 << 0;

/** Bytes that a read of /dev/fuse has room for: more than `FUSE_MIN_READ_BUFFER`, for many forgotten nodes at once. */
export const REQUEST_BYTES_MAX = 64 * 1024;

/** `enum fuse_opcode`, as far as there is more of an answer than a refusal. */
const KINDS = {
  1: "lookup",
  2: "forget",
  3: "getattr",
  5: "readlink",
  14: "open",
  15: "read",
  17: "statfs",
  18: "release",
  22: "getxattr",
  23: "listxattr",
  26: "init",
  27: "opendir",
  28: "readdir",
  36: "interrupt",
  38: "destroy",
  42: "batchForget",
  44: "readdirplus",
} as const;

/**
 * What would change something: SETATTR, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, WRITE, SETXATTR, REMOVEXATTR,
 * CREATE, FALLOCATE, RENAME2, COPY_FILE_RANGE, TMPFILE, COPY_FILE_RANGE_64.
 */
const WRITING: ReadonlySet<number> = new Set([
  4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51, 53,
]);

const HEADER_BYTES = 40;
/** `struct fuse_forget_one` */
const FORGET_BYTES = 16;

/** `struct fuse_in_header`: what every request begins with. */
interface RequestHeader {
  /** Names the request, as the answer repeats it. */
  readonly unique: bigint;
  /** What it is about: ROOT_ID, or a number that an answer gave. */
  readonly node: number;
  /** The thread that waits for the answer, as the mount's PID namespace has it; 0: it has no number there. */
  readonly pid: number;
}

/** How often the kernel got a node, which it gives back. */
export interface Forgotten {
  readonly node: number;
  readonly lookups: number;
}

/** What a request asks for. */
type RequestBody =
  | { readonly kind: "lookup"; readonly name: Uint8Array }
  | { readonly kind: "getxattr"; readonly name: Uint8Array; readonly size: number }
  | { readonly kind: "listxattr"; readonly size: number }
  | { readonly kind: "forget"; readonly nodes: readonly Forgotten[] }
  | { readonly kind: "read" | "readdir" | "readdirplus"; readonly offset: number; readonly size: number }
  | { readonly kind: "release"; readonly handle: number }
  | { readonly kind: "interrupt"; readonly interrupted: bigint }
  | InitRequest
  | { readonly kind: "getattr" | "readlink" | "open" | "opendir" | "statfs" | "destroy" }
  | { readonly kind: "writing" | "unknown" };

/** `struct fuse_init_in`: what the kernel can do. */
export interface InitRequest {
  readonly kind: "init";
  readonly major: number;
  readonly minor: number;
  readonly readAheadBytes: number;
  readonly flags: number;
  readonly flags2: number;
}

/** A request, taken apart as far as it matters here. */
export type Request = RequestHeader & RequestBody;

/** Takes a request apart; undefined: these bytes are none. Never throws. What it gives holds no memory of `bytes`. */
export function decodeRequest(bytes: Uint8Array): Request | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  if (length < HEADER_BYTES || length > bytes.byteLength) return undefined;
  const code = view.getUint32(4, true);
  const header = {
    unique: view.getBigUint64(8, true),
    node: integerAt(view, 16),
    pid: view.getUint32(32, true),
  };
  // Extensions come last (`total_extlen`, in units of 8 bytes); none is asked for.
  const end = length - 8 * view.getUint16(36, true);
  if (end < HEADER_BYTES) return undefined;
  const body = new DataView(bytes.buffer, bytes.byteOffset + HEADER_BYTES, end - HEADER_BYTES);
  const decoded = decodeBody(code, header.node, body);
  return decoded && { ...header, ...decoded };
}

function decodeBody(code: number, node: number, body: DataView): RequestBody | undefined {
  if (WRITING.has(code)) return { kind: "writing" };
  if (!(code in KINDS)) return { kind: "unknown" };
  const kind = KINDS[code as keyof typeof KINDS];
  const bytes = body.byteLength;
  switch (kind) {
    case "lookup":
      return nameAt(body, 0, (name) => ({ kind, name }));
    case "getxattr":
      // `struct fuse_getxattr_in`
      return bytes < 8
        ? undefined
        : nameAt(body, 8, (name) => ({ kind, name, size: body.getUint32(0, true) }));
    case "listxattr":
      return bytes < 8 ? undefined : { kind, size: body.getUint32(0, true) };
    case "forget":
      // `struct fuse_forget_in`
      return bytes < 8 ? undefined : { kind, nodes: [{ node, lookups: integerAt(body, 0) }] };
    case "batchForget":
      return forgottenIn(body);
    case "read":
    case "readdir":
    case "readdirplus":
      // `struct fuse_read_in`
      return bytes < 20 ? undefined : { kind, offset: integerAt(body, 8), size: body.getUint32(16, true) };
    case "release":
      return bytes < 8 ? undefined : { kind, handle: integerAt(body, 0) };
    case "interrupt":
      return bytes < 8 ? undefined : { kind, interrupted: body.getBigUint64(0, true) };
    case "init":
      return initIn(body);
    default:
      return { kind };
  }
}

function initIn(body: DataView): InitRequest | undefined {
  if (body.byteLength < 16) return undefined;
  return {
    kind: "init",
    major: body.getUint32(0, true),
    minor: body.getUint32(4, true),
    readAheadBytes: body.getUint32(8, true),
    flags: body.getUint32(12, true),
    flags2: body.byteLength < 20 ? 0 : body.getUint32(16, true),
  };
}

/** `struct fuse_batch_forget_in`, then as many `struct fuse_forget_one` as it says, or as there is room for. */
function forgottenIn(body: DataView): RequestBody | undefined {
  if (body.byteLength < 8) return undefined;
  const count = Math.min(body.getUint32(0, true), Math.floor((body.byteLength - 8) / FORGET_BYTES));
  const nodes = Array.from({ length: count }, (_, index) => {
    const at = 8 + index * FORGET_BYTES;
    return { node: integerAt(body, at), lookups: integerAt(body, at + 8) };
  });
  return { kind: "forget", nodes };
}

/** A name up to its NUL, which ends the body. */
function nameAt<T>(body: DataView, at: number, make: (name: Uint8Array) => T): T | undefined {
  const bytes = new Uint8Array(body.buffer, body.byteOffset + at, body.byteLength - at);
  const end = bytes.indexOf(0);
  return end <= 0 ? undefined : make(bytes.slice(0, end));
}

/** 64 bits as a number; what is above 2^53 is no number that was given out, whichever it becomes. */
function integerAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** As much of a request as says that it needs nobody who knows the tree; undefined: it does. */
export function simpleRequest(
  bytes: Uint8Array,
):
  | { readonly kind: "open" | "release" | "foreignXattr"; readonly unique: bigint; readonly node: number }
  | undefined {
  const kind = SIMPLE.get(bytes[4] ?? 0);
  if (kind === undefined || bytes.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(4, true) > 255 || (kind === "foreignXattr" && isOwnXattr(bytes))) return undefined;
  return { kind, unique: view.getBigUint64(8, true), node: integerAt(view, 16) };
}

const SIMPLE = new Map([
  [14, "open"],
  [18, "release"],
  [22, "foreignXattr"],
] as const) as ReadonlyMap<number, "open" | "release" | "foreignXattr">;
const PREFIX_BYTES = new TextEncoder().encode(XATTR_PREFIX);

/** Whether a GETXATTR is about one that may be there, or too short to tell. */
function isOwnXattr(bytes: Uint8Array): boolean {
  const name = bytes.subarray(HEADER_BYTES + 8);
  return name.byteLength === 0 || PREFIX_BYTES.every((byte, index) => name[index] === byte);
}
