/** Decoding a unit and writing the files it fills, in a thread. */
import fs from "node:fs";
import path from "node:path";
import { threadId } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { errnoOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { FileTime } from "../../format/entry.ts";
import { setOpenTime } from "../pull/file-times.ts";
import { readPieces, type LocalPiece } from "../pull/local-pieces.ts";
import { STAGING_NAME } from "../pull/staging.ts";
import { targetError } from "../pull/target-errors.ts";
import { decodeUnit, type FetchedUnit } from "../version/unit-decode.ts";
import { beginArena, takeRoom } from "./arena.ts";
import type { TaskResult } from "./tasks.ts";

/** A part of a chunk, and where in the file it goes. */
export interface FilePiece {
  readonly chunk: number;
  readonly from: number;
  readonly bytes: number;
  readonly fileOffset: number;
}

/** A file to write, whole or in part. */
export interface FileToWrite {
  /** Relative to the target. */
  readonly path: string;
  readonly mode: number;
  readonly mtime: FileTime;
  readonly pieces: readonly FilePiece[];
  /** Whether the pieces are all of it. */
  readonly isWhole: boolean;
  /** Where it is gathered, relative to the target; undefined: it goes to its place at once, and must be whole. */
  readonly staged: string | undefined;
}

/** A unit and the files that it fills. */
export interface WriteInput {
  readonly target: string;
  readonly unit: Omit<FetchedUnit, "locals">;
  readonly locals: readonly { readonly digest: Digest; readonly place: readonly LocalPiece[] }[];
  readonly files: readonly FileToWrite[];
}

let temporaryFiles = 0;

/**
 * Writes the files, each chunk verified first. Gives the local bases that were not what they should be; then nothing was
 * written. Errors: OBJECT_CORRUPT, TARGET_UNWRITABLE, SPACE_EXHAUSTED.
 */
export function writeFiles(input: WriteInput): TaskResult<Digest[]> {
  const locals: Uint8Array[] = [];
  const stale: Digest[] = [];
  for (const { digest, place } of input.locals) {
    const bytes = readPieces(input.target, place, digest);
    if (bytes === undefined) stale.push(digest);
    else locals.push(bytes);
  }
  if (stale.length > 0) return { output: stale, transfer: [] };
  beginArena();
  const chunks = decodeUnit({ ...input.unit, locals }, takeRoom);
  for (const file of input.files) {
    try {
      writeFile(input, file, chunks);
    } catch (error) {
      throw targetError(error, file.path);
    }
  }
  return { output: [], transfer: [] };
}

function writeFile({ target }: WriteInput, file: FileToWrite, chunks: readonly Uint8Array[]): void {
  const name = file.staged ?? `${STAGING_NAME}/t${threadId}-${temporaryFiles++}`;
  const place = path.join(target, name);
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW, O_TRUNC } = fs.constants;
  const flags = file.staged === undefined ? O_CREAT | O_EXCL : file.isWhole ? O_CREAT | O_TRUNC : O_CREAT;
  const fd = openWritable(place, O_WRONLY | O_NOFOLLOW | flags, file);
  try {
    for (const { chunk, from, bytes, fileOffset } of file.pieces) {
      const whole = must(chunks[chunk], "a piece's chunk is in the unit");
      writeAll(fd, whole.subarray(from, from + bytes), fileOffset);
    }
    if (file.isWhole) finish(fd, file);
  } finally {
    fs.closeSync(fd);
  }
  if (file.staged === undefined) fs.renameSync(place, path.join(target, file.path));
}

/** A left-over of an earlier run may be of another mode. One that is written whole is replaced, a part is kept. */
function openWritable(place: string, flags: number, file: FileToWrite): number {
  const mode = file.isWhole ? file.mode : 0o600;
  try {
    return fs.openSync(place, flags, mode);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "EACCES" && errno !== "EEXIST" && errno !== "ELOOP") throw error;
    if (file.isWhole) fs.rmSync(place, { force: true });
    else if (errno === "EACCES") fs.chmodSync(place, 0o600);
    return fs.openSync(place, flags, mode);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.byteLength;) {
    done += fs.writeSync(fd, bytes, done, bytes.byteLength - done, position + done);
  }
}

function finish(fd: number, file: Pick<FileToWrite, "mode" | "mtime">): void {
  // Whatever the process's mask took away when the file was made.
  fs.fchmodSync(fd, file.mode);
  setOpenTime(fd, file.mtime);
}

/** A staged file all of whose pieces are written. */
export interface FileToFinish {
  readonly path: string;
  readonly staged: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: FileTime;
  /** Whether it goes to its place at once. */
  readonly isPlaced: boolean;
}

/** Gives a gathered file its length, mode and time, and, if it may, its place. Errors: TARGET_UNWRITABLE, SPACE_EXHAUSTED. */
export function finishFile(input: {
  readonly target: string;
  readonly file: FileToFinish;
}): TaskResult<undefined> {
  const { target, file } = input;
  const place = path.join(target, file.staged);
  try {
    const fd = fs.openSync(place, fs.constants.O_RDWR | fs.constants.O_NOFOLLOW);
    try {
      if (fs.fstatSync(fd).size !== file.size) fs.ftruncateSync(fd, file.size);
      finish(fd, file);
    } finally {
      fs.closeSync(fd);
    }
    if (file.isPlaced) fs.renameSync(place, path.join(target, file.path));
  } catch (error) {
    throw targetError(error, file.path);
  }
  return { output: undefined, transfer: [] };
}
