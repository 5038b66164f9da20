import { raced } from "./raced.ts";

/** How somebody waits. */
export interface WaitOptions {
  /** Aborts when who waits gives up. It is asked for only when there is something to wait for. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A call whose result several want. Who gives up rejects at once with its signal's reason, and disturbs nobody else; when all have
 * given up, the call is aborted. A call that ends well in spite of that has its result.
 */
export class SharedCall<T> {
  /** What the call gives, for who watches and does not want it. */
  readonly result: Promise<T>;
  readonly #controller = new AbortController();
  #callers = 0;
  #isOver = false;

  /** Starts the call, whose signal aborts when nobody wants it any more. */
  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.result = start(this.#controller.signal);
    const end = (): void => {
      this.#isOver = true;
    };
    this.result.then(end, end);
  }

  /** Those who have not given up. */
  get callers(): number {
    return this.#callers;
  }

  /** Nobody wanted it any more, and it has not ended yet: who comes now starts another. */
  get isAbandoned(): boolean {
    return this.#controller.signal.aborted && !this.#isOver;
  }

  /** The result. Who has no signal never gives up. Errors: those of the call; the signal's reason. */
  join(options?: WaitOptions): Promise<T> {
    this.#callers++;
    const signal = this.#isOver ? undefined : options?.signal;
    if (signal === undefined) return this.result;
    return raced(this.result, signal, () => {
      this.#callers--;
      if (this.#callers === 0) this.#controller.abort(signal.reason);
    });
  }
}
