/** Files that the kernel reads by itself: include/uapi/linux/fuse.h, Linux 6.9 or newer, for root. */
import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import type * as Ffi from "node:ffi";
import type { Log } from "../../base/log.ts";
import type { Backings } from "./open-files.ts";

/** `FUSE_DEV_IOC_BACKING_OPEN` and `FUSE_DEV_IOC_BACKING_CLOSE` */
const BACKING_OPEN = 0x4010_e501n;
const BACKING_CLOSE = 0x4004_e502n;

/** The way to the ioctls of an open /dev/fuse; undefined: this Node has no way to call them. */
export function openBackings(device: number, log: Log): Backings | undefined {
  const ioctl = loadIoctl();
  if (ioctl === undefined) return undefined;
  return {
    open: (file) => {
      let fd: number;
      try {
        fd = openSync(file, "r");
      } catch {
        return undefined;
      }
      // `struct fuse_backing_map`
      const map = Buffer.alloc(16);
      map.writeInt32LE(fd, 0);
      const id = ioctl(device, BACKING_OPEN, map);
      closeSync(fd);
      if (id > 0) return id;
      log.warn({ file }, "the kernel does not read a file of the cache by itself");
      return undefined;
    },
    close: (id) => {
      const number = Buffer.alloc(4);
      number.writeInt32LE(id, 0);
      ioctl(device, BACKING_CLOSE, number);
    },
  };
}

function loadIoctl(): ((fd: number, request: bigint, argument: Buffer) => number) | undefined {
  try {
    const ffi = createRequire(import.meta.url)("node:ffi") as typeof Ffi;
    const { functions } = ffi.dlopen(null, {
      ioctl: { arguments: ["int32", "uint64", "buffer"], return: "int32" },
    });
    return functions.ioctl;
  } catch {
    return undefined;
  }
}
