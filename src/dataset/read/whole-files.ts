/** Decoded files on this machine's disk, each whole: what can be given to somebody who reads without us. */
import * as fs from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { AetherError, errnoOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Digest } from "../../format/digest.ts";
import type { WorkerPool } from "../workers/pool.ts";

/** Files that wait to be made; who asks for more asks again. */
const WAITING_MAX = 64;
/** The share of the whole that one file may take. */
const FILE_SHARE = 1 / 2;
/** A file that a process which died left half written. */
const LEFT_MS = 3_600_000;
/** After a write failed, no other is tried for so long. */
const PAUSE_MS = 60_000;
const NAME = /^[0-9a-f]{64}$/;
const WRITABLE_BY_OTHERS = 0o022;

/** Where, how much, and what it takes. */
export interface WholeFilesOptions {
  /** Made when it is not there; nothing else may lie in it. */
  readonly folder: string;
  readonly bytesMax: number;
  readonly pool: WorkerPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A file that is wanted. */
export interface WantedFile {
  readonly digest: Digest;
  readonly size: number;
  /** Its bytes, verified; each piece holds until the next is asked for. */
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** What is known of a file of the folder. */
interface Known {
  readonly size: number;
  usedMs: number;
  /** This process wrote it, or hashed it. */
  isVerified: boolean;
}

/**
 * A cache of whole files by their digest. Each is hashed when it was written, and once in the life of a process that finds it.
 * What was used longest ago goes first; who has it open keeps it. Nothing here fails a reader.
 */
export class WholeFiles {
  readonly #options: WholeFilesOptions;
  readonly #files = new Map<string, Known>();
  readonly #waiting = new Map<Digest, WantedFile>();
  #working: Promise<void> | undefined;
  #pausedUntilMs = -Infinity;

  private constructor(options: WholeFilesOptions) {
    this.#options = options;
  }

  /** Looks what the folder has. Where it cannot, it has nothing, and will get nothing. */
  static async open(options: WholeFilesOptions): Promise<WholeFiles> {
    const files = new WholeFiles(options);
    try {
      await files.#look();
    } catch (error) {
      options.log.warn({ err: error }, "whole files cannot be kept");
      files.#pausedUntilMs = Infinity;
    }
    return files;
  }

  /** Whether the file is there, verified or not. */
  has(digest: Digest): boolean {
    return this.#files.has(digest);
  }

  /** Where the file lies that has just this content; undefined: it is not there, or not verified. */
  find(digest: Digest): string | undefined {
    const known = this.#files.get(digest);
    if (known?.isVerified !== true) return undefined;
    known.usedMs = this.#options.clock.nowMs();
    return this.#fileOf(digest);
  }

  /** Has the file made, or verified when it is there, some time. */
  want(file: WantedFile): void {
    const { bytesMax, clock } = this.#options;
    if (file.size > bytesMax * FILE_SHARE || clock.elapsedMs() < this.#pausedUntilMs) return;
    if (this.#waiting.size >= WAITING_MAX || this.#files.get(file.digest)?.isVerified === true) return;
    this.#waiting.set(file.digest, file);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Whether a file is being made or verified, or waits for it. */
  get isBusy(): boolean {
    return this.#working !== undefined;
  }

  /** Resolves when nothing is made any more. Never rejects. */
  async rest(): Promise<void> {
    this.#waiting.clear();
    await this.#working;
  }

  async #work(): Promise<void> {
    const { log, clock } = this.#options;
    for (const [digest, file] of this.#waiting) {
      try {
        if (!(await this.#verify(digest, this.#fileOf(digest)))) await this.#make(file);
        await this.#makeRoom(digest);
      } catch (error) {
        log.warn({ err: error }, "a whole file is not kept");
        this.#pausedUntilMs = clock.elapsedMs() + PAUSE_MS;
        this.#waiting.clear();
      }
      this.#waiting.delete(digest);
    }
  }

  /** What lies in the folder: other processes put files there too, and remove them. */
  async #look(): Promise<void> {
    const { folder, clock } = this.#options;
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await fs.stat(folder);
    // Whoever could put another file in the place of one that was verified would have it read unverified.
    if (uid !== process.getuid?.() || (mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new AetherError("CONFIG_INVALID", `${folder} belongs to others, or others may write to it`);
    }
    const names = new Set(await fs.readdir(folder));
    for (const known of this.#files.keys()) if (!names.has(known)) this.#files.delete(known);
    for (const name of names) {
      if (this.#files.has(name)) continue;
      const file = path.join(folder, name);
      const stat = await fs.lstat(file).catch(() => undefined);
      if (stat === undefined) continue;
      if (NAME.test(name))
        this.#files.set(name, { size: stat.size, usedMs: stat.mtimeMs, isVerified: false });
      else if (clock.nowMs() - stat.mtimeMs > LEFT_MS) await fs.rm(file, { force: true });
    }
  }

  async #verify(digest: Digest, file: string): Promise<boolean> {
    const known = this.#files.get(digest);
    if (known === undefined) return false;
    known.isVerified = (await this.#options.pool.run("hashFile", { file })) === digest;
    if (!known.isVerified) this.#files.delete(digest);
    return known.isVerified;
  }

  async #make({ digest, size, read }: WantedFile): Promise<void> {
    const { folder, random, clock, pool } = this.#options;
    const temporary = path.join(folder, `${random.id()}.tmp`);
    try {
      const handle = await fs.open(temporary, "wx", 0o600);
      try {
        for await (const bytes of read()) await handle.writeFile(bytes);
      } finally {
        await handle.close();
      }
      if ((await pool.run("hashFile", { file: temporary })) !== digest) return;
      await fs.rename(temporary, this.#fileOf(digest));
      this.#files.set(digest, { size, usedMs: clock.nowMs(), isVerified: true });
    } finally {
      await fs.rm(temporary, { force: true });
    }
  }

  async #makeRoom(newest: Digest): Promise<void> {
    await this.#look();
    let bytes = 0;
    for (const { size } of this.#files.values()) bytes += size;
    const byUse = [...this.#files].sort(([, a], [, b]) => a.usedMs - b.usedMs);
    for (const [name, { size }] of byUse) {
      if (bytes <= this.#options.bytesMax) return;
      if (name === newest) continue;
      this.#files.delete(name);
      bytes -= size;
      await fs.rm(path.join(this.#options.folder, name)).catch((error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
      });
    }
  }

  #fileOf(digest: Digest): string {
    return path.join(this.#options.folder, digest);
  }
}
