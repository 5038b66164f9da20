/** What kind of archive something is. */
import { basename } from "node:path";

/** The kinds that a push takes: tar as it is or compressed, and zip. */
export type ArchiveKind = "tar" | "gzip" | "zstd" | "zip";

/** Bytes from the beginning that kindByContent wants. */
export const HEAD_BYTES = 512;

const SUFFIXES: readonly (readonly [string, ArchiveKind])[] = [
  [".tar", "tar"],
  [".tar.gz", "gzip"],
  [".tgz", "gzip"],
  [".tar.zst", "zstd"],
  [".tzst", "zstd"],
  [".zip", "zip"],
];

/** The kind that a file's name promises, or undefined: then it is a file like any other. */
export function kindByName(path: string): ArchiveKind | undefined {
  const name = basename(path).toLowerCase();
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix) && name.length > suffix.length)?.[1];
}

/** The kind that the first bytes show, or undefined: RFC 1952 §2.3.1, RFC 8878 §3.1, APPNOTE.TXT §4.3, POSIX pax. */
export function kindByContent(head: Buffer): ArchiveKind | undefined {
  if (head.byteLength >= 4) {
    const magic = head.readUInt32LE();
    if ((magic & 0xffffff) === 0x08_8b_1f) return "gzip";
    if (magic === 0xfd_2f_b5_28 || (magic & 0xfffffff0) >>> 0 === 0x18_4d_2a_50) return "zstd";
    if (magic === 0x04_03_4b_50 || magic === 0x06_05_4b_50) return "zip";
  }
  return isTarBlock(head) ? "tar" : undefined;
}

const CHECKSUM_AT = 148;
const CHECKSUM_END = 156;

/** Whether a block is a tar header with a valid checksum, or the end mark of an empty archive. */
function isTarBlock(block: Buffer): boolean {
  if (block.byteLength < HEAD_BYTES) return false;
  const digits = /^[ \0]*([0-7]+)[ \0]*$/.exec(block.toString("latin1", CHECKSUM_AT, CHECKSUM_END))?.[1];
  let sum = 0;
  for (let index = 0; index < HEAD_BYTES; index++) {
    sum += index >= CHECKSUM_AT && index < CHECKSUM_END ? 0x20 : (block[index] ?? 0);
  }
  return digits === undefined ? sum === 8 * 0x20 : sum === parseInt(digits, 8);
}

/** The program that takes off a compression that a push does not know, or undefined. */
export function foreignCompression(head: Buffer): string | undefined {
  const magics = { "425a68": "bzip2", fd377a585a00: "xz", "04224d18": "lz4" };
  return Object.entries(magics).find(([magic]) => head.toString("hex").startsWith(magic))?.[1];
}
