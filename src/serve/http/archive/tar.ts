/** A folder as a tar archive: POSIX.1-2017 pax, "pax Interchange Format", over ustar. */
import type { Entry, FileTime } from "../../../format/entry.ts";
import type { Members } from "./archive-source.ts";

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
/** What eleven octal digits can say. */
const NUMBER_MAX = 0o77777777777;
const TYPES = { file: "0", symlink: "2", directory: "5" } as const;
const ASCII = /^[\x20-\x7e]*$/;
const NOT_ASCII = /[^\x20-\x7e]/gu;
const NANOS = 1_000_000_000;
const NANOS_DIGITS = 9;

/** What differs from archive to archive of another layout: goes into entity tags. */
export const TAR_LAYOUT = "tar1";

/**
 * The archive in pieces, each of which holds until the next is asked for. The same folder gives the same bytes, always: a change of them is
 * another TAR_LAYOUT. Owners are none (0). Errors: those of the source.
 */
export async function* tarOf(source: Members): AsyncGenerator<Uint8Array> {
  for await (const { entry, name, content } of source.members()) {
    yield headerOf(entry, name);
    if (entry.kind !== "file") continue;
    yield* content();
    const beyond = entry.size % BLOCK_BYTES;
    if (beyond > 0) yield Buffer.alloc(BLOCK_BYTES - beyond);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** All that stands before a member's bytes. */
function headerOf(entry: Entry, name: string): Buffer {
  const path = entry.kind === "directory" ? `${name}/` : name;
  const size = entry.kind === "file" ? entry.size : 0;
  const target = entry.kind === "symlink" ? entry.target : "";
  const { seconds, nanos } = entry.mtime;
  const records: [string, string][] = [];
  if (!fits(path)) records.push(["path", path]);
  if (!fits(target)) records.push(["linkpath", target]);
  if (size > NUMBER_MAX) records.push(["size", String(size)]);
  if (nanos !== 0 || seconds < 0 || seconds > NUMBER_MAX) records.push(["mtime", paxTime(entry.mtime)]);
  const block = blockOf({ path, target, size, seconds, mode: entry.mode, type: TYPES[entry.kind] });
  if (records.length === 0) return block;
  const pax = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""));
  const head = blockOf({
    ...{ path: "PaxHeader", target: "", size: pax.byteLength, seconds: 0, mode: 0o644, type: "x" },
  });
  return Buffer.concat([head, pax, Buffer.alloc(-pax.byteLength & (BLOCK_BYTES - 1)), block]);
}

function fits(text: string): boolean {
  return text.length <= NAME_BYTES_MAX && ASCII.test(text);
}

/** `LENGTH key=value\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let digits = 1;
  while (String(bytes + digits).length > digits) digits++;
  return `${bytes + digits}${rest}`;
}

/** Decimal seconds; nanoseconds count upwards, also before 1970. */
function paxTime({ seconds, nanos }: FileTime): string {
  const isBefore = seconds < 0 && nanos > 0;
  const whole = isBefore ? -seconds - 1 : seconds;
  const part = String(isBefore ? NANOS - nanos : nanos).padStart(NANOS_DIGITS, "0");
  const fraction = nanos === 0 ? "" : `.${part.replace(/0+$/, "")}`;
  return `${isBefore ? "-" : ""}${whole}${fraction}`;
}

interface Block {
  readonly path: string;
  readonly target: string;
  readonly size: number;
  readonly seconds: number;
  readonly mode: number;
  readonly type: string;
}

/** One ustar header; what does not fit into it is told by a pax header before. */
function blockOf({ path, target, size, seconds, mode, type }: Block): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const text = (value: string, at: number): void => {
    block.write(value.replace(NOT_ASCII, "_").slice(0, NAME_BYTES_MAX), at, "latin1");
  };
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, "0"), at, "latin1");
  };
  text(path, 0);
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size > NUMBER_MAX ? 0 : size, 124, 11);
  octal(Math.min(Math.max(seconds, 0), NUMBER_MAX), 136, 11);
  block.fill(" ", 148, 156);
  text(type, 156);
  text(target, 157);
  block.write("ustar\x0000", 257, "latin1");
  octal(0, 329, 7);
  octal(0, 337, 7);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block[154] = 0;
  return block;
}
