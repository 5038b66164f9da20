/** Reads tar archives (POSIX pax and ustar, GNU, v7) through tar-stream, which does not tell everything: see TarBlocks. */
import fs from "node:fs";
import { pipeline } from "node:stream/promises";
import { extract, type ExtractEvents, type Header } from "tar-stream";
import { decodeUtf8 } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import type { Member, Members } from "./members.ts";

const BLOCK_BYTES = 512;
const TAIL_PIECE_BYTES = 64 * 1024;
const TYPE_AT = 156;
const MTIME_AT = 136;
const MTIME_END = 148;
const NANOS = 1_000_000_000n;
const MODE_MASK = 0o7777;
const BYTELESS_TYPES: ReadonlySet<string> = new Set(["link", "symlink", "directory", "fifo"]);

/** Options that tar-stream takes besides those that its types say: v7 archives, and names as bytes. */
const OPTIONS: object = { allowUnknownFormat: true, filenameEncoding: "latin1" };

/**
 * Adds all members of the archive in an open file. `bytes` gives it whole and in order; each piece lies in the file
 * before it is given. Errors: SOURCE_UNREADABLE for a damaged or truncated archive, or one that goes on after its end
 * mark; SOURCE_UNSUPPORTED; those of Members and of `bytes`.
 */
export async function readTar(
  bytes: AsyncIterable<Uint8Array>,
  fd: number,
  members: Members,
  signal: AbortSignal | undefined,
): Promise<void> {
  const blocks = new TarBlocks(fd);
  const parser = extract(OPTIONS);
  parser.on("entry", (...[header, content, next]: ExtractEvents["entry"]) => {
    // It fails with the parser, which tells of it.
    content.on("error", () => undefined);
    try {
      addMember(header, content.offset + BLOCK_BYTES, blocks, members);
    } catch (error) {
      parser.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    content.on("end", next);
    content.resume();
  });
  try {
    await pipeline(bytes, parser, signal === undefined ? {} : { signal });
  } catch (error) {
    throw tarError(error);
  }
  blocks.checkEnd();
}

function addMember(header: Header, offset: number, blocks: TarBlocks, members: Members): void {
  const { mode, size } = header;
  const pax = (header.pax ?? {}) as Readonly<Record<string, string>>;
  const block = blocks.next(offset, header.type === "directory" ? 0 : size);
  checkFrame(header, block, pax);
  const path = textOf(header.name, pax["path"]);
  const target = textOf(header.linkname, pax["linkpath"]);
  if (path === undefined || target === undefined) {
    members.refuse(header.name, "its name or its target is not UTF-8");
    return;
  }
  // v7 has no other sign of a folder.
  const type = header.type === "file" && path.endsWith("/") ? "directory" : header.type;
  if (type === "directory" && size > 0) throw unsupported(path, "is a folder, but has bytes of its own");
  const mtimeNs = mtimeOf(pax["mtime"], header.mtime, block);
  if (mtimeNs === undefined || !Number.isSafeInteger(mode)) {
    members.refuse(path, "its header has a number that is none");
    return;
  }
  const base = { path, mode: mode & MODE_MASK, mtimeNs, offset, target: "", size: 0 };
  const member = memberOf(base, type, size, target);
  if (typeof member === "string") members.refuse(path, member);
  else members.add(member);
}

/** Refuses what makes the place where the next member begins uncertain: it cannot be left out. */
function checkFrame(
  { name, type, size }: Header,
  block: Buffer,
  pax: Readonly<Record<string, string>>,
): void {
  const typeFlag = String.fromCharCode(block[TYPE_AT] ?? 0);
  const isSparse = typeFlag === "S" || Object.keys(pax).some((key) => key.startsWith("GNU.sparse."));
  if (isSparse) throw unsupported(name, "is a sparse file: make the archive without --sparse");
  if (typeFlag === "M") throw unsupported(name, "goes on from another volume: join the volumes first");
  // Programs differ on whether these bytes are there; tar-stream waits for them without end.
  if (size > 0 && BYTELESS_TYPES.has(type)) {
    throw unsupported(name, "has bytes of its own, but is no file: make the archive anew");
  }
}

/** The member, or why there is none. */
function memberOf(
  base: Omit<Member, "kind">,
  type: Header["type"] | null,
  size: number,
  target: string,
): Member | string {
  switch (type) {
    case "file":
    case "contiguous-file":
      return { ...base, kind: "file", size };
    case "directory":
      return { ...base, kind: "directory" };
    case "symlink":
      return { ...base, kind: "symlink", target };
    case "link":
      return { ...base, kind: "link", target };
    case "fifo":
      return "it is a pipe";
    case "character-device":
    case "block-device":
      return "it is a device";
    default:
      return "it is of a kind that tar archives seldom have";
  }
}

/**
 * A name: pax's, which tar-stream has decoded already, else the header's bytes; "" for none, which tar-stream gives as null
 * whatever its types say. Undefined when it is not UTF-8.
 */
function textOf(latin1: string | null, pax: string | undefined): string | undefined {
  if (pax !== undefined && pax !== "") return pax.includes("\ufffd") ? undefined : pax;
  return decodeUtf8(Buffer.from(latin1 ?? "", "latin1"));
}

/** The time of change, or undefined; tar-stream's is wrong where it lies before 1970. */
function mtimeOf(pax: string | undefined, mtime: Date, block: Buffer): bigint | undefined {
  if (pax !== undefined) return parseTime(pax);
  if ((block[MTIME_AT] ?? 0) >= 0x80) {
    const bits = BigInt(`0x${block.toString("hex", MTIME_AT + 1, MTIME_END)}`);
    return BigInt.asIntN(8 * (MTIME_END - MTIME_AT - 1), bits) * NANOS;
  }
  const milliseconds = mtime.getTime();
  return Number.isSafeInteger(milliseconds) ? BigInt(milliseconds) * 1_000_000n : undefined;
}

/** Seconds with a fraction as POSIX pax has them, in nanoseconds. */
function parseTime(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d{0,30}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, seconds = "0", fraction = ""] = match;
  const nanos = BigInt(seconds) * NANOS + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -nanos : nanos;
}

