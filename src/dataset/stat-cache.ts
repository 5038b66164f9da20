/**
 * Remembers what files looked like when they last equalled a version, so that unchanged ones need not be read again. A
 * hint: it lies in the cache folder and may be deleted at any time. Synchronous: for threads.
 *
 * The file: magic, one record for each entry in path order, the version's digest, CRC-32 of all before. Integers are
 * little-endian.
 */
import fs from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { compareUtf8 } from "../base/bytes.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../format/digest.ts";

/** What tells a file from a changed one. */
export interface StatRecord {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly ino: bigint;
}

const MAGIC = Buffer.from("AFSTAT1\n");
const FIXED_BYTES = 2 + 8 + 4 + 8 + 8 + 8;
const CRC_BYTES = 4;
const TRAILER_BYTES = DIGEST_BYTES + CRC_BYTES;
const BUFFER_BYTES = 256 * 1024;
const TEMPORARY_SUFFIX = ".tmp";

/** File systems that keep whole seconds may show a change two seconds later under the same time. */
const COARSE_NS = 2_000_000_000n;
/** Others stamp changes with the tick of the kernel's clock. */
const FINE_NS = 50_000_000n;

/**
 * Whether a file that was seen with this ctime at `seenNs` could still change without its ctime changing. Such a file's
 * record is not kept.
 */
export function isRacy(ctimeNs: bigint, seenNs: bigint): boolean {
  const granularityNs = ctimeNs % 1_000_000_000n === 0n ? COARSE_NS : FINE_NS;
  return ctimeNs + granularityNs >= seenNs;
}

/** Whether the file is as it was. */
export function sameStat(a: StatRecord, b: StatRecord): boolean {
  return (
    a.size === b.size &&
    a.mode === b.mode &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.ino === b.ino
  );
}

/**
 * The version that the cache at `file` says it is about; undefined when there is no cache. Whether it is whole, the reader
 * finds out.
 */
export function statCacheVersion(file: string): Digest | undefined {
  const fd = openOrUndefined(file);
  if (fd === undefined) return undefined;
  try {
    return readTrailer(fd)?.version;
  } finally {
    fs.closeSync(fd);
  }
}

function openOrUndefined(file: string): number | undefined {
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    if (fs.fstatSync(fd).isFile()) return fd;
    fs.closeSync(fd);
  } catch {
    // A hint that cannot be read is none.
  }
  return undefined;
}

function readTrailer(fd: number): { readonly version: Digest; readonly crc: number } | undefined {
  const sizeBytes = fs.fstatSync(fd).size;
  const trailer = Buffer.alloc(TRAILER_BYTES);
  if (sizeBytes < MAGIC.byteLength + TRAILER_BYTES) return undefined;
  fs.readSync(fd, trailer, 0, TRAILER_BYTES, sizeBytes - TRAILER_BYTES);
  return { version: digestFromBytes(trailer), crc: trailer.readUInt32LE(DIGEST_BYTES) };
}

function isWhole(fd: number, crcWanted: number): boolean {
  const endOffset = fs.fstatSync(fd).size - CRC_BYTES;
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  let crc = 0;
  for (let offset = 0; offset < endOffset;) {
    const bytes = fs.readSync(fd, buffer, 0, Math.min(BUFFER_BYTES, endOffset - offset), offset);
    const isForeign = offset === 0 && !buffer.subarray(0, MAGIC.byteLength).equals(MAGIC);
    if (bytes === 0 || isForeign) return false;
    crc = crc32(buffer.subarray(0, bytes), crc);
    offset += bytes;
  }
  return crc === crcWanted;
}

/** Reads a cache beside a walk in the same order. */
export class StatCacheReader {
  #fd: number | undefined;
  readonly #endOffset: number;
  #buffer = Buffer.alloc(0);
  #fileOffset = MAGIC.byteLength;
  #current: StatRecord | undefined;

  /**
   * Opens the cache, about `version` when one is given. One that is missing, not whole or about another version (another push may just have
   * replaced it) reads as an empty one.
   */
  constructor(file: string | undefined, version?: Digest) {
    const fd = file === undefined ? undefined : openOrUndefined(file);
    this.#fd = fd;
    this.#endOffset = fd === undefined ? 0 : fs.fstatSync(fd).size - TRAILER_BYTES;
    const trailer = fd === undefined ? undefined : readTrailer(fd);
    const isWanted = trailer !== undefined && (version ?? trailer.version) === trailer.version;
    if (fd !== undefined && isWanted && isWhole(fd, trailer.crc)) this.#current = this.#read();
    else this.close();
  }

