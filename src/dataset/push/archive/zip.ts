/** Reads zip archives through yauzl. APPNOTE.TXT is PKWARE's. */
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { decodeUtf8, equalBytes } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import { TARGET_BYTES_MAX } from "../../../format/entry.ts";
import type { Member, Members } from "./members.ts";
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

/**
 * Adds all members of the zip archive in an open file, and unpacks their bytes into `content`. Errors: SOURCE_UNREADABLE
 * for a damaged or truncated archive; those of Members and of the spool.
 */
export async function readZip(
  fd: number,
  content: SpoolFile,
  members: Members,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    // Names stay bytes: yauzl's decoding turns what is not UTF-8 into something else.
    const zip = await yauzl.fromFdPromise(fd, { decodeStrings: false });
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted();
      await addMember(zip, entry, content, members);
    }
  } catch (error) {
    throw zipError(error);
  }
}

async function addMember(zip: ZipFile, entry: Entry, content: SpoolFile, members: Members): Promise<void> {
  const path = nameOf(entry);
  if (path === undefined) {
    members.refuse(entry.fileNameRaw.toString("latin1"), "its name is not UTF-8");
    return;
  }
  const unixMode = UNIX_SYSTEMS.has(entry.versionMadeBy >>> 8) ? entry.externalFileAttributes >>> 16 : 0;
  const kind = kindOf(path, unixMode);
  const milliseconds = entry.getLastModDate({ timezone: "UTC" }).getTime();
  const reason = faultOf(entry, path, kind, milliseconds);
  if (reason !== undefined || kind === undefined) {
    members.refuse(path, reason ?? "it is a device, a pipe or a socket");
    return;
  }
  const header = await zip.readLocalFileHeaderPromise(entry);
  if (
    !equalBytes(header.fileName, entry.fileNameRaw) ||
    header.compressionMethod !== entry.compressionMethod
  ) {
    throw damaged(`its two headers of ${JSON.stringify(path.slice(0, 200))} differ`);
  }
  const offset = content.length;
  const bytes = await unpack(zip, entry, path, kind === "symlink" ? undefined : content);
  const target = kind === "symlink" ? decodeUtf8(bytes) : "";
  if (target === undefined) {
    members.refuse(path, "its target is not UTF-8");
    return;
  }
  const mtimeNs = BigInt(Math.round(milliseconds)) * 1_000_000n;
  const base = { path, kind, mtimeNs, target, mode: modeOf(kind, unixMode), offset: 0, size: 0 };
  const member: Member = kind === "file" ? { ...base, offset, size: entry.uncompressedSize } : base;
  members.add(member);
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
function kindOf(path: string, unixMode: number): "file" | "directory" | "symlink" | undefined {
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

function modeOf(kind: "file" | "directory" | "symlink", unixMode: number): number {
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

/** The bytes of a member: given back when there is no `content` to put them into. */
async function unpack(
  zip: ZipFile,
  entry: Entry,
  path: string,
  content: SpoolFile | undefined,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let crc = 0;
  const stream: Readable = await zip.openReadStreamPromise(entry);
  for await (const piece of stream as AsyncIterable<Buffer>) {
    crc = crc32(piece, crc);
    if (content === undefined) parts.push(piece);
    else await content.append(piece);
  }
  if (crc !== entry.crc32) throw damaged(`${JSON.stringify(path.slice(0, 200))} does not match its CRC-32`);
  return Buffer.concat(parts);
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
