/** Small objects that were read a moment ago, read again without a thread. docs/decisions/0019 */
import { closeSync, constants, lstatSync, openSync, readSync } from "node:fs";
import type { Clock } from "../../../base/clock.ts";
import { KiB } from "../../../base/limits.ts";

/** Objects up to this size; records have some hundred bytes. */
const BYTES_MAX = 16 * KiB;
/** Paths that are remembered. */
const PATHS_MAX = 1024;
/** How long the kernel is trusted to still have in memory what it was asked for. */
const RECENT_MS = 10_000;
/**
 * A read that took so long came from a disk that is slow, and the event loop waits for no other for a while; or the process was preempted
 * on a machine that is busy, and nothing is wrong. So a pause is short, and twice as long as the one before that was not long ago.
 */
const SLOW_MS = 100;
const PAUSE_MS_FIRST = 1000;
const PAUSE_MS_MAX = 60_000;
/** Opening must not follow a link, nor wait for the other end of a pipe. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * File systems whose reads end, and that say nothing stale: those on disks of this machine, and in its memory, by the number that
 * statfs(2) gives (linux/magic.h). Elsewhere, and on other systems, nothing is read so.
 */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
]);

/** What is at a path: bytes, or surely nothing. */
type QuickRead = Buffer | "absent";

/**
 * Reads files on the spot that were read, or found absent, a moment ago: the kernel answers from its memory in some ten microseconds, a
 * thread's answer costs several times as much. Nothing is remembered but the paths: what it gives is what is there now.
 */
export class QuickReads {
  readonly #clock: Clock;
  readonly #isLocal: boolean;
  /** When each was read last, by the monotonic clock; the longest ago first. */
  readonly #readMs = new Map<string, number>();
  #pausedUntilMs = -Infinity;
  #pauseMs = 0;

  /** `fileSystem`: the type that statfs(2) gives for where all files lie. */
  constructor(clock: Clock, fileSystem: number) {
    this.#clock = clock;
    this.#isLocal = process.platform === "linux" && LOCAL_TYPES.has(fileSystem);
  }

  /** What is at the path; undefined: it must be found out in the usual way, which has the errors. */
  read(path: string, bytesMax: number): QuickRead | undefined {
    const readMs = this.#readMs.get(path);
    if (readMs === undefined) return undefined;
    const beganMs = this.#clock.elapsedMs();
    if (beganMs - readMs > RECENT_MS || beganMs < this.#pausedUntilMs) return undefined;
    const found = readNow(path, Math.min(bytesMax, BYTES_MAX));
    if (this.#clock.elapsedMs() - beganMs > SLOW_MS) this.#pause(beganMs);
    if (found !== undefined) this.#note(path, beganMs);
    return found;
  }

  #pause(nowMs: number): void {
    const isAgain = nowMs - this.#pausedUntilMs < PAUSE_MS_MAX;
    this.#pauseMs = isAgain ? Math.min(2 * this.#pauseMs, PAUSE_MS_MAX) : PAUSE_MS_FIRST;
    this.#pausedUntilMs = nowMs + this.#pauseMs;
  }

  /** Notes that the file was read, and has `bytes`; undefined: nothing was there. */
  note(path: string, bytes: number | undefined): void {
    if (this.#isLocal && (bytes ?? 0) <= BYTES_MAX) this.#note(path, this.#clock.elapsedMs());
  }

  #note(path: string, nowMs: number): void {
    this.#readMs.delete(path);
    this.#readMs.set(path, nowMs);
    if (this.#readMs.size <= PATHS_MAX) return;
    for (const oldest of this.#readMs.keys()) {
      this.#readMs.delete(oldest);
      return;
    }
  }
}

/** Whether a file is at the path now, asked without a thread: for what is asked for whenever another is found absent. */
export function isFileNow(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return false;
  }
}

function readNow(path: string, bytesMax: number): QuickRead | undefined {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return "absent";
    if (!stat.isFile() || stat.size > bytesMax) return undefined;
    const file = openSync(path, READ_FLAGS);
    try {
      // One more than it had: who replaces it meanwhile may have put there another size.
      const bytes = Buffer.allocUnsafeSlow(stat.size + 1);
      const count = readSync(file, bytes, 0, bytes.byteLength, 0);
      return count === stat.size ? bytes.subarray(0, count) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}
