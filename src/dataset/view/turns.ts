/** Long work of which one piece may run at a time, since each takes the engine's memory for itself. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs it when all before have ended. Waiting ends when the signal aborts. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.#last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    return await turn;
  }
}
