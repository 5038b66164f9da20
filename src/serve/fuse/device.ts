import { closeSync, write, writevSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { errnoOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { answerHeader } from "./answers.ts";
import { OPENS_SMALL, TAKEN, type DeviceWorkerData } from "./device-shared.ts";
import { decodeRequest, type Request } from "./protocol.ts";
import type { Kernel } from "./requests.ts";

/** The worker's module, whichever form this one runs in. */
const WORKER_URL = new URL(
  import.meta.url.endsWith(".ts") ? "./device-worker.ts" : "./device-worker.js",
  import.meta.url,
);
/** Nobody waits for the answer, or there is no mount any more. */
const NOBODY: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENODEV", "ENOTCONN"]);

/** An open /dev/fuse with a mount at its other end. */
export class FuseDevice implements Kernel {
  readonly #fd: number;
  readonly #log: Log;
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #notices: Uint8Array[] = [];
  #notifying: Promise<void> | undefined;
  #isClosed = false;

  /** `fd` is closed when it is unmounted. */
  constructor(fd: number, log: Log) {
    this.#fd = fd;
    this.#log = log;
  }

  get notices(): number {
    return this.#notices.length;
  }

  /** Hands each request to `take`, until it is unmounted. Rejects when the device cannot be read. */
  async serve(take: (request: Request) => void): Promise<void> {
    const shared = this.#shared;
    const workerData: DeviceWorkerData = { fd: this.#fd, shared };
    const worker = new Worker(WORKER_URL, { workerData });
    worker.on("message", (bytes: Uint8Array) => {
      const request = decodeRequest(bytes);
      if (request !== undefined) take(request);
      else
        this.#log.error({ bytes: bytes.byteLength }, "the kernel asked for something that is not understood");
      Atomics.add(shared, TAKEN, 1);
      Atomics.notify(shared, TAKEN);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        worker.on("error", reject);
        worker.on("exit", () => {
          resolve();
        });
      });
    } finally {
      // Its number may be another file's soon.
      this.#isClosed = true;
      this.#notices.length = 0;
      await this.#notifying;
      closeSync(this.#fd);
    }
  }

  openSmall(): void {
    Atomics.store(this.#shared, OPENS_SMALL, 1);
  }

  answer(unique: bigint, errno: number, ...parts: readonly Uint8Array[]): boolean {
    if (this.#isClosed) return false;
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    try {
      writevSync(this.#fd, [answerHeader(unique, errno, bytes), ...parts]);
      return true;
    } catch (error) {
      if (!NOBODY.has(errnoOf(error))) this.#log.error({ err: error }, "the kernel refused an answer");
      return false;
    }
  }

  /**
   * In another thread than answers are: the kernel may hold a lock that it takes for this for a request that waits for its
   * answer.
   */
  notify(notice: Uint8Array): void {
    if (this.#isClosed) return;
    this.#notices.push(notice);
    this.#notifying ??= this.#notifyAll();
  }

  async #notifyAll(): Promise<void> {
    for (let notice = this.#notices.shift(); notice !== undefined; notice = this.#notices.shift()) {
      const bytes = notice;
      await new Promise<void>((resolve) => {
        write(this.#fd, bytes, (error) => {
          // What the kernel does not know it need not forget.
          if (error !== null && !NOBODY.has(error.code))
            this.#log.debug({ err: error }, "a notice was refused");
          resolve();
        });
      });
    }
    // At once: what is told from here on begins anew.
    this.#notifying = undefined;
  }
}
