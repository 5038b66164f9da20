/** The records of a zip archive. APPNOTE.TXT is PKWARE's, 6.3.10. */
import type { Entry } from "../../../format/entry.ts";

/** What 32 and 16 bits cannot say is said by zip64. APPNOTE.TXT §4.3.9.2 */
const UINT32_MAX = 0xffffffff;
const UINT16_MAX = 0xffff;
const VERSION = 20;
const VERSION_ZIP64 = 45;
/** Made on Unix: the attributes have modes. */
const MADE_BY = (3 << 8) | VERSION_ZIP64;
/** §4.4.4: what is not known yet follows the bytes; the name is UTF-8. */
const FLAG_DESCRIPTOR = 1 << 3;
const FLAG_UTF8 = 1 << 11;
const ZIP64 = 0x0001;
/** Info-ZIP's extended timestamp, of the time of change alone. */
const TIMESTAMP = 0x5455;
const TIMESTAMP_BYTES = 5;
const INT32_MAX = 0x7fffffff;
const TYPES = { file: 0o100000, symlink: 0o120000, directory: 0o040000 } as const;
const DOS_DIRECTORY = 0x10;
const YEAR_MIN = 1980;
const YEAR_MAX = 2107;

/** A member; `size` of its bytes, which for a symlink are its target. */
export interface ZipMember {
  readonly entry: Entry;
  readonly name: string;
  readonly size: number;
  /** Of its bytes; undefined: told by a descriptor after them. */
  readonly crc: number | undefined;
}

/** What stands before the bytes. §4.3.7 */
export function localHeader(member: ZipMember): Buffer {
  const { entry, size, crc } = member;
  const isLarge = size >= UINT32_MAX;
  const name = nameOf(member);
  const told = crc === undefined ? 0 : size;
  const extra = [timestamp(entry), ...(isLarge ? [field(ZIP64, uint64(0), uint64(0))] : [])];
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(isLarge ? VERSION_ZIP64 : VERSION, 4);
  header.writeUInt16LE(flagsOf(member), 6);
  header.writeUInt32LE(dosTime(entry), 10);
  header.writeUInt32LE(crc ?? 0, 14);
  header.writeUInt32LE(isLarge ? UINT32_MAX : told, 18);
  header.writeUInt32LE(isLarge ? UINT32_MAX : told, 22);
  header.writeUInt16LE(name.byteLength, 26);
  return withExtra(header, 28, name, extra);
}

/** What stands after bytes whose CRC-32 was not known before. §4.3.9 */
export function descriptor(size: number, crc: number): Buffer {
  const isLarge = size >= UINT32_MAX;
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(crc, 4);
  const number = isLarge ? uint64(size) : uint32(size);
  return Buffer.concat([bytes, number, number]);
}

/** A member in the directory at the end; `hasDescriptor`: its bytes have one. §4.3.12 */
export function directoryHeader(member: ZipMember, crc: number, offset: number): Buffer {
  const { entry, size } = member;
  const name = nameOf(member);
  const [isLarge, isFar] = [size >= UINT32_MAX, offset >= UINT32_MAX];
  const numbers = [...(isLarge ? [uint64(size), uint64(size)] : []), ...(isFar ? [uint64(offset)] : [])];
  const extra = [timestamp(entry), ...(numbers.length > 0 ? [field(ZIP64, ...numbers)] : [])];
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(MADE_BY, 4);
  header.writeUInt16LE(numbers.length > 0 ? VERSION_ZIP64 : VERSION, 6);
  header.writeUInt16LE(flagsOf(member), 8);
  header.writeUInt32LE(dosTime(entry), 12);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(isLarge ? UINT32_MAX : size, 20);
  header.writeUInt32LE(isLarge ? UINT32_MAX : size, 24);
  header.writeUInt16LE(name.byteLength, 28);
  const isDirectory = entry.kind === "directory";
  const attributes = (TYPES[entry.kind] | entry.mode) * 0x10000 + (isDirectory ? DOS_DIRECTORY : 0);
  header.writeUInt32LE(attributes, 38);
  header.writeUInt32LE(isFar ? UINT32_MAX : offset, 42);
  return withExtra(header, 30, name, extra);
}

/** The end of an archive whose directory begins at `offset` and has that many members and bytes. §4.3.14 to §4.3.16 */
export function endOf(count: number, bytes: number, offset: number): Buffer {
  const isLarge = count >= UINT16_MAX || bytes >= UINT32_MAX || offset >= UINT32_MAX;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, UINT16_MAX), 8);
  end.writeUInt16LE(Math.min(count, UINT16_MAX), 10);
  end.writeUInt32LE(Math.min(bytes, UINT32_MAX), 12);
  end.writeUInt32LE(Math.min(offset, UINT32_MAX), 16);
  if (!isLarge) return end;
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0x06064b50, 0);
  head.writeBigUInt64LE(44n, 4);
  head.writeUInt16LE(MADE_BY, 12);
  head.writeUInt16LE(VERSION_ZIP64, 14);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  const numbers = [uint64(count), uint64(count), uint64(bytes), uint64(offset)];
  return Buffer.concat([head, ...numbers, locator, end]);
}

function nameOf({ entry, name }: ZipMember): Buffer {
  return Buffer.from(entry.kind === "directory" ? `${name}/` : name);
}

function flagsOf({ crc }: ZipMember): number {
  return FLAG_UTF8 | (crc === undefined ? FLAG_DESCRIPTOR : 0);
}

function withExtra(header: Buffer, lengthAt: number, name: Buffer, extra: readonly Buffer[]): Buffer {
  header.writeUInt16LE(
    extra.reduce((sum, { byteLength }) => sum + byteLength, 0),
    lengthAt,
  );
  return Buffer.concat([header, name, ...extra]);
}

function timestamp({ mtime: { seconds } }: Entry): Buffer {
  if (Math.abs(seconds) > INT32_MAX) return Buffer.alloc(0);
  const bytes = Buffer.alloc(TIMESTAMP_BYTES);
  bytes.writeUInt8(1, 0);
  bytes.writeInt32LE(seconds, 1);
  return field(TIMESTAMP, bytes);
}

/** Date and time in UTC, to the even second, within what they can say. */
function dosTime({ mtime: { seconds } }: Entry): number {
  const at = new Date(
    Math.min(Math.max(seconds, Date.UTC(YEAR_MIN, 0) / 1000), Date.UTC(YEAR_MAX, 11, 31) / 1000) * 1000,
  );
  const date = ((at.getUTCFullYear() - YEAR_MIN) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1);
  return date * 0x10000 + time;
}

function field(id: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(content.byteLength, 2);
  return Buffer.concat([head, content]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
