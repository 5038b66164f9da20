/** A bounded queue between one producer and one consumer that run at the same time. */
export class Channel<T> {
  readonly #capacity: number;
  readonly #weigh: (item: T) => number;
  #weight = 0;
  readonly #items: T[] = [];
  #closed = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void)[] = [];

  /** The producer waits while `capacity` items are in the queue; an item may count for more than one. */
  constructor(capacity: number, weigh: (item: T) => number = () => 1) {
    this.#capacity = capacity;
    this.#weigh = weigh;
  }

  /** Adds an item; waits for room. Rejects with what the other side failed with. */
  async send(item: T): Promise<void> {
    while (this.#weight >= this.#capacity && this.#failure === undefined) await this.#change();
    this.#throwFailure();
    this.#items.push(item);
    this.#weight += this.#weigh(item);
    this.#notify();
  }

  /** Nothing more comes. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  /** Either side gives up: the other one's calls reject with `error` from now on. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#notify();
  }

  /** The items in order, until the queue is closed and empty. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      this.#throwFailure();
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#weight -= this.#weigh(item);
        this.#notify();
        yield item;
      } else if (this.#closed) return;
      else await this.#change();
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error as Error;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
