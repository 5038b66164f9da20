/** Look-ups by key, of which one that runs and one that waits serve everybody: what many ask at once is looked up twice. */
interface Looks<T> {
  /** Undefined: none has begun. */
  running: Promise<T> | undefined;
  /** Begins when the running one has ended, at the end of this turn of the event loop at the earliest. */
  next: Promise<T> | undefined;
}

/** Shares look-ups. Everybody gets what was so after they asked: nobody joins a look-up that has begun before. */
export class SharedLook<T> {
  readonly #looks = new Map<string, Looks<T>>();

  /** What `look` gives, begun later. Errors: those of `look`, for all who share it. */
  get(key: string, look: () => Promise<T>): Promise<T> {
    const known = this.#looks.get(key) ?? { running: undefined, next: undefined };
    this.#looks.set(key, known);
    known.next ??= this.#begin(key, known, look);
    return known.next;
  }

  async #begin(key: string, looks: Looks<T>, look: () => Promise<T>): Promise<T> {
    if (looks.running !== undefined) await looks.running.catch(() => undefined);
    // Requests that came at the same time are read in one turn: they share a look-up that takes no longer than that.
    await new Promise(setImmediate);
    const running = look();
    looks.running = running;
    looks.next = undefined;
    const end = (): void => {
      if (looks.running === running && looks.next === undefined) this.#looks.delete(key);
    };
    running.then(end, end);
    return running;
  }
}
