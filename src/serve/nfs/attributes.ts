/** Attributes: everything is root's, read-only, and everybody's to read. RFC 1813 §2.5.5 */
import type { FileTime } from "../../format/entry.ts";
import { fileIdOf, type Place } from "./nodes.ts";
import type { XdrWriter } from "./xdr.ts";

const [REGULAR, DIRECTORY, SYMLINK] = [1, 2, 5];
const DIRECTORY_BYTES = 4096;
const [MODE_READ, MODE_EXECUTE, MODE_LINK] = [0o444, 0o111, 0o777];
const SECOND_MS = 1000;
const UINT32_MAX = 0xffff_ffff;
const NANOS_MAX = 999_999_999;
/** Directories of names may change at any time, and nobody counts how often: to clients they change this often. */
const CHANGE_SECONDS = 5;

/** What attributes say besides the place itself. */
export interface AttributeFacts {
  /** The same for everything: clients take another number for another file system. */
  readonly fsid: bigint;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** fattr3 */
export function writeAttributes(results: XdrWriter, place: Place, { fsid, nowMs }: AttributeFacts): void {
  const entry = place.kind === "entry" ? place.found.entry : undefined;
  const time = timeOf(place, nowMs);
  const size = sizeOf(place);
  if (entry?.kind === "file") {
    results.uint32(REGULAR).uint32(MODE_READ | ((entry.mode & MODE_EXECUTE) === 0 ? 0 : MODE_EXECUTE));
    results.uint32(1);
  } else if (entry?.kind === "symlink") {
    results.uint32(SYMLINK).uint32(MODE_LINK).uint32(1);
  } else {
    results
      .uint32(DIRECTORY)
      .uint32(MODE_READ | MODE_EXECUTE)
      .uint32(2);
  }
  results.uint32(0).uint32(0).uint53(size).uint53(size).uint53(0);
  results.uint64(fsid).uint64(fileIdOf(place));
  for (let times = 0; times < 3; times++) results.uint32(time.seconds).uint32(time.nanos);
}

/** post_op_attr; undefined: none. */
export function writeOptionalAttributes(
  results: XdrWriter,
  place: Place | undefined,
  facts: AttributeFacts,
): void {
  results.boolean(place !== undefined);
  if (place !== undefined) writeAttributes(results, place, facts);
}

function sizeOf(place: Place): number {
  const entry = place.kind === "entry" ? place.found.entry : undefined;
  if (entry?.kind === "file") return entry.size;
  if (entry?.kind === "symlink") return Buffer.byteLength(entry.target);
  return DIRECTORY_BYTES;
}

function timeOf(place: Place, nowMs: number): FileTime {
  if (place.kind === "entry") return clamped(place.found.entry.mtime);
  // Nobody knows when it was made: what a digest names has always been so.
  if (place.kind === "version") return { seconds: 0, nanos: 0 };
  if (place.kind === "tag") {
    // The number tells changes of the same second apart, and those of clocks that went back.
    const { time, number } = place.record;
    const seconds = Math.floor(Date.parse(time) / SECOND_MS);
    return clamped({ seconds: Number.isFinite(seconds) ? seconds : 0, nanos: number % (NANOS_MAX + 1) });
  }
  const seconds = Math.floor(nowMs / SECOND_MS / CHANGE_SECONDS) * CHANGE_SECONDS;
  return clamped({ seconds, nanos: 0 });
}

/** nfstime3 has 32 bits of seconds. */
function clamped({ seconds, nanos }: FileTime): FileTime {
  if (seconds < 0) return { seconds: 0, nanos: 0 };
  return seconds > UINT32_MAX ? { seconds: UINT32_MAX, nanos: NANOS_MAX } : { seconds, nanos };
}
