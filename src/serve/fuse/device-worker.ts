/** The thread that waits for the kernel's requests, and hands each on as it came. */
import { readSync, writevSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { errnoOf } from "../../base/errors.ts";
import { answerHeader, openAnswer } from "./answers.ts";
import { OPENS_SMALL, TAKEN, type DeviceWorkerData } from "./device-shared.ts";
import { LARGE_ID } from "./nodes.ts";
import { KEEP_CACHE, opening, REQUEST_BYTES_MAX } from "./protocol.ts";

/** Requests that were handed on and not taken. */
const AHEAD_MAX = 1024;
/** An interrupted system call, and a request that was interrupted before it was read. */
const PASSING: ReadonlySet<string | undefined> = new Set(["EINTR", "EAGAIN", "ENOENT"]);
const OPENED = openAnswer(KEEP_CACHE);

const port = must(parentPort, "this module runs as a worker thread");
const { fd, shared } = workerData as DeviceWorkerData;
const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX);

let handed = 0;
for (let bytes = next(); bytes !== undefined; bytes = next()) {
  if (Atomics.load(shared, OPENS_SMALL) === 1 && answeredHere(bytes)) continue;
  hand(bytes);
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

/** Small files are opened and closed without ado. */
function answeredHere(bytes: Uint8Array): boolean {
  const found = opening(bytes);
  if (found === undefined || found.node >= LARGE_ID) return false;
  const parts = found.kind === "open" ? [OPENED] : [];
  try {
    writevSync(fd, [answerHeader(found.unique, 0, found.kind === "open" ? OPENED.byteLength : 0), ...parts]);
  } catch {
    // Nobody waits for it any more.
  }
  return true;
}
