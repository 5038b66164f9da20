/** Mounting: /dev/fuse with a mount at its other end. */
import { closeSync, openSync } from "node:fs";
import { AetherError, errnoOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { mountWithHelper } from "./mount-user.ts";
import { FILE_SYSTEM_TYPE } from "./mount-table.ts";
import { runProgram } from "./program.ts";

/** Where, and what stands in the list of mounts. */
export interface MountOptions {
  /** Absolute. */
  readonly folder: string;
  readonly source: string;
  /** Others than who mounts may look too: as root they may, and others may let them if /etc/fuse.conf does. */
  readonly allowOther: boolean;
  /** No program of it can be run. */
  readonly noexec: boolean;
}

/** Mounts, and gives the descriptor of its device. Errors: MOUNT_FAILED. */
export function mountFuse(options: MountOptions): Promise<number> {
  return process.getuid?.() === 0 ? mountAsRoot(options) : mountWithHelper(options);
}

/** mount(8) passes the descriptor on to the kernel: fuse(4), Documentation/filesystems/fuse.rst. */
async function mountAsRoot({ folder, source, allowOther, noexec }: MountOptions): Promise<number> {
  const fd = openDevice();
  try {
    const own = ["fd=3", "rootmode=40000", "user_id=0", "group_id=0", `max_read=${MiB}`];
    const words = [
      "ro",
      "nosuid",
      "nodev",
      ...own,
      "default_permissions",
      ...(allowOther ? ["allow_other"] : []),
      ...(noexec ? ["noexec"] : []),
    ];
    const mounted = await runProgram(
      "mount",
      ["-i", "-t", FILE_SYSTEM_TYPE, "-o", words.join(","), "--", source, folder],
      { passed: [fd] },
    );
    if (mounted.code === 0) return fd;
    throw new AetherError("MOUNT_FAILED", `${folder} is not mounted: ${mounted.said}`, { data: { folder } });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openDevice(): number {
  try {
    return openSync("/dev/fuse", "r+");
  } catch (cause) {
    const why = errnoOf(cause) === "ENOENT" ? "this machine has no /dev/fuse" : "/dev/fuse cannot be opened";
    throw new AetherError("MOUNT_FAILED", `${why}: its kernel needs FUSE, and a container the device`, {
      cause,
    });
  }
}
