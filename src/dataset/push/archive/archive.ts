/** An archive as the source of a push: docs/archives.md. */
import { createReadStream } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { Readable, addAbortSignal } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { AetherError } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import { STDIN_SOURCE, type PushOptions } from "../../contract.ts";
import type { ReadEngine } from "../../engine.ts";
import { createPathFilter } from "../../path-filter.ts";
import { sourceError } from "../walk.ts";
import { ArchiveIndex } from "./archive-index.ts";
import type { ArchiveFiles } from "./archive-source.ts";
import {
  HEAD_BYTES,
  foreignCompression,
  kindByContent,
  kindByName,
  type ArchiveKind,
} from "./archive-kind.ts";
import { CatalogWriter } from "./catalog.ts";
import { Members } from "./members.ts";
import { Spool, type SpoolFile } from "./spool.ts";
import { readTar } from "./tar.ts";
import { readZip } from "./zip.ts";

const READ_BYTES = MiB;

/** An archive that is listed, and unpacked where it must be. */
export interface Archive {
  readonly files: ArchiveFiles;
  /** What skipUnreadable left out. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  /** Gives the temporary space back. */
  readonly close: () => Promise<void>;
}

/**
 * Opens the source of a push when it is an archive: by the name of a file, or "-" for an archive in `input`. Undefined
 * for any other source. A plain tar file is read where it lies; all else is unpacked into temporary files.
 * Errors: SOURCE_UNREADABLE, SOURCE_UNSUPPORTED, PATH_INVALID, LIMIT_EXCEEDED, SPACE_EXHAUSTED, CONFIG_INVALID,
 * ARGUMENT_INVALID, CANCELLED. On an error `input` is closed.
 */
export async function openArchive(engine: ReadEngine, options: PushOptions): Promise<Archive | undefined> {
  const { source, input } = options;
  const named = kindByName(source);
  const isStream = source === STDIN_SOURCE;
  if (isStream && input === undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `the source ${STDIN_SOURCE} needs an input to read the archive from`,
    );
  }
  if (!isStream && (named === undefined || !(await isFile(source)))) return undefined;
  try {
    return await openWith(
      await Spool.open(engine.cacheDir, engine.random, options.spoolBytes),
      options,
      named,
    );
  } catch (error) {
    input?.destroy();
    throw options.signal?.aborted === true ? (options.signal.reason as Error) : error;
  }
}

