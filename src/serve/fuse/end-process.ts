import { createRequire } from "node:module";
import type * as Ffi from "node:ffi";

/**
 * Ends the process at once, with an exit code. process.exit() waits for all threads, and so for the one that waits for the kernel, which
 * has nothing to say to who serves a mount that is in use: `_exit` of the C library does not. A Node without `node:ffi` ends by SIGKILL.
 */
export function endProcess(code: number): void {
  try {
    const ffi = createRequire(import.meta.url)("node:ffi") as typeof Ffi;
    ffi.dlopen(null, { _exit: { arguments: ["int32"], return: "void" } }).functions._exit(code);
  } catch {
    // As below.
  }
  process.kill(process.pid, "SIGKILL");
}
