import { stat } from "node:fs/promises";
import type { AccessKey, AccessKeys } from "../auth/access-keys.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { readS3Keys, type WrittenKeys } from "../config/s3-keys.ts";

/** How often the file is looked at. */
const LOOK_MS = 2000;

/** The access keys of a file, as it is now. */
export class FileKeys implements AccessKeys {
  readonly #path: string;
  readonly #log: Log;
  #keys: WrittenKeys["keys"] = new Map();
  #seen = "";

  private constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Errors: CONFIG_INVALID. */
  static async open(path: string, log: Log): Promise<FileKeys> {
    const keys = new FileKeys(path, log);
    await keys.#read();
    return keys;
  }

  find(id: string): AccessKey | undefined {
    return this.#keys.get(id);
  }

  /** Reads the file again whenever it has changed, until the signal aborts. A file that is not usable changes nothing. */
  async watch(clock: Clock, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        if ((await this.#stamp()) === this.#seen) continue;
        await this.#read();
        this.#log.info({ keys: this.#keys.size }, "the access keys were read anew");
      } catch (error) {
        this.#log.warn({ err: error }, "the file of access keys is not usable: those before stay in use");
      }
    }
  }

  async #read(): Promise<void> {
    // A change while it is read is seen at the next look.
    this.#seen = await this.#stamp();
    const { keys, isPrivate } = await readS3Keys(this.#path);
    this.#keys = keys;
    if (isPrivate) return;
    const file = this.#path;
    this.#log.warn({ file }, "others than its owner may read the file of access keys: chmod 600 it");
  }

  /** What changes with the file; "" of one that cannot be looked at. */
  async #stamp(): Promise<string> {
    try {
      const { mtimeNs, size, ino, mode } = await stat(this.#path, { bigint: true });
      return [mtimeNs, size, ino, mode].join(" ");
    } catch {
      return "";
    }
  }
}