async function openWith(
  spool: Spool,
  options: PushOptions,
  named: ArchiveKind | undefined,
): Promise<Archive> {
  const { source, input } = options;
  const opener = new ArchiveOpener(spool, options);
  try {
    return await (source === STDIN_SOURCE && input !== undefined
      ? opener.openStream(input)
      : opener.openFile(source, named));
  } catch (error) {
    await opener.close();
    throw error;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

class ArchiveOpener {
  readonly #spool: Spool;
  readonly #options: PushOptions;
  readonly #index: ArchiveIndex;
  readonly #members: Members;
  readonly #skipped: { path: string; reason: string }[] = [];
  #handle: FileHandle | undefined;

  constructor(spool: Spool, options: PushOptions) {
    const { exclude = [], skipUnreadable = false } = options;
    this.#spool = spool;
    this.#options = options;
    this.#index = new ArchiveIndex(spool);
    this.#members = new Members(this.#index, createPathFilter({ exclude }), (path, error) => {
      if (!skipUnreadable) throw error;
      this.#skipped.push({ path, reason: error.message });
    });
  }

  /** Opens an archive that is a file, which must stay as it is until the push is over. */
  async openFile(path: string, named: ArchiveKind | undefined): Promise<Archive> {
    let head: Buffer;
    try {
      this.#handle = await open(path, "r");
      const { buffer, bytesRead } = await this.#handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      head = buffer.subarray(0, bytesRead);
    } catch (cause) {
      throw sourceError(cause, path, "the archive");
    }
    const kind = kindByContent(head) ?? named ?? "tar";
    return this.#open(kind, this.#handle, path);
  }

  /** Opens an archive that comes as a stream. */
  async openStream(input: Readable): Promise<Archive> {
    const { signal } = this.#options;
    if (signal !== undefined) addAbortSignal(signal, input);
    const { head, bytes } = await beheaded(received(input, STDIN_SOURCE));
    const kind = kindByContent(head);
    if (kind === undefined) throw unknownKind(head);
    const file = await this.#spool.createFile();
    if (kind === "zip") {
      for await (const piece of bytes) {
        this.#options.signal?.throwIfAborted();
        await file.append(piece);
      }
      return this.#open(kind, file.handle, STDIN_SOURCE);
    }
    await this.#readTar(spooled(unpacked(bytes, kind), file), file.handle);
    return this.#finish(file.handle, await ctimeOf(file.handle));
  }

  async close(): Promise<void> {
    this.#index.close();
    await this.#handle?.close();
    await this.#spool.close();
  }

  async #open(kind: ArchiveKind, archive: FileHandle, path: string): Promise<Archive> {
    if (kind === "tar") {
      const ctimeNs = await ctimeOf(archive);
      await this.#readTar(readAll(archive, path), archive);
      return this.#finish(archive, ctimeNs);
    }
    const content = await this.#spool.createFile();
    if (kind === "zip") await readZip(archive.fd, content, this.#members, this.#options.signal);
    else await this.#readTar(spooled(unpacked(readAll(archive, path), kind), content), content.handle);
    return this.#finish(content.handle, await ctimeOf(content.handle));
  }

  #readTar(bytes: AsyncIterable<Uint8Array>, content: FileHandle): Promise<void> {
    return readTar(bytes, content.fd, this.#members, this.#options.signal);
  }

  async #finish(content: FileHandle, contentCtimeNs: bigint): Promise<Archive> {
    const catalog = await this.#spool.createFile();
    const writer = new CatalogWriter(catalog);
    for (const entry of this.#index.entries()) {
      this.#options.signal?.throwIfAborted();
      await writer.add(entry);
    }
    await writer.finish();
    return {
      files: { content: content.fd, contentCtimeNs, catalog: catalog.handle.fd },
      skipped: this.#skipped,
      close: () => this.close(),
    };
  }
}

async function ctimeOf(file: FileHandle): Promise<bigint> {
  return (await file.stat({ bigint: true })).ctimeNs;
}

function readAll(file: FileHandle, path: string): AsyncIterable<Uint8Array> {
  return received(
    createReadStream("", { fd: file, autoClose: false, start: 0, highWaterMark: READ_BYTES }),
    path,
  );
}

/** The stream's bytes. Errors: SOURCE_UNREADABLE; what it is aborted with. */
async function* received(stream: Readable, path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (cause) {
    throw isAbort(cause) ? cause : sourceError(cause, path, "the archive");
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof AetherError || (error instanceof Error && error.name === "AbortError");
}

/** The first bytes, and all of them. */
async function beheaded(
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

/** The archive without its compression. Errors: SOURCE_UNREADABLE. */
async function* unpacked(bytes: AsyncIterable<Uint8Array>, kind: ArchiveKind): AsyncGenerator<Uint8Array> {
  if (kind === "tar") {
    yield* bytes;
    return;
  }
  const decoder = kind === "gzip" ? createGunzip() : createZstdDecompress();
  const source = Readable.from(bytes);
  source.on("error", (error) => decoder.destroy(error));
  try {
    yield* source.pipe(decoder) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the archive's ${kind} compression is damaged or truncated: ${why}`;
    throw new AetherError("SOURCE_UNREADABLE", message, { cause });
  } finally {
    source.destroy();
    decoder.destroy();
  }
}

async function* spooled(bytes: AsyncIterable<Uint8Array>, file: SpoolFile): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    await file.append(piece);
    yield piece;
  }
}

function unknownKind(head: Buffer): AetherError {
  const program = foreignCompression(head);
  const message =
    program === undefined
      ? "what comes in is no archive that is known: a tar (as it is, or with gzip or zstd) or a zip is wanted"
      : `what comes in is compressed with ${program}, which is not supported: send it through ${program} -dc first`;
  return new AetherError("SOURCE_UNSUPPORTED", message);
}
