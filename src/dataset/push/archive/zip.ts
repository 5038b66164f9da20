/** Reads zip archives through yauzl. APPNOTE.TXT is PKWARE's. */
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { decodeUtf8, equalBytes } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import { TARGET_BYTES_MAX } from "../../../format/entry.ts";
import type { Members } from "./members.ts";
import type { SpoolFile } from "./spool.ts";

/** APPNOTE.TXT §4.4.2.2: systems whose archives have modes, Unix and macOS. */
const UNIX_SYSTEMS: ReadonlySet<number> = new Set([3, 19]);
const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;
const SYMLINK = 0o120000;
const REGULAR = 0o100000;
const MODE_MASK = 0o7777;
/** Of what has no mode. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;
const UNICODE_PATH = 0x7075;

/** What ends the reading, and what hears of the bytes that were unpacked. */
interface ZipOptions {
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
}

type Kind = "file" | "directory" | "symlink";

/**
 * Adds all members of the zip archive in an open file, and unpacks their bytes into `content`. Errors: SOURCE_UNREADABLE
 * for a damaged or truncated archive; those of Members and of the spool.
 */
export async function readZip(
  fd: number,
  content: SpoolFile,
  members: Members,
  options: ZipOptions,
): Promise<void> {
  try {
    // Names stay bytes: yauzl's decoding turns what is not UTF-8 into something else.
    const zip = await yauzl.fromFdPromise(fd, { decodeStrings: false });
    const unpacker = new Unpacker(zip, content, members, options);
    for await (const entry of zip.eachEntry()) await unpacker.addMember(entry);
  } catch (error) {
    throw zipError(error);
  }
}

class Unpacker {
  readonly #zip: ZipFile;
  readonly #content: SpoolFile;
  readonly #members: Members;
  readonly #options: ZipOptions;

  constructor(zip: ZipFile, content: SpoolFile, members: Members, options: ZipOptions) {
    this.#zip = zip;
    this.#content = content;
    this.#members = members;
    this.#options = options;
  }

  async addMember(entry: Entry): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const path = nameOf(entry);
    if (path === undefined) {
      this.#members.refuse(entry.fileNameRaw.toString("latin1"), "its name is not UTF-8");
      return;
    }
    const unixMode = UNIX_SYSTEMS.has(entry.versionMadeBy >>> 8) ? entry.externalFileAttributes >>> 16 : 0;
    const kind = kindOf(path, unixMode);
    const milliseconds = entry.getLastModDate({ timezone: "UTC" }).getTime();
    const reason = faultOf(entry, path, kind, milliseconds);
    if (reason !== undefined || kind === undefined) {
      this.#members.refuse(path, reason ?? "it is a device, a pipe or a socket");
      return;
    }
    const header = await this.#zip.readLocalFileHeaderPromise(entry);
    const isSameName = equalBytes(header.fileName, entry.fileNameRaw);
    if (!isSameName || header.compressionMethod !== entry.compressionMethod) {
      throw damaged(`its two headers of ${JSON.stringify(path.slice(0, 200))} differ`);
    }
    const offset = this.#content.length;
    const target = await this.#unpack(entry, path, kind);
    if (target === undefined) {
      this.#members.refuse(path, "its target is not UTF-8");
      return;
    }
    const mtimeNs = BigInt(Math.round(milliseconds)) * 1_000_000n;
    const base = { path, kind, mtimeNs, target, mode: modeOf(kind, unixMode), offset: 0, size: 0 };
    this.#members.add(kind === "file" ? { ...base, offset, size: entry.uncompressedSize } : base);
  }

  /** Puts a file's bytes into the content; gives a symlink's target, "" for all else, undefined when it is not UTF-8. */
  async #unpack(entry: Entry, path: string, kind: Kind): Promise<string | undefined> {
    const parts: Buffer[] = [];
    let crc = 0;
    const stream: Readable = await this.#zip.openReadStreamPromise(entry);
    for await (const piece of stream as AsyncIterable<Buffer>) {
      this.#options.signal?.throwIfAborted();
      this.#options.onBytes(piece.byteLength);
      crc = crc32(piece, crc);
      if (kind === "symlink") parts.push(piece);
      else await this.#content.append(piece);
    }
    if (crc !== entry.crc32) throw damaged(`${JSON.stringify(path.slice(0, 200))} does not match its CRC-32`);
    return decodeUtf8(Buffer.concat(parts));
  }
}

/** APPNOTE.TXT §4.6.9: the Unicode path stands before the name, when it is about that name. */
function nameOf(entry: Entry): string | undefined {
  if (!entry.extraFields.some((field) => field.id === UNICODE_PATH)) return decodeUtf8(entry.fileNameRaw);
  const strict = true;
  const name = yauzl.getFileNameLowLevel(
    entry.generalPurposeBitFlag,
    entry.fileNameRaw,
    entry.extraFields,
    strict,
  );
  return name.includes("\ufffd") ? undefined : name;
}

/** Undefined for what is neither a file, a folder nor a symlink. */
function kindOf(path: string, unixMode: number): Kind | undefined {
  if (path.endsWith("/")) return "directory";
  switch (unixMode & TYPE_MASK) {
    case 0:
    case REGULAR:
      return "file";
    case DIRECTORY:
      return "directory";
    case SYMLINK:
      return "symlink";
    default:
      return undefined;
  }
}

function modeOf(kind: Kind, unixMode: number): number {
  if (unixMode !== 0) return unixMode & MODE_MASK;
  return kind === "directory" ? FOLDER_MODE : FILE_MODE;
}

function faultOf(
  entry: Entry,
  path: string,
  kind: string | undefined,
  milliseconds: number,
): string | undefined {
  if (path.includes("\\")) return 'its name has a "\\": make the archive with "/" between folders';
  if (entry.isEncrypted()) return "it is encrypted: make the archive without a password";
  if (!entry.canDecodeFileData()) {
    return `its compression method ${entry.compressionMethod} is not supported: use deflate, or none`;
  }
  if (!Number.isFinite(milliseconds)) return "its time of change is none";
  if (kind === "directory" && entry.uncompressedSize > 0) return "it is a folder with bytes of its own";
  if (kind === "symlink" && entry.uncompressedSize > TARGET_BYTES_MAX) return "its target is too long";
  return undefined;
}

function damaged(why: string, cause?: unknown): AetherError {
  const message = `the zip archive is damaged or truncated: ${why}`;
  return new AetherError("SOURCE_UNREADABLE", message, cause === undefined ? {} : { cause });
}

/** yauzl and zlib throw plain errors; those of members and of the spool have their codes already. */
function zipError(error: unknown): unknown {
  if (error instanceof AetherError || (error instanceof Error && error.name === "AbortError")) return error;
  return damaged(error instanceof Error ? error.message : String(error), error);
}
