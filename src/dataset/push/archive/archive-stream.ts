/** An archive's bytes on their way from where they come to where they are listed. */
import { createReadStream } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { AetherError } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import { sourceError } from "../walk.ts";
import { HEAD_BYTES, foreignCompression, type ArchiveKind } from "./archive-kind.ts";
import type { SpoolFile } from "./spool.ts";

const READ_BYTES = MiB;

/** All bytes of an open file; `path` names it in errors. Errors: SOURCE_UNREADABLE. */
export function readAll(file: FileHandle, path: string): AsyncIterable<Uint8Array> {
  return received(
    createReadStream("", { fd: file, autoClose: false, start: 0, highWaterMark: READ_BYTES }),
    path,
  );
}

/** The stream's bytes. Errors: SOURCE_UNREADABLE; what it is aborted with. */
export async function* received(stream: Readable, path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (cause) {
    throw isAbort(cause) ? cause : sourceError(cause, path, "the archive");
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof AetherError || (error instanceof Error && error.name === "AbortError");
}

/** The first HEAD_BYTES, or fewer when there are no more, and all bytes. */
export async function beheaded(
  input: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Buffer; readonly bytes: AsyncIterable<Uint8Array> }> {
  const pieces = input[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.byteLength < HEAD_BYTES) {
    const next = await pieces.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head: head.subarray(0, HEAD_BYTES), bytes: rejoined(head, pieces) };
}

async function* rejoined(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** The archive without its compression. Errors: SOURCE_UNREADABLE, also for bytes after the compressed ones. */
export async function* unpacked(
  bytes: AsyncIterable<Uint8Array>,
  kind: ArchiveKind,
): AsyncGenerator<Uint8Array> {
  if (kind === "tar") {
    yield* bytes;
    return;
  }
  const options = { chunkSize: READ_BYTES };
  const decoder = kind === "gzip" ? createGunzip(options) : createZstdDecompress(options);
  const source = Readable.from(bytes);
  let sourceBytes = 0;
  source.on("data", (piece: Uint8Array) => (sourceBytes += piece.byteLength));
  source.on("error", (error) => decoder.destroy(error));
  try {
    yield* source.pipe(decoder) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    throw undecodable(kind, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    source.destroy();
    decoder.destroy();
  }
  // gzip's own program takes zeros after the last member, and tapes have them; zstd's does not.
  if (kind === "zstd" && (!source.readableEnded || decoder.bytesWritten < sourceBytes)) {
    throw undecodable(kind, "something follows the last frame");
  }
}

function undecodable(kind: ArchiveKind, why: string, cause?: unknown): AetherError {
  const message = `the archive's ${kind} compression is damaged or truncated: ${why}`;
  return new AetherError("SOURCE_UNREADABLE", message, cause === undefined ? {} : { cause });
}

/** Gives each piece once it is in the file. Errors: those of the spool. */
export async function* spooled(
  bytes: AsyncIterable<Uint8Array>,
  file: SpoolFile,
): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    await file.append(piece);
    yield piece;
  }
}

/** The error for bytes that begin as no archive does. */
export function unknownKind(head: Buffer): AetherError {
  const program = foreignCompression(head);
  const message =
    program === undefined
      ? "what comes in is no archive that is known: a tar (as it is, or with gzip or zstd) or a zip is wanted"
      : `what comes in is compressed with ${program}, which is not supported: send it through ${program} -dc first`;
  return new AetherError("SOURCE_UNSUPPORTED", message);
}
