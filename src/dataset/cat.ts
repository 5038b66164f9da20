import { checkRange, type ByteRange } from "../base/byte-range.ts";
import { AetherError } from "../base/errors.ts";
import type { ReadEngine } from "./engine.ts";
import { ChunkReader } from "./version/chunk-reader.ts";
import { getEntry } from "./version/entries.ts";
import type { Version } from "./version/version.ts";

/**
 * The bytes of a file of the version, or those of `range`, in pieces; every chunk is verified. Nothing is fetched before
 * the first piece is asked for. Errors: PATH_NOT_FOUND (a folder or symlink too), RANGE_INVALID; those of
 * ChunkReader.readRange.
 */
export async function* cat(
  engine: ReadEngine,
  version: Version,
  path: string,
  range?: ByteRange,
): AsyncGenerator<Uint8Array> {
  const { entry, start } = await getEntry(version, path);
  if (entry.kind !== "file") {
    throw new AetherError(
      "PATH_NOT_FOUND",
      `${JSON.stringify(path)} is a ${entry.kind}, and only files have bytes`,
      {
        data: { path },
      },
    );
  }
  const wanted = checkRange(range ?? { start: 0, end: entry.size }, entry.size);
  yield* new ChunkReader(engine, version).readRange(start + wanted.start, start + wanted.end);
}
