/** Temporary files of a push or an analysis, within a limit. They have no names, so that nothing is left of them whatever happens. */
import fs from "node:fs";
import { open, rm, statfs, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AetherError, errnoOf } from "../../../base/errors.ts";
import type { Random } from "../../../base/random.ts";
import { makeFolders } from "../../../store/make-folders.ts";

/** A file that only grows. Its handle's number is good in every thread of the process. */
export interface SpoolFile {
  readonly handle: FileHandle;
  /** Bytes in it. */
  readonly length: number;
  /** Adds bytes at the end. Errors: LIMIT_EXCEEDED, SPACE_EXHAUSTED. */
  readonly append: (bytes: Uint8Array) => Promise<void>;
}

/** Where temporary files are made, and how much they may hold together. */
export class Spool {
  readonly #folder: string;
  readonly #random: Random;
  readonly #limitBytes: number;
  readonly #open: FileHandle[] = [];
  #usedBytes = 0;

  private constructor(folder: string, random: Random, limitBytes: number) {
    this.#folder = folder;
    this.#random = random;
    this.#limitBytes = limitBytes;
  }

  /**
   * A spool in the cache folder, else in the system's folder for temporary files. `limitBytes` undefined: half of what is
   * free there. Errors: CONFIG_INVALID when no file can be made.
   */
  static async open(
    cacheDir: string | undefined,
    random: Random,
    limitBytes: number | undefined,
  ): Promise<Spool> {
    const folder = spoolFolder(cacheDir);
    return new Spool(folder, random, limitBytes ?? (await freeBytes(folder)) / 2);
  }

  /** Counts bytes that are about to be written. Errors: LIMIT_EXCEEDED. */
  take(bytes: number): void {
    this.#usedBytes += bytes;
    if (this.#usedBytes <= this.#limitBytes) return;
    const limit = Math.floor(this.#limitBytes);
    throw new AetherError(
      "LIMIT_EXCEEDED",
      `more than ${limit} bytes of temporary space are needed in ${this.#folder}: ` +
        "if that is what you expect, give a larger --spool_limit, or --cache_dir on a larger disk",
      { data: { limit } },
    );
  }

  /** A new file without a name. Errors: CONFIG_INVALID, SPACE_EXHAUSTED. */
  async createFile(): Promise<SpoolFile> {
    const path = this.createPath();
    try {
      const handle = await open(path, "wx+", 0o600);
      this.#open.push(handle);
      await rm(path);
      return this.#fileOf(handle);
    } catch (error) {
      throw spoolError(error, this.#folder);
    }
  }

  /** A path in the spool that nothing has: its user takes the name away at once. */
  createPath(): string {
    return join(this.#folder, this.#random.id());
  }

  /** Gives the space back. */
  async close(): Promise<void> {
    for (const handle of this.#open.splice(0)) await handle.close();
  }

  #fileOf(handle: FileHandle): SpoolFile {
    let length = 0;
    return {
      handle,
      get length() {
        return length;
      },
      append: async (bytes) => {
        this.take(bytes.byteLength);
        try {
          for (let at = 0; at < bytes.byteLength;) {
            const { bytesWritten } = await handle.write(bytes, at, bytes.byteLength - at, length);
            at += bytesWritten;
            length += bytesWritten;
          }
        } catch (error) {
          throw spoolError(error, this.#folder);
        }
      },
    };
  }
}

function spoolFolder(cacheDir: string | undefined): string {
  if (cacheDir !== undefined) {
    const folder = join(cacheDir, "spool");
    try {
      makeFolders(folder, 0o700);
      fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
      return folder;
    } catch {
      // A cache is a hint: what cannot be kept there is kept elsewhere.
    }
  }
  return tmpdir();
}

async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    throw spoolError(error, folder);
  }
}

/** The table's error for what Node says about a temporary file. */
export function spoolError(cause: unknown, folder: string): AetherError {
  if (cause instanceof AetherError) return cause;
  const errno = errnoOf(cause) ?? String(cause);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    const message = `the disk of ${folder} is full, where temporary files lie; make room, or give another --cache_dir`;
    return new AetherError("SPACE_EXHAUSTED", message, { cause });
  }
  const message = `temporary files cannot be made in ${folder} (${errno}): give another --cache_dir`;
  return new AetherError("CONFIG_INVALID", message, { cause });
}