  /** The record of `path`, or undefined. Paths must ascend from call to call. */
  find(path: string): StatRecord | undefined {
    while (this.#current !== undefined) {
      const order = compareUtf8(this.#current.path, path);
      if (order === 0) return this.#current;
      if (order > 0) return undefined;
      this.#current = this.#read();
    }
    return undefined;
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
    this.#current = undefined;
  }

  #read(): StatRecord | undefined {
    const fixed = this.#take(FIXED_BYTES);
    if (fixed === undefined) return undefined;
    const pathBytes = fixed.readUInt16LE(0);
    const record = {
      size: fixed.readDoubleLE(2),
      mode: fixed.readUInt32LE(10),
      mtimeNs: fixed.readBigInt64LE(14),
      ctimeNs: fixed.readBigInt64LE(22),
      ino: fixed.readBigUInt64LE(30),
    };
    const path = this.#take(pathBytes);
    return path === undefined ? undefined : { ...record, path: path.toString("utf8") };
  }

  #take(wantedBytes: number): Buffer | undefined {
    if (this.#buffer.byteLength < wantedBytes && !this.#fill(wantedBytes)) return undefined;
    const taken = this.#buffer.subarray(0, wantedBytes);
    this.#buffer = this.#buffer.subarray(wantedBytes);
    return taken;
  }

  #fill(wantedBytes: number): boolean {
    if (this.#fd === undefined) return false;
    const more = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, this.#endOffset - this.#fileOffset));
    const bytes =
      more.byteLength === 0 ? 0 : fs.readSync(this.#fd, more, 0, more.byteLength, this.#fileOffset);
    this.#fileOffset += bytes;
    this.#buffer = Buffer.concat([this.#buffer, more.subarray(0, bytes)]);
    return this.#buffer.byteLength >= wantedBytes;
  }
}

/** Temporary files of pushes that died are removed when they are this old. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** Writes a cache beside the place where it will lie; only commit() puts it there. One that cannot be written is none. */
export class StatCacheWriter {
  readonly #file: string;
  readonly #temporary: string;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #fd: number | undefined;
  #length = 0;
  #crc = 0;

  /** `file` lies in an existing folder; `id` makes the temporary name its own. */
  constructor(file: string, id: string) {
    this.#file = file;
    this.#temporary = `${file}.${id}${TEMPORARY_SUFFIX}`;
    try {
      this.#fd = fs.openSync(this.#temporary, "wx", 0o600);
    } catch {
      this.#fd = undefined;
    }
    this.#append(MAGIC);
  }

  /** Adds the next record; paths ascend. */
  add(record: StatRecord): void {
    if (this.#fd === undefined) return;
    const path = Buffer.from(record.path);
    const fixed = Buffer.allocUnsafe(FIXED_BYTES);
    fixed.writeUInt16LE(path.byteLength, 0);
    fixed.writeDoubleLE(record.size, 2);
    fixed.writeUInt32LE(record.mode, 10);
    // A time that does not fit is cut: its file is read each time.
    fixed.writeBigInt64LE(BigInt.asIntN(64, record.mtimeNs), 14);
    fixed.writeBigInt64LE(BigInt.asIntN(64, record.ctimeNs), 22);
    fixed.writeBigUInt64LE(BigInt.asUintN(64, record.ino), 30);
    this.#append(fixed);
    this.#append(path);
  }

  /** Puts the cache in its place, as one about `version`. */
  commit(version: Digest): void {
    this.#append(digestBytes(version));
    this.#flush();
    const crc = Buffer.alloc(CRC_BYTES);
    crc.writeUInt32LE(this.#crc, 0);
    this.#append(crc);
    this.#flush();
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
    try {
      fs.renameSync(this.#temporary, this.#file);
    } catch {
      fs.rmSync(this.#temporary, { force: true });
    }
  }

  /** Drops the cache when it was not committed. */
  close(): void {
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
    fs.rmSync(this.#temporary, { force: true });
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.byteLength > BUFFER_BYTES) this.#flush();
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    if (this.#fd === undefined) return;
    this.#crc = crc32(bytes, this.#crc);
    try {
      fs.writeSync(this.#fd, bytes);
    } catch {
      this.close();
    }
  }
}

/** Removes what writers that died long before `nowMs` (milliseconds since 1970) left in a folder of caches. */
export function removeAbandoned(folder: string, nowMs: number): void {
  for (const name of fs.readdirSync(folder)) {
    if (!name.endsWith(TEMPORARY_SUFFIX)) continue;
    const file = join(folder, name);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined && nowMs - stat.mtimeMs > ABANDONED_MS) fs.rmSync(file, { force: true });
  }
}
