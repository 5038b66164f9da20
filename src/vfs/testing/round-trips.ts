import type { Store } from "../../store/dataset-store.ts";

/** Turns of the event loop without anything new, after which whatever waits is answered. */
const IDLE_TURNS = 5000;

/** A store that answers in rounds: what is asked for at the same time is answered together, and only when nothing else can go on. */
export class RoundTrips {
  readonly store: Store;
  /** What was asked for in each round. */
  readonly rounds: string[][] = [];
  /** Whether something goes on without the store, such as work in threads. */
  readonly #isBusy: () => boolean;
  #waiting: { readonly name: string; readonly answer: () => void }[] = [];
  #isWatching = false;
  /** Calls that were let go, and that the store has not answered yet. */
  #underWay = 0;

  constructor(store: Store, isBusy: () => boolean) {
    this.#isBusy = isBusy;
    this.store = {
      ...store,
      blocks: this.#slowed("blocks", store.blocks),
      datasets: this.#slowed("datasets", store.datasets),
    };
  }

  /** The rounds, as text. */
  shown(): string {
    return this.rounds.map((round, index) => `${index + 1}: ${round.join("\n   ")}`).join("\n");
  }

  #slowed<T extends object>(part: string, inner: T): T {
    return new Proxy(inner, {
      get: (target, name): unknown => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return part === "blocks" && name === "features" ? FAR : value;
        return (...parameters: unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(value, target, parameters);
          const text = `${part}.${String(name)}(${parameters.map(shown).join(", ")})`;
          return String(name).startsWith("list")
            ? this.#listLater(text, call as () => AsyncIterable<unknown>)
            : this.#answered(text, call as () => Promise<unknown>);
        };
      },
    });
  }

  async *#listLater(name: string, call: () => AsyncIterable<unknown>): AsyncGenerator {
    await this.#wait(name);
    yield* call();
  }

  async #answered(name: string, call: () => Promise<unknown>): Promise<unknown> {
    await this.#wait(name);
    this.#underWay++;
    try {
      return await call();
    } finally {
      this.#underWay--;
    }
  }

  #wait(name: string): Promise<void> {
    return new Promise((answer) => {
      this.#waiting.push({ name, answer });
      if (!this.#isWatching) void this.#watch();
    });
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    let count = 0;
    for (let turn = 0; turn < IDLE_TURNS; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#isBusy() || this.#underWay > 0 || this.#waiting.length !== count) turn = 0;
      count = this.#waiting.length;
    }
    this.#isWatching = false;
    const round = this.#waiting;
    this.#waiting = [];
    this.rounds.push(round.map(({ name }) => name));
    for (const { answer } of round) answer();
  }
}

const FAR = { kind: "s3", persistent: true, shared: true };

function shown(parameter: unknown): string {
  const text = typeof parameter === "string" ? parameter.slice(0, 12) : JSON.stringify(parameter);
  return text.length > 60 ? "…" : text;
}
