import type { AccessKey, AccessKeys } from "../auth/access-keys.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { readS3Keys, type WrittenKeys } from "../config/s3-keys.ts";
import { WatchedFile } from "./watched-file.ts";

/** The access keys of a file, as it is now. */
export class FileKeys implements AccessKeys {
  readonly #file: WatchedFile<WrittenKeys>;

  private constructor(file: WatchedFile<WrittenKeys>) {
    this.#file = file;
  }

  /** Errors: CONFIG_INVALID. */
  static async open(path: string, log: Log): Promise<FileKeys> {
    return new FileKeys(await WatchedFile.open({ path, what: "access keys", read: readS3Keys, log }));
  }

  find(id: string): AccessKey | undefined {
    return this.#file.value.keys.get(id);
  }

  /** As WatchedFile.watch(). */
  watch(clock: Clock, signal: AbortSignal): Promise<void> {
    return this.#file.watch(clock, signal);
  }
}
