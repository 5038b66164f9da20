/** Hashing a file of this machine, in a thread. */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { TaskResult } from "./tasks.ts";

/** The digest of a regular file; undefined: there is none that can be read. A link is not followed. */
export function hashFile({ file }: { readonly file: string }): TaskResult<Digest | undefined> {
  return { output: hashed(file), transfer: [] };
}

function hashed(file: string): Digest | undefined {
  let fd: number | undefined;
  try {
    // A pipe would be waited for.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return undefined;
    const buffer = Buffer.allocUnsafeSlow(MiB);
    const hash = createHash("sha256");
    for (let bytes = readSync(fd, buffer); bytes > 0; bytes = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, bytes));
    }
    return hash.digest("hex") as Digest;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