/** Looks at the archive's own blocks, for what tar-stream passes over: its end mark, and what follows it. */
class TarBlocks {
  readonly #fd: number;
  /** Where the last member ends. */
  #end = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The header block of the next member, whose bytes begin at `offset`. Errors: SOURCE_UNREADABLE. */
  next(offset: number, size: number): Buffer {
    const first = this.#read(this.#end, BLOCK_BYTES);
    if (isZero(first)) throw goesOn();
    const headerAt = offset - BLOCK_BYTES;
    // Headers of pax and GNU stand before the member's own.
    const header = headerAt === this.#end ? first : this.#read(headerAt, BLOCK_BYTES);
    this.#end = offset + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    return header;
  }

  /** Checks that an end mark follows, and nothing but zeros after it. Errors: SOURCE_UNREADABLE. */
  checkEnd(): void {
    let at = this.#end;
    for (;;) {
      const piece = this.#read(at, TAIL_PIECE_BYTES);
      if (piece.byteLength === 0) break;
      if (!isZero(piece)) throw goesOn();
      at += piece.byteLength;
    }
    if (at - this.#end < BLOCK_BYTES) throw damaged("its end is missing");
  }

  #read(at: number, lengthBytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(lengthBytes);
    return buffer.subarray(0, fs.readSync(this.#fd, buffer, 0, lengthBytes, at));
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function goesOn(): AetherError {
  return damaged(
    "something follows its end mark; of archives that were joined, make one with tar --concatenate",
  );
}

function damaged(why: string, cause?: unknown): AetherError {
  const message = `the tar archive is damaged or truncated: ${why}`;
  return new AetherError("SOURCE_UNREADABLE", message, cause === undefined ? {} : { cause });
}

function unsupported(path: string, what: string): AetherError {
  return new AetherError(
    "SOURCE_UNSUPPORTED",
    `${JSON.stringify(path.slice(0, 200))} of the archive ${what}`,
  );
}

/** tar-stream throws plain errors; those of the source and of members have their codes already. */
function tarError(error: unknown): unknown {
  if (error instanceof AetherError || (error instanceof Error && error.name === "AbortError")) return error;
  return damaged(error instanceof Error ? error.message : String(error), error);
}
