/**
 * Sets the times of files to the nanosecond. Node's own functions take seconds as a double, which is off by up to a
 * quarter of a microsecond today: a folder that was pulled and pushed again would be another version. So the C library is
 * called through `node:ffi`; where a Node has none, the times come out as nearly as a double can say them.
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import type * as Ffi from "node:ffi";
import type { FileTime } from "../../format/entry.ts";

/** Calls that set access and modification times from two `struct timespec`. */
interface TimeCalls {
  readonly futimens: (fd: number, times: Buffer) => number;
  readonly utimensat: (folderFd: number, path: string, times: Buffer, flags: number) => number;
}

/** `AT_FDCWD` and `AT_SYMLINK_NOFOLLOW`, which differ between systems. */
const AT_FDCWD = process.platform === "darwin" ? -2 : -100;
const AT_SYMLINK_NOFOLLOW = process.platform === "darwin" ? 0x20 : 0x100;
/** Bytes of a `struct timespec` where `long` has 64 bits. */
const TIMESPEC_BYTES = 16;

let calls: TimeCalls | null | undefined;

/** The C library's calls, or null where there is no way to them. */
function timeCalls(): TimeCalls | null {
  calls ??= loadCalls();
  return calls;
}

function loadCalls(): TimeCalls | null {
  try {
    const ffi = createRequire(import.meta.url)("node:ffi") as typeof Ffi;
    const { functions } = ffi.dlopen(null, {
      futimens: { arguments: ["int32", "buffer"], return: "int32" },
      utimensat: { arguments: ["int32", "string", "buffer", "int32"], return: "int32" },
    });
    return functions;
  } catch {
    return null;
  }
}

function timespecs(time: FileTime): Buffer {
  const times = Buffer.alloc(2 * TIMESPEC_BYTES);
  for (const offset of [0, TIMESPEC_BYTES]) {
    times.writeBigInt64LE(BigInt(time.seconds), offset);
    times.writeBigInt64LE(BigInt(time.nanos), offset + 8);
  }
  return times;
}

/** The time as Node's functions take it: before 1970 a double is taken for milliseconds of a Date. */
function nearest(time: FileTime): number | Date {
  if (time.seconds >= 0) return time.seconds + time.nanos / 1e9;
  return new Date(time.seconds * 1000 + Math.floor(time.nanos / 1e6));
}

/** Sets the time of an open file. Errors: Node's. */
export function setOpenTime(fd: number, time: FileTime): void {
  if (timeCalls()?.futimens(fd, timespecs(time)) === 0) return;
  const value = nearest(time);
  fs.futimesSync(fd, value, value);
}

/** Sets the time of the file or folder at `file`, which is no symlink. Errors: Node's. */
export function setTime(file: string, time: FileTime): void {
  if (timeCalls()?.utimensat(AT_FDCWD, file, timespecs(time), 0) === 0) return;
  const value = nearest(time);
  fs.utimesSync(file, value, value);
}

/** Sets the time of what lies at `file`, of a symlink itself. Errors: Node's. */
export function setLinkTime(file: string, time: FileTime): void {
  if (timeCalls()?.utimensat(AT_FDCWD, file, timespecs(time), AT_SYMLINK_NOFOLLOW) === 0) return;
  const value = nearest(time);
  fs.lutimesSync(file, value, value);
}

/** What a double gets wrong at most; before 1970 Node takes milliseconds. */
const TOLERANCE_NS = 1000n;
const TOLERANCE_BEFORE_1970_NS = 1_000_000n;

/** Whether a file that has `mtimeNs` has this time, as nearly as this process can set it. */
export function hasTime(mtimeNs: bigint, time: FileTime): boolean {
  const wantedNs = BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos);
  if (timeCalls() !== null) return mtimeNs === wantedNs;
  const difference = mtimeNs - wantedNs;
  const tolerance = time.seconds >= 0 ? TOLERANCE_NS : TOLERANCE_BEFORE_1970_NS;
  return difference > -tolerance && difference < tolerance;
}
