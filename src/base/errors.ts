/**
 * The one table of operating errors. Every interface maps a code by its column; docs/errors.md repeats the table and a
 * test holds the two together. Programming errors are assertions (assert.ts), never rows here.
 */

/** What each interface says for a code. `retry` tells whether the same call may succeed later unchanged. */
interface ErrorRow {
  /** One line: what is wrong, in general. */
  readonly text: string;
  /** gRPC status name. */
  readonly grpc: string;
  /** HTTP status. */
  readonly http: number;
  /** POSIX errno name. */
  readonly errno: string;
  /** NFSv3 status name (RFC 1813 §2.6). */
  readonly nfs: string;
  /** Exit code of the CLI. */
  readonly exit: number;
  readonly retry: boolean;
}

function row(
  text: string,
  grpc: string,
  http: number,
  errno: string,
  nfs: string,
  exit: number,
  retry = false,
): ErrorRow {
  return { text, grpc, http, errno, nfs, exit, retry };
}

/** Code → row. Exit codes: 1 internal, 2 usage, 3 not found, 4 conflict, 5 damaged data, 6 not permitted, 7 no space,
 * 8 unavailable, 9 not supported, 10 the source of a push, 130 interrupted. */
export const ERRORS = {
  ARGUMENT_INVALID: row("An argument is not valid.", "INVALID_ARGUMENT", 400, "EINVAL", "NFS3ERR_INVAL", 2),
  CONFIG_INVALID: row("A setting is not valid.", "INVALID_ARGUMENT", 400, "EINVAL", "NFS3ERR_INVAL", 2),
  REFERENCE_INVALID: row("A reference is not valid.", "INVALID_ARGUMENT", 400, "EINVAL", "NFS3ERR_INVAL", 2),
  PATH_INVALID: row("A path is not valid.", "INVALID_ARGUMENT", 400, "EINVAL", "NFS3ERR_INVAL", 2),
  RANGE_INVALID: row("A byte range lies outside.", "OUT_OF_RANGE", 416, "EINVAL", "NFS3ERR_INVAL", 2),
  LIMIT_EXCEEDED: row("A limit is exceeded.", "RESOURCE_EXHAUSTED", 413, "EFBIG", "NFS3ERR_FBIG", 2),
  DATASET_NOT_FOUND: row("There is no such dataset.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 3),
  TAG_NOT_FOUND: row("There is no such tag.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 3),
  VERSION_NOT_FOUND: row("There is no such version.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 3),
  PATH_NOT_FOUND: row(
    "The version has nothing at that path.",
    "NOT_FOUND",
    404,
    "ENOENT",
    "NFS3ERR_NOENT",
    3,
  ),
  BLOCK_NOT_FOUND: row("There is no such block.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 3),
  STORE_NOT_FOUND: row("There is no store there.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 3),
  BLOCK_EXISTS: row("The block is there already.", "ALREADY_EXISTS", 409, "EEXIST", "NFS3ERR_EXIST", 4),
  TAG_CONFLICT: row(
    "The tag was moved by someone else.",
    "ABORTED",
    409,
    "EBUSY",
    "NFS3ERR_JUKEBOX",
    4,
    true,
  ),
  TAG_IMMUTABLE: row("The tag may not be moved.", "FAILED_PRECONDITION", 409, "EPERM", "NFS3ERR_PERM", 4),
  OBJECT_CONFLICT: row(
    "An object was changed by someone else.",
    "ABORTED",
    409,
    "EBUSY",
    "NFS3ERR_JUKEBOX",
    4,
    true,
  ),
  OBJECT_MISSING: row("A stored object is missing.", "DATA_LOSS", 500, "EIO", "NFS3ERR_IO", 5),
  OBJECT_CORRUPT: row("Stored bytes do not match their digest.", "DATA_LOSS", 500, "EIO", "NFS3ERR_IO", 5),
  OBJECT_INVALID: row("A stored object is malformed.", "DATA_LOSS", 500, "EIO", "NFS3ERR_IO", 5),
  MANIFEST_UNSAFE: row(
    "The version holds a path that may not be written here.",
    "FAILED_PRECONDITION",
    422,
    "EPERM",
    "NFS3ERR_PERM",
    5,
  ),
  FOLDER_DIFFERS: row("The folder differs from the version.", "DATA_LOSS", 409, "EIO", "NFS3ERR_IO", 5),
  STORE_FOREIGN: row(
    "The folder holds something that is not an AetherFS store.",
    "FAILED_PRECONDITION",
    409,
    "EEXIST",
    "NFS3ERR_EXIST",
    6,
  ),
  STORE_UNWRITABLE: row(
    "The store may not be written.",
    "PERMISSION_DENIED",
    403,
    "EACCES",
    "NFS3ERR_ACCES",
    6,
  ),
  STORE_UNREADABLE: row("The store may not be read.", "PERMISSION_DENIED", 403, "EACCES", "NFS3ERR_ACCES", 6),
  TARGET_UNWRITABLE: row(
    "The target folder may not be written.",
    "PERMISSION_DENIED",
    403,
    "EACCES",
    "NFS3ERR_ACCES",
    6,
  ),
  MOUNT_FAILED: row(
    "It could not be mounted or unmounted.",
    "FAILED_PRECONDITION",
    409,
    "EBUSY",
    "NFS3ERR_PERM",
    6,
  ),
  SPACE_EXHAUSTED: row("The disk is full.", "RESOURCE_EXHAUSTED", 507, "ENOSPC", "NFS3ERR_NOSPC", 7),
  STORE_UNAVAILABLE: row("The store does not answer.", "UNAVAILABLE", 503, "EIO", "NFS3ERR_JUKEBOX", 8, true),
  DEADLINE_EXCEEDED: row(
    "It took too long.",
    "DEADLINE_EXCEEDED",
    504,
    "ETIMEDOUT",
    "NFS3ERR_JUKEBOX",
    8,
    true,
  ),
  FORMAT_UNSUPPORTED: row(
    "The object needs a newer AetherFS.",
    "UNIMPLEMENTED",
    501,
    "ENOTSUP",
    "NFS3ERR_NOTSUPP",
    9,
  ),
  FEATURE_UNSUPPORTED: row("That is not supported.", "UNIMPLEMENTED", 501, "ENOTSUP", "NFS3ERR_NOTSUPP", 9),
  SESSION_LOST: row(
    "The hub does not know the push any more.",
    "ABORTED",
    409,
    "EAGAIN",
    "NFS3ERR_JUKEBOX",
    8,
    true,
  ),
  UNAUTHENTICATED: row("Nobody says who is asking.", "UNAUTHENTICATED", 401, "EACCES", "NFS3ERR_ACCES", 6),
  ACCESS_DENIED: row("That is not allowed.", "PERMISSION_DENIED", 403, "EACCES", "NFS3ERR_ACCES", 6),
  HUB_UNAVAILABLE: row("The hub does not answer.", "UNAVAILABLE", 503, "EIO", "NFS3ERR_JUKEBOX", 8, true),
  HUB_BUSY: row("The hub has too much to do.", "UNAVAILABLE", 503, "EAGAIN", "NFS3ERR_JUKEBOX", 8, true),
  SOURCE_NOT_FOUND: row("The source does not exist.", "NOT_FOUND", 404, "ENOENT", "NFS3ERR_NOENT", 10),
  SOURCE_UNREADABLE: row(
    "A source file cannot be read.",
    "PERMISSION_DENIED",
    403,
    "EACCES",
    "NFS3ERR_ACCES",
    10,
  ),
  SOURCE_UNSUPPORTED: row(
    "The source holds something that a dataset cannot hold.",
    "FAILED_PRECONDITION",
    422,
    "ENOTSUP",
    "NFS3ERR_NOTSUPP",
    10,
  ),
  SOURCE_CHANGED: row(
    "A source file changed while it was read.",
    "ABORTED",
    409,
    "EBUSY",
    "NFS3ERR_JUKEBOX",
    10,
    true,
  ),
  CANCELLED: row("It was interrupted.", "CANCELLED", 499, "EINTR", "NFS3ERR_JUKEBOX", 130),
  INTERNAL: row("AetherFS itself failed.", "INTERNAL", 500, "EIO", "NFS3ERR_SERVERFAULT", 1),
} as const satisfies Record<string, ErrorRow>;

/** A code of the table. Match on this, never on a message. */
export type ErrorCode = keyof typeof ERRORS;

/** Facts about an error that an interface may show (a reference, a path as the user gave it, a digest, a limit). */
export type ErrorData = Readonly<Record<string, string | number | boolean>>;

/** The one class of operating errors. `message` says what was wrong, with what, and what to do. */
export class AetherError extends Error {
  override readonly name = "AetherError";
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  /** Whether the same call may succeed later, unchanged. */
  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

/** The code of any thrown value: the table's for an AetherError, CANCELLED for an abort, else INTERNAL. */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof AetherError) return error.code;
  if (error instanceof Error && error.name === "AbortError") return "CANCELLED";
  return "INTERNAL";
}

/** The POSIX code (`ENOENT`) of an error of Node's, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
