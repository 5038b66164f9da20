interface Call<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  callers: number;
}

/** One call for all who want the same thing at the same time. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, Call<T>>();

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
    const running = this.#calls.get(key);
    const call = running ?? this.#start(key, start);
    call.callers++;
    const isShared = (): boolean => running !== undefined || call.callers > 1;
    if (signal === undefined) return { value: await call.result, isShared: isShared() };
    const given = Promise.withResolvers<never>();
    const giveUp = (): void => {
      call.callers--;
      if (call.callers === 0) {
        if (this.#calls.get(key) === call) this.#calls.delete(key);
        call.controller.abort(signal.reason);
      }
      given.reject(signal.reason as Error);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return { value: await Promise.race([call.result, given.promise]), isShared: isShared() };
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Call<T> {
    const controller = new AbortController();
    const call = { result: start(controller.signal), controller, callers: 0 };
    this.#calls.set(key, call);
    const end = (): void => {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    };
    call.result.then(end, end);
    return call;
  }
}
