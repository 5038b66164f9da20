/** Requests that are not answered at once. */
import { constants } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { AetherError, codeOf, ERRORS, type ErrorCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

const ERRNOS: Readonly<Record<string, number>> = constants.errno;
const { EINTR, EIO, ENOENT } = constants.errno;

/**
 * How often requests are looked at that take too long: a share of the time that they may take. So much they may take after one
 * that failed: a program or the kernel tries again what failed, and each try would wait for what does not answer.
 */
const LOOK_SHARE = 1 / 8;
/** What fails like this may fail again at once, and may do later. */
const AWAY: ReadonlySet<ErrorCode> = new Set(["HUB_UNAVAILABLE", "STORE_UNAVAILABLE"]);

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

/** A request on its way: it is answered once, whoever is first. */
export class Pending {
  readonly begunMs: number;
  readonly #kernel: Kernel;
  readonly #unique: bigint;
  #isAnswered = false;

  constructor(kernel: Kernel, unique: bigint, begunMs: number) {
    this.#kernel = kernel;
    this.#unique = unique;
    this.begunMs = begunMs;
  }

  /** It has its answer: what is still done for it is for nobody. */
  get isAnswered(): boolean {
    return this.#isAnswered;
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
}

/** All requests on their way. One that takes too long fails with EIO, one that is interrupted with EINTR. */
export class Requests {
  readonly #kernel: Kernel;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #log: Log;
  readonly #pending = new Map<bigint, Pending>();
  /** Until then a request may take no longer than a look: one failed because nobody answered. */
  #shortUntilMs = -Infinity;
  readonly #closed = new AbortController();

  /** `timeoutMs`: how long one may take. */
  constructor(
    kernel: Kernel,
    options: { readonly clock: Clock; readonly timeoutMs: number; readonly log: Log },
  ) {
    this.#kernel = kernel;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#log = options.log;
    void this.#watchTime();
  }

  /** Begins what answers a request. What it throws is the answer too, by the table of errors. */
  begin(unique: bigint, work: (pending: Pending) => Promise<void>): void {
    const pending = new Pending(this.#kernel, unique, this.#clock.elapsedMs());
    this.#pending.set(unique, pending);
    void work(pending)
      .catch((error: unknown) => {
        this.#fail(pending, error);
      })
      .finally(() => this.#pending.delete(unique));
  }

  /**
   * Whoever asked was interrupted, and waits no more. What goes on for it ends by itself: whoever reads from far away has limits of
   * its own.
   */
  interrupt(unique: bigint): void {
    this.#pending.get(unique)?.refuse(EINTR);
  }

  /** Looks at no time any more. */
  close(): void {
    this.#closed.abort(new AetherError("CANCELLED", "it was unmounted"));
  }

  #fail(pending: Pending, error: unknown): void {
    const code = codeOf(error);
    const errno = ERRNOS[ERRORS[code].errno] ?? EIO;
    if (AWAY.has(code)) this.#noteAway();
    if (errno !== ENOENT && !pending.isAnswered) this.#log.warn({ code, err: error }, "a request failed");
    pending.refuse(errno);
  }

  async #watchTime(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#clock.sleep(this.#timeoutMs * LOOK_SHARE, signal).catch(() => undefined);
      const nowMs = this.#clock.elapsedMs();
      const timeoutMs = nowMs < this.#shortUntilMs ? this.#timeoutMs * LOOK_SHARE : this.#timeoutMs;
      for (const pending of this.#pending.values()) {
        if (pending.isAnswered || pending.begunMs > nowMs - timeoutMs) continue;
        this.#log.warn({ timeoutMs }, "a request took too long");
        pending.refuse(EIO);
        this.#noteAway();
      }
    }
  }

  #noteAway(): void {
    this.#shortUntilMs = this.#clock.elapsedMs() + this.#timeoutMs;
  }
}
