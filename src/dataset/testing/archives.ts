/** Archives made byte by byte, also ones that no program would make. */
import { crc32, deflateRawSync } from "node:zlib";

const BLOCK_BYTES = 512;

/** A member of a tar archive, as its header says it; text that is not a number is written as it is. */
export interface TarMember {
  readonly name: string | Uint8Array;
  /** Type flag of the header: "0" for a file. */
  readonly type?: string;
  readonly bytes?: Uint8Array | string;
  /** What the header says, when it lies. */
  readonly size?: number | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  readonly mtime?: number | Uint8Array;
  readonly prefix?: string;
  /** "ustar\0" + "00", "ustar  \0" of GNU, or "" of v7. */
  readonly magic?: string;
}

/** One header block, and the member's bytes, padded. */
export function tarMember(member: TarMember): Buffer {
  const { name, type = "0", link = "", mode = 0o644, mtime = 1, prefix = "", magic = "ustar\x0000" } = member;
  const bytes = Buffer.from(member.bytes ?? "");
  const header = Buffer.alloc(BLOCK_BYTES);
  put(header, 0, name);
  put(header, 100, octal(mode, 8));
  put(header, 108, octal(0, 8));
  put(header, 116, octal(0, 8));
  put(header, 124, numberField(member.size ?? bytes.byteLength));
  put(header, 136, numberField(mtime));
  put(header, 156, type);
  put(header, 157, link);
  put(header, 257, magic);
  put(header, 345, prefix);
  header.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  put(header, 148, octal(sum, 7));
  const padding = Buffer.alloc(-bytes.byteLength & (BLOCK_BYTES - 1));
  return Buffer.concat([header, bytes, padding]);
}

/** A pax header for the member after it. */
export function paxHeader(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest;
    while (length !== rest + String(length).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return tarMember({ name: "pax", type: "x", bytes: lines.join("") });
}

/** A whole archive: members in order (buffers as they are), and the end mark. */
export function tarOf(...members: readonly (TarMember | Buffer)[]): Buffer {
  const parts = members.map((member) => (Buffer.isBuffer(member) ? member : tarMember(member)));
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function octal(value: number, lengthBytes: number): string {
  return `${value.toString(8).padStart(lengthBytes - 1, "0")}\0`;
}

function numberField(value: number | Uint8Array): string | Uint8Array {
  return typeof value === "number" ? octal(value, 12) : value;
}

function put(header: Buffer, at: number, value: string | Uint8Array): void {
  Buffer.from(value).copy(header, at);
}

/** A member of a zip archive; `local` and `central` change what one of its headers says. */
export interface ZipMember {
  readonly name: string | Uint8Array;
  readonly bytes?: Uint8Array | string;
  /** A Unix mode with its type bits; undefined: the archive is from a system without. */
  readonly mode?: number;
  readonly flags?: number;
  /** 0 stored, 8 deflate; others are stored under that number. */
  readonly method?: number;
  readonly crc?: number;
  readonly size?: number;
  readonly localName?: string;
  readonly extra?: Uint8Array;
  /** Where the central header says that the local one lies. */
  readonly localOffset?: number;
}

/** A whole zip archive; `comment` stands at its end. */
export function zipOf(members: readonly ZipMember[], comment = ""): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const member of members) {
    const local = localPart(member);
    central.push(centralPart(member, member.localOffset ?? offset));
    parts.push(local);
    offset += local.byteLength;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.byteLength, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  return Buffer.concat([...parts, directory, end, Buffer.from(comment)]);
}

/** 2023-11-14 22:13:20, as MS-DOS has it: APPNOTE.TXT §4.4.6. */
export const ZIP_TIME = { time: (22 << 11) | (13 << 5) | (20 >> 1), date: (43 << 9) | (11 << 5) | 14 };

/** What the two headers have in common, from "version needed" to the lengths. */
function commonPart(member: ZipMember, name: Uint8Array): Buffer {
  const bytes = Buffer.from(member.bytes ?? "");
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(member.flags ?? 0x800, 2);
  common.writeUInt16LE(member.method ?? 8, 4);
  common.writeUInt16LE(ZIP_TIME.time, 6);
  common.writeUInt16LE(ZIP_TIME.date, 8);
  common.writeUInt32LE(member.crc ?? crc32(bytes), 10);
  common.writeUInt32LE(storedOf(member).byteLength, 14);
  common.writeUInt32LE(member.size ?? bytes.byteLength, 18);
  common.writeUInt16LE(name.byteLength, 22);
  common.writeUInt16LE(member.extra?.byteLength ?? 0, 24);
  return common;
}

function storedOf(member: ZipMember): Buffer {
  const bytes = Buffer.from(member.bytes ?? "");
  return (member.method ?? 8) === 8 ? deflateRawSync(bytes) : bytes;
}

function localPart(member: ZipMember): Buffer {
  const name = Buffer.from(member.localName ?? member.name);
  const signature = Buffer.from("PK\x03\x04");
  const { extra = Buffer.alloc(0) } = member;
  return Buffer.concat([signature, commonPart(member, name), name, extra, storedOf(member)]);
}

function centralPart(member: ZipMember, localOffset: number): Buffer {
  const { mode, extra = Buffer.alloc(0) } = member;
  const name = Buffer.from(member.name);
  const madeBy = Buffer.from([20, mode === undefined ? 0 : 3]);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(((mode ?? 0) << 16) >>> 0, 6);
  rest.writeUInt32LE(localOffset, 10);
  const signature = Buffer.from("PK\x01\x02");
  return Buffer.concat([signature, madeBy, commonPart(member, name), rest, name, extra]);
}
