/** Look-ups by key, of which one that runs and one that waits serve everybody: what many ask at once is looked up twice. */
interface Looks<T> {
  running: Promise<T>;
  /** Begins when the running one has ended. */
  next: Promise<T> | undefined;
}

/** Shares look-ups. Everybody gets what was so after they asked: nobody joins a look-up that has begun before. */
export class SharedLook<T> {
  readonly #looks = new Map<string, Looks<T>>();

  /** What `look` gives, begun now or later. Errors: those of `look`, for all who share it. */
  get(key: string, look: () => Promise<T>): Promise<T> {
    const known = this.#looks.get(key);
    if (known === undefined) return this.#begin(key, look);
    known.next ??= known.running.then(
      () => this.#begin(key, look),
      () => this.#begin(key, look),
    );
    return known.next;
  }

  #begin(key: string, look: () => Promise<T>): Promise<T> {
    const looks: Looks<T> = { running: look(), next: undefined };
    this.#looks.set(key, looks);
    const end = (): void => {
      if (looks.next === undefined) this.#looks.delete(key);
    };
    looks.running.then(end, end);
    return looks.running;
  }
}
