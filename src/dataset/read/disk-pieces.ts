/** Decoded pieces on this machine's disk, shared by the processes that have the folder. */
import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errors.ts";
import { GiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";

/** What was kept and not asked for since, and what was. */
const QUEUES = ["once", "again"] as const;
type Queue = (typeof QUEUES)[number];

/** The share that what was never asked for again may take, while there is anything else to drop. */
const ONCE_SHARE = 1 / 4;
/** What is written between two sweeps, as a share of the whole: a sweep makes room for as much. */
const SLACK_SHARE = 1 / 16;
const SLACK_BYTES_MAX = GiB;
/** A piece that is used counts as used now, but not more often than this. */
const TOUCH_MS = 60_000;
/** Pieces that are known to have been used so lately, and to be of the right size: some 3 MB. */
const SEEN_MAX = 16_384;
/** A file that a process which died left half written. */
const LEFT_MS = 3_600_000;
/** After a write failed, no other is tried for so long: reading goes on without. */
const PAUSE_MS = 60_000;
const MINUTE_MS = 60_000;

/** Where, how much, and what it takes. */
export interface DiskPiecesOptions {
  /** Made when it is not there; nothing else may lie in it. */
  readonly folder: string;
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How many bytes of a queue were last used in which minute. */
interface Survey {
  bytes: number;
  readonly byMinute: Map<number, number>;
}

/**
 * A cache of files, each with one piece's bytes. What was asked for again outlives what was not. Whoever reads verifies
 * what it gets, and removes what is wrong. Nothing here fails a reader: without a disk there is no cache.
 */
export class DiskPieces {
  readonly #options: DiskPiecesOptions;
  readonly #slackBytes: number;
  /** Since the last sweep, by this process; the first write begins with one, since it is not known what is there. */
  #addedBytes = Infinity;
  #sweep: Promise<void> | undefined;
  #pausedUntilMs = -Infinity;
  /** When pieces that were asked for again were last marked as used, by the monotonic clock. */
  readonly #usedMs = new Map<string, number>();

  constructor(options: DiskPiecesOptions) {
    this.#options = options;
    this.#slackBytes = Math.min(options.bytesMax * SLACK_SHARE, SLACK_BYTES_MAX);
  }

  /** Fills `into` with the piece that has just so many bytes; false: there is none. `key` can be a file's name. */
  async read(key: string, into: Uint8Array): Promise<boolean> {
    for (const queue of ["again", "once"] as const) {
      try {
        if (await this.#readFile(queue, key, into)) return true;
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") this.#pause(error, "a piece in the cache folder cannot be read");
      }
    }
    return false;
  }

  async #readFile(queue: Queue, key: string, into: Uint8Array): Promise<boolean> {
    const file = this.#fileOf(queue, key);
    const isSeen = queue === "again" && this.#clockMs() - (this.#usedMs.get(key) ?? -Infinity) < TOUCH_MS;
    // A pipe would be waited for.
    const handle = await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    let usedMs: number | undefined;
    try {
      if (!isSeen) {
        const stat = await handle.stat();
        usedMs = stat.mtimeMs;
        if (!stat.isFile() || stat.size !== into.byteLength) return false;
      }
      let end = 0;
      while (end < into.byteLength) {
        const { bytesRead } = await handle.read(into, end, into.byteLength - end, end);
        if (bytesRead === 0) return false;
        end += bytesRead;
      }
    } finally {
      // Nobody waits for it.
      handle.close().catch(() => undefined);
    }
    if (usedMs !== undefined) await this.#touch(queue, key, usedMs).catch(() => undefined);
    return true;
  }

  /** The memory before this cache keeps what is asked for in a row: what gets here was asked for anew. */
  async #touch(queue: Queue, key: string, usedMs: number): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const isFresh = queue === "again" && Math.abs(nowMs - usedMs) < TOUCH_MS;
    if (!isFresh) {
      const now = new Date(nowMs);
      await fs.utimes(this.#fileOf(queue, key), now, now);
      if (queue === "once") await fs.rename(this.#fileOf("once", key), this.#fileOf("again", key));
    }
    this.#usedMs.delete(key);
    this.#usedMs.set(key, this.#clockMs() - (isFresh ? Math.abs(nowMs - usedMs) : 0));
    for (const oldest of this.#usedMs.keys()) {
      if (this.#usedMs.size <= SEEN_MAX) return;
      this.#usedMs.delete(oldest);
    }
  }

  #clockMs(): number {
    return this.#options.clock.elapsedMs();
  }

  /** Keeps a piece, if that goes. */
  async write(key: string, bytes: Uint8Array): Promise<void> {
    const { folder, bytesMax, clock, random } = this.#options;
    if (bytes.byteLength > bytesMax || clock.elapsedMs() < this.#pausedUntilMs) return;
    if (this.#addedBytes >= this.#slackBytes) {
      // What comes faster than room is made is not kept.
      if (this.#sweep !== undefined) return;
      this.#addedBytes = 0;
      this.#sweep = this.#makeRoom().finally(() => {
        this.#sweep = undefined;
      });
    }
    this.#addedBytes += bytes.byteLength;
    const temporary = path.join(folder, `${random.id()}.tmp`);
    try {
      await this.#put(temporary, key, bytes).catch(async (error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
        await this.#makeFolders();
        await this.#put(temporary, key, bytes);
      });
    } catch (error) {
      await fs.rm(temporary, { force: true }).catch(() => undefined);
      this.#pause(error, "the cache folder cannot be written");
    }
  }

  async #put(temporary: string, key: string, bytes: Uint8Array): Promise<void> {
    await fs.writeFile(temporary, bytes, { mode: 0o600 });
    await fs.rename(temporary, this.#fileOf("once", key));
  }

  /** Resolves when no room is being made any more. Never rejects. */
  async rest(): Promise<void> {
    await this.#sweep;
  }

  /** Removes a piece that turned out to be wrong. */
  async remove(key: string): Promise<void> {
    this.#usedMs.delete(key);
    for (const queue of QUEUES) await fs.rm(this.#fileOf(queue, key), { force: true }).catch(() => undefined);
  }

  #fileOf(queue: Queue, key: string): string {
    return path.join(this.#options.folder, queue, key);
  }

  async #makeFolders(): Promise<void> {
    for (const queue of QUEUES) {
      await fs.mkdir(path.join(this.#options.folder, queue), { recursive: true, mode: 0o700 });
    }
  }

  #pause(error: unknown, message: string): void {
    const { log, folder, clock } = this.#options;
    if (clock.elapsedMs() < this.#pausedUntilMs) return;
    this.#pausedUntilMs = clock.elapsedMs() + PAUSE_MS;
    log.warn({ folder, error: error instanceof Error ? error.message : String(error) }, message);
  }

  /** Others may be at it too: all would remove the same. */
  async #makeRoom(): Promise<void> {
    try {
      for (const queue of QUEUES) await this.#checkFolder(queue);
      await this.#removeLeft();
      const once = await this.#survey("once");
      const again = await this.#survey("again");
      const excess = once.bytes + again.bytes - (this.#options.bytesMax - this.#slackBytes);
      const onceMax = this.#options.bytesMax * ONCE_SHARE;
      const fromOnce = Math.min(excess, Math.max(0, once.bytes - onceMax));
      const fromAgain = Math.min(excess - fromOnce, again.bytes);
      await this.#removeOldest("again", again, fromAgain);
      await this.#removeOldest("once", once, excess - fromAgain);
    } catch (error) {
      this.#pause(error, "the cache folder cannot be swept");
    }
  }

  /** Nothing is removed from a folder that is another's, or that a link leads to. */
  async #checkFolder(queue: Queue): Promise<void> {
    const folder = path.join(this.#options.folder, queue);
    const stat = await fs.lstat(folder).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
    });
    if (stat === undefined) return;
    const owner = process.getuid?.() ?? stat.uid;
    if (!stat.isDirectory() || stat.uid !== owner)
      throw new Error(`${folder} is no folder of this user's own`);
  }

  async #survey(queue: Queue): Promise<Survey> {
    const survey: Survey = { bytes: 0, byMinute: new Map() };
    for await (const { minute, bytes } of this.#files(queue)) {
      survey.bytes += bytes;
      survey.byMinute.set(minute, (survey.byMinute.get(minute) ?? 0) + bytes);
    }
    return survey;
  }

  /** Removes what was used longest ago, `bytes` or a little more of it. */
  async #removeOldest(queue: Queue, { byMinute }: Survey, bytes: number): Promise<void> {
    if (bytes <= 0) return;
    let last = -Infinity;
    let older = 0;
    for (const [minute, used] of [...byMinute].toSorted(([one], [other]) => one - other)) {
      last = minute;
      if (older + used >= bytes) break;
      older += used;
    }
    let inLast = bytes - older;
    for await (const { file, minute, bytes: found } of this.#files(queue)) {
      if (minute > last || (minute === last && inLast <= 0)) continue;
      if (minute === last) inLast -= found;
      // One that cannot be removed keeps no other from it.
      await fs.rm(file, { force: true }).catch(() => undefined);
    }
  }

  async *#files(queue: Queue): AsyncGenerator<{ file: string; minute: number; bytes: number }> {
    const folder = path.join(this.#options.folder, queue);
    for await (const name of namesIn(folder)) {
      const file = path.join(folder, name);
      const stat = await fs.lstat(file).catch(() => undefined);
      if (stat?.isFile() === true) {
        yield { file, minute: Math.floor(stat.mtimeMs / MINUTE_MS), bytes: stat.size };
      }
    }
  }

  /** Removes what processes that died left half written. */
  async #removeLeft(): Promise<void> {
    const { folder, clock } = this.#options;
    for await (const name of namesIn(folder)) {
      if (!name.endsWith(".tmp")) continue;
      const file = path.join(folder, name);
      const stat = await fs.lstat(file).catch(() => undefined);
      if (stat?.isFile() === true && clock.nowMs() - stat.mtimeMs > LEFT_MS)
        await fs.rm(file, { force: true }).catch(() => undefined);
    }
  }
}

/** The names in a folder, which need not be there. */
async function* namesIn(folder: string): AsyncGenerator<string> {
  try {
    for await (const { name } of await fs.opendir(folder)) yield name;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
