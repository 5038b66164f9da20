import { SharedCall } from "../../base/shared-call.ts";

/** One call for all who want the same thing at the same time. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, SharedCall<T>>();

  /**
   * The result of the call that is under way for the key, or of a new one. A caller that gives up rejects with its
   * signal's reason; the call itself is aborted when all have given up. `isShared` tells whether others got the same.
   */
  async run(
    key: string,
    start: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{ value: T; isShared: boolean }> {
    signal?.throwIfAborted();
    const known = this.#calls.get(key);
    const running = known?.isAbandoned === true ? undefined : known;
    const call = running ?? this.#start(key, start);
    const value = await call.join({ signal });
    return { value, isShared: running !== undefined || call.callers > 1 };
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): SharedCall<T> {
    const call = new SharedCall(start);
    this.#calls.set(key, call);
    const end = (): void => {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    };
    call.result.then(end, end);
    return call;
  }
}
