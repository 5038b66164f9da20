/**
 * Runs tasks side by side, a bounded number at a time. After a failure no more are begun, and the first error is thrown
 * by whichever call comes next.
 */
export class TaskGroup {
  readonly #countMax: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Begins a task as soon as there is room; resolves when it has begun. */
  async add(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#countMax && this.#failure === undefined)
      await Promise.race(this.#running);
    this.#throwFailure();
    const run = task().then(
      () => {
        this.#running.delete(run);
      },
      (error: unknown) => {
        this.#failure ??= { error };
        this.#running.delete(run);
      },
    );
    this.#running.add(run);
  }

  /** Resolves when all tasks have ended. */
  async finish(): Promise<void> {
    await this.settle();
    this.#throwFailure();
  }

  /** As finish(), but never throws: for who leaves because of another error. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
