/** One task at a time for each key, within this process. */
export class KeyLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /** What the task gives, once all that came before it for the key have ended. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(task, task);
    const ended = result.catch(() => undefined);
    this.#last.set(key, ended);
    try {
      return await result;
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
