/** An archive as the source of a push: docs/archives.md. */
import { open, stat, type FileHandle } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import { STDIN_SOURCE, type PushOptions } from "../../contract.ts";
import type { ReadEngine } from "../../engine.ts";
import { createPathFilter } from "../../path-filter.ts";
import { sourceError } from "../walk.ts";
import { ArchiveIndex } from "./archive-index.ts";
import { HEAD_BYTES, kindByContent, kindByName, type ArchiveKind } from "./archive-kind.ts";
import type { ArchiveFiles } from "./archive-source.ts";
import { beheaded, readAll, received, spooled, unknownKind, unpacked } from "./archive-stream.ts";
import { CatalogWriter } from "./catalog.ts";
import { Members } from "./members.ts";
import { Spool } from "./spool.ts";
import { readTar } from "./tar.ts";
import { readZip } from "./zip.ts";

/** Members that skipUnreadable may leave out: each one is listed. */
const SKIPPED_MAX = 100_000;
const PROGRESS_INTERVAL_MS = 50;

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
 * ARGUMENT_INVALID, CANCELLED.
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
  let opener: ArchiveOpener | undefined;
  try {
    const spool = await Spool.open(engine.cacheDir, engine.random, options.spoolBytes);
    opener = new ArchiveOpener(spool, engine.clock, options);
    return await (isStream && input !== undefined
      ? opener.openStream(input)
      : opener.openFile(source, named));
  } catch (error) {
    await opener?.close();
    throw options.signal?.aborted === true ? (options.signal.reason as Error) : error;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

class ArchiveOpener {
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #options: PushOptions;
  readonly #index: ArchiveIndex;
  readonly #members: Members;
  readonly #skipped: { path: string; reason: string }[] = [];
  #handle: FileHandle | undefined;
  #bytes = 0;
  #reportedMs = -Infinity;

  constructor(spool: Spool, clock: Clock, options: PushOptions) {
    const { exclude = [], skipUnreadable = false } = options;
    this.#spool = spool;
    this.#clock = clock;
    this.#options = options;
    this.#index = new ArchiveIndex(spool);
    this.#members = new Members(this.#index, createPathFilter({ exclude }), (path, error) => {
      if (!skipUnreadable) throw error;
      if (this.#skipped.length === SKIPPED_MAX) {
        const message = `more than ${SKIPPED_MAX} members of the archive cannot be in a dataset: exclude them`;
        throw new AetherError("LIMIT_EXCEEDED", message, { cause: error });
      }
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
      for await (const piece of this.#counted(bytes)) {
        signal?.throwIfAborted();
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
    if (kind === "zip") {
      const { signal } = this.#options;
      const onBytes = (bytes: number): void => {
        this.#count(bytes);
      };
      await readZip(archive.fd, content, this.#members, { signal, onBytes });
    } else await this.#readTar(spooled(unpacked(readAll(archive, path), kind), content), content.handle);
    return this.#finish(content.handle, await ctimeOf(content.handle));
  }

  #readTar(bytes: AsyncIterable<Uint8Array>, content: FileHandle): Promise<void> {
    return readTar(this.#counted(bytes), content.fd, this.#members, this.#options.signal);
  }

  /** Reports progress of what goes through it. */
  async *#counted(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.#count(piece.byteLength);
      yield piece;
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#reportedMs = nowMs;
    const { onProgress } = this.#options;
    onProgress?.({
      phase: "unpack",
      files: 0,
      bytes: this.#bytes,
      totalBytes: undefined,
      reusedBytes: 0,
    });
  }

  async #finish(content: FileHandle, contentCtimeNs: bigint): Promise<Archive> {
    const catalog = await this.#spool.createFile();
    const writer = new CatalogWriter(catalog);
    for (const entry of this.#index.entries()) {
      this.#options.signal?.throwIfAborted();
      await writer.add(entry);
    }
    await writer.finish();
    this.#index.close();
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
