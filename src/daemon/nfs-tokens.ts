import { hash } from "node:crypto";
import type { MountToken, MountTokens } from "../auth/mount-tokens.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { readNfsTokens, type WrittenToken } from "../config/nfs-tokens.ts";
import { WatchedFile } from "./watched-file.ts";

interface Tokens {
  readonly all: readonly MountToken[];
  readonly isPrivate: boolean;
}

/** The tokens of a file, as it is now. */
export class FileTokens implements MountTokens {
  readonly #file: WatchedFile<Tokens>;

  private constructor(file: WatchedFile<Tokens>) {
    this.#file = file;
  }

  /** Errors: CONFIG_INVALID. */
  static async open(path: string, log: Log): Promise<FileTokens> {
    return new FileTokens(await WatchedFile.open({ path, what: "NFS tokens", read: readTokens, log }));
  }

  get all(): readonly MountToken[] {
    return this.#file.value.all;
  }

  /** As WatchedFile.watch(). */
  watch(clock: Clock, signal: AbortSignal): Promise<void> {
    return this.#file.watch(clock, signal);
  }
}

async function readTokens(path: string): Promise<Tokens> {
  const { tokens, isPrivate } = await readNfsTokens(path);
  return { all: tokens.map(tokenOf), isPrivate };
}

function tokenOf({ name, secret, datasets }: WrittenToken): MountToken {
  const named = new Set(datasets ?? ["*"]);
  const covers = (dataset: string): boolean => {
    const scope = dataset.slice(0, dataset.lastIndexOf("/") + 1);
    return named.has("*") || named.has(dataset) || (scope !== "" && named.has(`${scope}*`));
  };
  return { name, secret: hash("sha256", secret, "buffer"), covers };
}
