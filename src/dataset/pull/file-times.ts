/** Times of files, as Node can set them. */
import fs from "node:fs";
import type { FileTime } from "../../format/entry.ts";

/** Node takes seconds as a double: today's times come out to a quarter of a microsecond. */
const TOLERANCE_NS = 1000n;
/** Before 1970 it takes milliseconds only. */
const TOLERANCE_BEFORE_1970_NS = 1_000_000n;

/** The time in the form that futimes and its like take. */
export function settableTime(time: FileTime): number | Date {
  if (time.seconds >= 0) return time.seconds + time.nanos / 1e9;
  return new Date(time.seconds * 1000 + Math.floor(time.nanos / 1e6));
}

/** Whether a file that has `mtimeNs` has this time, as nearly as it can be set. */
export function hasTime(mtimeNs: bigint, time: FileTime): boolean {
  const difference = mtimeNs - (BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos));
  const tolerance = time.seconds >= 0 ? TOLERANCE_NS : TOLERANCE_BEFORE_1970_NS;
  return difference > -tolerance && difference < tolerance;
}

/** Sets the time of the file or folder at `file`, which is no symlink. */
export function setTime(file: string, time: FileTime): void {
  const value = settableTime(time);
  fs.utimesSync(file, value, value);
}

/** Sets the time of what lies at `file`, of a symlink itself. */
export function setLinkTime(file: string, time: FileTime): void {
  const value = settableTime(time);
  fs.lutimesSync(file, value, value);
}
