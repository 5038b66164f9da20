/** The thread that waits for the kernel's requests, and hands each on as it came. */
import { readSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { errnoOf } from "../../base/errors.ts";
import { REQUEST_BYTES_MAX } from "./protocol.ts";

/** What the thread gets. */
export interface DeviceWorkerData {
  readonly fd: number;
  /** Counts the requests that were taken, for who hands them on. */
  readonly taken: Int32Array<SharedArrayBuffer>;
}

/** Requests that were handed on and not taken. */
const AHEAD_MAX = 1024;
/** An interrupted system call, and a request that was interrupted before it was read. */
const PASSING: ReadonlySet<string | undefined> = new Set(["EINTR", "EAGAIN", "ENOENT"]);

const port = must(parentPort, "this module runs as a worker thread");
const { fd, taken } = workerData as DeviceWorkerData;
const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX);

for (let handed = 0; ; handed = (handed + 1) | 0) {
  for (let count = Atomics.load(taken, 0); ((handed - count) | 0) >= AHEAD_MAX;) {
    Atomics.wait(taken, 0, count);
    count = Atomics.load(taken, 0);
  }
  const bytes = next();
  if (bytes === undefined) break;
  port.postMessage(bytes);
}

/** The next request; undefined: it was unmounted. */
function next(): Uint8Array | undefined {
  for (;;) {
    try {
      const length = readSync(fd, buffer);
      return length === 0 ? undefined : Uint8Array.prototype.slice.call(buffer, 0, length);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENODEV") return undefined;
      if (!PASSING.has(errno)) throw error;
    }
  }
}
