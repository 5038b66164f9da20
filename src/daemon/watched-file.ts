import { stat } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";

/** How often the file is looked at. */
const LOOK_MS = 2000;

/** A file of secrets that is read, and read anew when it changes. */
export interface WatchedFileOptions<T> {
  readonly path: string;
  /** What it holds, for the log: "access keys". */
  readonly what: string;
  /** Errors: CONFIG_INVALID. */
  readonly read: (path: string) => Promise<T>;
  readonly log: Log;
}

/** What a file of secrets holds, as it is now. */
export class WatchedFile<T extends { readonly isPrivate: boolean }> {
  readonly #options: WatchedFileOptions<T>;
  #value: T;
  #seen: string;

  private constructor(options: WatchedFileOptions<T>, value: T, seen: string) {
    this.#options = options;
    this.#value = value;
    this.#seen = seen;
  }

  /** Errors: CONFIG_INVALID. */
  static async open<T extends { readonly isPrivate: boolean }>(
    options: WatchedFileOptions<T>,
  ): Promise<WatchedFile<T>> {
    const { path } = options;
    // A change while it is read is seen at the next look.
    const seen = await stampOf(path);
    const file = new WatchedFile(options, await options.read(path), seen);
    file.#warn();
    return file;
  }

  get value(): T {
    return this.#value;
  }

  /** Reads the file again whenever it has changed, until the signal aborts. A file that is not usable changes nothing. */
  async watch(clock: Clock, signal: AbortSignal): Promise<void> {
    const { path, what, read, log } = this.#options;
    for (;;) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const seen = await stampOf(path);
        if (seen === this.#seen) continue;
        this.#seen = seen;
        this.#value = await read(path);
        this.#warn();
        log.info({ file: path }, `the ${what} were read anew`);
      } catch (error) {
        log.warn({ err: error }, `the file of ${what} is not usable: those before stay in use`);
      }
    }
  }

  #warn(): void {
    const { path: file, what, log } = this.#options;
    if (!this.#value.isPrivate)
      log.warn({ file }, `others than its owner may read the file of ${what}: chmod 600 it`);
  }
}

/** What changes with the file; "" of one that cannot be looked at. */
async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino, mode } = await stat(path, { bigint: true });
    return [mtimeNs, size, ino, mode].join(" ");
  } catch {
    return "";
  }
}
