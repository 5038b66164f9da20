/** What is mounted, and whether it lives. Nothing here waits for a file system that does not answer. */
import { readFileSync, writeFileSync } from "node:fs";
import { AetherError } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { runProgram } from "./program.ts";

/** The kernel's name for file systems of this kind: `fuse`, and what comes after the dot is ours. */
export const FILE_SYSTEM_TYPE = "fuse.aetherfs";

/** What the kernel reads ahead of a mount: as much as one READ has. */
const READ_AHEAD_BYTES = MiB;

/** Something mounted at a folder. */
export interface Mount {
  /** `major:minor` */
  readonly device: string;
  readonly type: string;
  readonly source: string;
  /** Of FUSE: the user who mounted; undefined: it is another file system. */
  readonly user: number | undefined;
}

/** What is mounted at a folder, the one that is seen; undefined: nothing. `folder` is absolute. */
export function mountAt(folder: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    // proc_pid_mountinfo(5): … (5) mount point … - type source super-options
    const [left = "", right = ""] = line.split(" - ");
    const [type = "", source = "", words = ""] = right.split(" ");
    const [, , device = "", , point = ""] = left.split(" ");
    if (unescaped(point) === folder) found = { device, type, source: unescaped(source), user: userIn(words) };
  }
  return found;
}

function userIn(words: string): number | undefined {
  const [, user] = /(?:^|,)user_id=(\d+)/.exec(words) ?? [];
  return user === undefined ? undefined : Number(user);
}

/** Space, tab, newline and backslash are written in octal. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Whether whoever served the mount at a folder is gone, so that every access fails. */
async function isStale(folder: string): Promise<boolean> {
  const { code, said } = await runProgram("stat", ["--file-system", "--", folder]);
  return code !== 0 && said.includes("Transport endpoint is not connected");
}

/**
 * Unmounts, as root or through fusermount3. `lazily`: also what is in use, which goes on as long as it is. Errors: MOUNT_FAILED, also when
 * somebody else mounted.
 */
export async function unmount(folder: string, lazily: boolean): Promise<void> {
  const own = process.getuid?.();
  const asRoot = own === 0;
  const user = mountAt(folder)?.user;
  if (!asRoot && user !== undefined && user !== own) {
    const who = user === 0 ? "root, who alone" : `the user ${user}: they or root`;
    throw new AetherError("MOUNT_FAILED", `${folder} was mounted by ${who} may unmount it`, {
      data: { folder },
    });
  }
  const ended = asRoot
    ? await runProgram("umount", ["-i", ...(lazily ? ["-l"] : []), "--", folder])
    : await runProgram("fusermount3", ["-u", ...(lazily ? ["-z"] : []), "--", folder]);
  if (ended.code === 0) return;
  const advice = /busy/i.test(ended.said) ? "; somebody uses it: --lazy lets them finish" : "";
  throw new AetherError("MOUNT_FAILED", `${folder} is not unmounted: ${ended.said}${advice}`, {
    data: { folder },
  });
}

/**
 * Makes way for a mount at a folder: removes one of ours that nobody serves any more. Errors: MOUNT_FAILED when one is there that is
 * served.
 */
export async function clearStale(folder: string): Promise<void> {
  for (let mount = mountAt(folder); mount?.type === FILE_SYSTEM_TYPE; mount = mountAt(folder)) {
    if (!(await isStale(folder))) {
      const text = `${mount.source} is mounted at ${folder} already: aetherfs umount ${folder}`;
      throw new AetherError("MOUNT_FAILED", text, { data: { folder } });
    }
    await unmount(folder, true);
  }
}

/** Has the kernel read further ahead of a mount, which root alone may tell it. */
export function readFurtherAhead(folder: string): void {
  const device = mountAt(folder)?.device;
  try {
    if (device !== undefined)
      writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(READ_AHEAD_BYTES / KiB));
  } catch {
    // It reads ahead less.
  }
}
