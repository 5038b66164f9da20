/** The files that somebody says a stream of blocks to be, and the folder that they become. */
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { must } from "../../base/assert.ts";
import { AetherError, errnoOf } from "../../base/errors.ts";
import { pathFault, SECONDS_MAX, type FileTime } from "../../format/entry.ts";
import { VIEW_FILES_MAX } from "../../format/view-record.ts";
import { setOpenTime, setTime } from "../pull/file-times.ts";

/** A file of the stream, in its order. */
export interface StreamFile {
  readonly path: string;
  readonly size: number;
  readonly mtime: FileTime;
}

const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** Checks what came from outside. Errors: PATH_INVALID, ARGUMENT_INVALID, LIMIT_EXCEEDED. */
export function checkFiles(files: readonly StreamFile[]): void {
  if (files.length > VIEW_FILES_MAX) {
    throw new AetherError("LIMIT_EXCEEDED", `a dataset of blocks has at most ${VIEW_FILES_MAX} files`);
  }
  const paths = new Set<string>();
  for (const { path, size, mtime } of files) {
    const fault = paths.has(path) ? "it stands twice" : pathFault(path);
    if (fault !== undefined) throw invalidPath(path, fault);
    paths.add(path);
    const { seconds, nanos } = mtime;
    const isTime = Math.abs(seconds) <= SECONDS_MAX && nanos >= 0 && nanos < 1e9 && Number.isInteger(nanos);
    if (!Number.isSafeInteger(size) || size < 0 || !isTime) {
      throw new AetherError(
        "ARGUMENT_INVALID",
        `the size or the time of ${JSON.stringify(path.slice(0, 200))} is none`,
      );
    }
  }
  for (const path of paths) {
    for (const folder of foldersOf(path))
      if (paths.has(folder)) throw invalidPath(path, `${folder} is a file`);
  }
}

/**
 * Writes the files into an empty folder, from the stream's pieces. Folders get the time of their newest file, so that the same
 * files are the same version. Errors: PATH_INVALID when this system cannot hold a name, SPACE_EXHAUSTED; those of the stream.
 */
export async function writeFiles(
  folder: string,
  files: readonly StreamFile[],
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const stream = new PieceReader(pieces);
  for (const file of files) {
    try {
      await writeFile(folder, file, stream);
    } catch (error) {
      throw asOurs(error, file.path);
    }
  }
  for (const [path, mtime] of folderTimes(files)) {
    await fs.chmod(join(folder, path), FOLDER_MODE);
    setTime(join(folder, path), mtime);
  }
}

async function writeFile(
  folder: string,
  { path, size, mtime }: StreamFile,
  stream: PieceReader,
): Promise<void> {
  const full = join(folder, path);
  await fs.mkdir(dirname(full), { recursive: true });
  const handle = await fs.open(full, "wx", FILE_MODE);
  try {
    await handle.chmod(FILE_MODE);
    for (let leftBytes = size; leftBytes > 0;) {
      const piece = await stream.next(leftBytes);
      await handle.writeFile(piece);
      leftBytes -= piece.byteLength;
    }
    setOpenTime(handle.fd, mtime);
  } finally {
    await handle.close();
  }
}

function asOurs(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new AetherError("SPACE_EXHAUSTED", "the hub's disk has no room for the files", { cause: error });
  }
  if (errno === "ENAMETOOLONG") return invalidPath(path, "it is too long for the hub's file system");
  return error;
}

/** Folder → the time of the newest file below it, the deepest folders first. */
function folderTimes(files: readonly StreamFile[]): [string, FileTime][] {
  const times = new Map<string, FileTime>();
  for (const { path, mtime } of files) {
    for (const folder of foldersOf(path)) {
      const known = times.get(folder);
      const isNewer =
        known === undefined ||
        mtime.seconds > known.seconds ||
        (mtime.seconds === known.seconds && mtime.nanos > known.nanos);
      if (isNewer) times.set(folder, mtime);
    }
  }
  return [...times].sort(([one], [other]) => other.length - one.length);
}

/** The folders above a path, the nearest first. */
function* foldersOf(path: string): Generator<string> {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    yield path.slice(0, slash);
  }
}

function invalidPath(path: string, why: string): AetherError {
  const shown = path.slice(0, 200);
  return new AetherError("PATH_INVALID", `${JSON.stringify(shown)} is no path for a file: ${why}`, {
    data: { path: shown },
  });
}

/** Gives a stream's bytes in pieces of at most a wanted size. */
class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  async next(bytesMax: number): Promise<Uint8Array> {
    while (this.#piece.byteLength === 0) {
      const { value } = (await this.#pieces.next()) as IteratorResult<Uint8Array, undefined>;
      this.#piece = must(value, "the blocks have as many bytes as the files");
    }
    const piece = this.#piece.subarray(0, bytesMax);
    this.#piece = this.#piece.subarray(piece.byteLength);
    return piece;
  }
}
