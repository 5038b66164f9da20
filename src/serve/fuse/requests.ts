/** Requests that are not answered at once. */
import { constants } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { AetherError, codeOf, ERRORS } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { isAway } from "../../dataset/read/breaker-store.ts";
import { isDying } from "./callers.ts";
import type { Request } from "./protocol.ts";

const ERRNOS: Readonly<Record<string, number>> = constants.errno;
const { EINTR, EIO, ENOENT } = constants.errno;

/** How soon after an interrupt, and how often from then on, it is looked whether who asked is about to end. */
const CALLER_LOOK_MS = 100;
/** What fails for want of an answer is told of so often: it may be every request. */
const TELL_MS = 60_000;

/** The way to the kernel. */
export interface Kernel {
  /** Answers a request with the parts, or with an errno; false: nobody waits for it any more. */
  answer(unique: bigint, errno: number, ...parts: readonly Uint8Array[]): boolean;
  /** Answers from now on by itself that small files are open, and closed, which is all that there is to say. */
  openSmall(): void;
  /** Tells the kernel something, after all that it was told before. */
  notify(notice: Uint8Array): void;
  /** Notices that it was not told yet. */
  readonly notices: number;
}

/** What is asked, and by which thread. */
export type Asked = Pick<Request, "unique" | "pid">;

/** A request on its way: it is answered once, whoever is first. */
export class Pending {
  readonly begunMs: number;
  readonly pid: number;
  readonly #kernel: Kernel;
  readonly #unique: bigint;
  readonly #leaving = new AbortController();
  #isAnswered = false;

  constructor(kernel: Kernel, { unique, pid }: Asked, begunMs: number) {
    this.#kernel = kernel;
    this.#unique = unique;
    this.pid = pid;
    this.begunMs = begunMs;
  }

  /** It has its answer: what is still done for it is for nobody. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Aborts when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Answers, unless that was done; false: nobody gets it. */
  settle(...parts: readonly Uint8Array[]): boolean {
    if (this.#isAnswered) return false;
    this.#isAnswered = true;
    return this.#kernel.answer(this.#unique, 0, ...parts);
  }

  /** Answers with an errno, unless it was answered. */
  refuse(errno: number): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#kernel.answer(this.#unique, errno);
  }

  /** The same, and what is done for it ends. */
  giveUp(errno: number, reason: AetherError): void {
    this.refuse(errno);
    this.#leaving.abort(reason);
  }
}

/** How requests are held to their time. */
export interface RequestsOptions {
  readonly clock: Clock;
  /** How long one may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Told of one that took longer. */
  readonly onLate: () => void;
  readonly log: Log;
}

/**
 * All requests on their way. One that takes too long fails with EIO. One whose thread is about to end fails with EINTR; other signals
 * change nothing, as with files of a disk: programs do not expect their reads to fail because of a timer.
 */
export class Requests {
  readonly #kernel: Kernel;
  readonly #options: RequestsOptions;
  /** In the order in which they began. */
  readonly #pending = new Map<bigint, Pending>();
  readonly #closed = new AbortController();
  #isTimed = false;
  #toldMs = -Infinity;

  constructor(kernel: Kernel, options: RequestsOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  /** Begins what answers a request. What it throws is the answer too, by the table of errors. */
  begin(asked: Asked, work: (pending: Pending) => Promise<void>): void {
    const pending = new Pending(this.#kernel, asked, this.#options.clock.elapsedMs());
    this.#pending.set(asked.unique, pending);
    if (!this.#isTimed) void this.#watchTime();
    void work(pending)
      .catch((error: unknown) => {
        this.#fail(pending, error);
      })
      .finally(() => this.#pending.delete(asked.unique));
  }

  /**
   * A signal came for who asked. The kernel says so once, and not which: a thread that is to end waits for its answer all the same
   * (fs/fuse/dev.c, `request_wait_answer`), so it is looked at until it has one.
   */
  interrupt(unique: bigint): void {
    const pending = this.#pending.get(unique);
    if (pending !== undefined) void this.#watchCaller(pending);
  }

  /** Looks at no time any more. */
  close(): void {
    this.#closed.abort(new AetherError("CANCELLED", "it was unmounted"));
  }

  #fail(pending: Pending, error: unknown): void {
    const code = codeOf(error);
    const errno = ERRNOS[ERRORS[code].errno] ?? EIO;
    if (errno !== ENOENT && !pending.isAnswered) this.#tell({ code, err: error });
    pending.refuse(errno);
  }

  #tell(facts: { readonly code: string; readonly err: unknown }): void {
    const { clock, log } = this.#options;
    const nowMs = clock.elapsedMs();
    if (isAway(facts.err)) {
      if (nowMs < this.#toldMs + TELL_MS) return;
      this.#toldMs = nowMs;
    }
    log.warn(facts, "a request failed");
  }

  /** Waits for the time of the one that began first, as long as there is one. */
  async #watchTime(): Promise<void> {
    const { clock, timeoutMs } = this.#options;
    const { signal } = this.#closed;
    this.#isTimed = true;
    for (let [first] = this.#pending.values(); first !== undefined; [first] = this.#pending.values()) {
      await clock.sleep(first.begunMs + timeoutMs - clock.elapsedMs(), signal).catch(() => undefined);
      if (signal.aborted) return;
      this.#endLate();
    }
    this.#isTimed = false;
  }

  #endLate(): void {
    const { clock, timeoutMs, log, onLate } = this.#options;
    for (const [unique, pending] of this.#pending) {
      if (pending.begunMs + timeoutMs > clock.elapsedMs()) return;
      this.#pending.delete(unique);
      if (pending.isAnswered) continue;
      log.warn({ timeoutMs }, "a request took too long");
      pending.giveUp(EIO, new AetherError("DEADLINE_EXCEEDED", "it took too long"));
      onLate();
    }
  }

  async #watchCaller(pending: Pending): Promise<void> {
    const { signal } = this.#closed;
    for (;;) {
      await this.#options.clock.sleep(CALLER_LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted || pending.isAnswered) return;
      if (await isDying(pending.pid))
        pending.giveUp(EINTR, new AetherError("CANCELLED", "who asked is about to end"));
    }
  }
}
