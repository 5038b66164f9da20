/** The thread that waits for the kernel's requests, and hands each on as it came. */
import { readSync, writevSync } from "node:fs";
import { constants } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { errnoOf } from "../../base/errors.ts";
import { answerHeader, openAnswer } from "./answers.ts";
import { OPENS_SMALL, TAKEN, type DeviceWorkerData } from "./device-shared.ts";
import { LARGE_ID } from "./nodes.ts";
import { KEEP_CACHE, REQUEST_BYTES_MAX, simpleRequest } from "./protocol.ts";

/** Requests that were handed on and not taken. */
const AHEAD_MAX = 1024;
/** An interrupted system call, and a request that was interrupted before it was read. */
const PASSING: ReadonlySet<string | undefined> = new Set(["EINTR", "EAGAIN", "ENOENT"]);
const { ENODATA } = constants.errno;
const OPENED = openAnswer(KEEP_CACHE);

const port = must(parentPort, "this module runs as a worker thread");
const { fd, shared } = workerData as DeviceWorkerData;
const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX);

let handed = 0;
for (let bytes = next(); bytes !== undefined; bytes = next()) {
  if (!answeredHere(bytes)) hand(bytes);
}

/** The next request, in memory that is used again; undefined: it was unmounted. */
function next(): Uint8Array | undefined {
  for (;;) {
    try {
      const length = readSync(fd, buffer);
      return length === 0 ? undefined : buffer.subarray(0, length);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENODEV") return undefined;
      if (!PASSING.has(errno)) throw error;
    }
  }
}

function hand(bytes: Uint8Array): void {
  for (let taken = Atomics.load(shared, TAKEN); ((handed - taken) | 0) >= AHEAD_MAX;) {
    Atomics.wait(shared, TAKEN, taken);
    taken = Atomics.load(shared, TAKEN);
  }
  handed = (handed + 1) | 0;
  port.postMessage(new Uint8Array(bytes));
}

/**
 * Small files are opened and closed without ado. Attributes that are none of ours are nowhere: ls(1), cp(1), overlayfs and the kernel
 * itself ask for some of each file, and the kernel remembers none of these answers.
 */
function answeredHere(bytes: Uint8Array): boolean {
  const found = simpleRequest(bytes);
  if (found === undefined) return false;
  const { kind, unique, node } = found;
  if (kind === "foreignXattr") tell(unique, ENODATA);
  else if (Atomics.load(shared, OPENS_SMALL) !== 1 || node >= LARGE_ID) return false;
  else if (kind === "open") tell(unique, 0, OPENED);
  else tell(unique, 0);
  return true;
}

function tell(unique: bigint, errno: number, ...parts: readonly Uint8Array[]): void {
  try {
    writevSync(fd, [answerHeader(unique, errno, parts[0]?.byteLength ?? 0), ...parts]);
  } catch {
    // Nobody waits for it any more.
  }
}
