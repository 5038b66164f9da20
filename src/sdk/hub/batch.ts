/** Questions that wait at the same time travel together. */

import { AetherError } from "../../base/errors.ts";

/** Calls of one batch under way: what is asked meanwhile makes up the next ones. */
const CALLS_MAX = 4;

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly size: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** What a batch asks, and how much of it at once. */
export interface BatchOptions<Question, Answer> {
  /** Gives an answer for each question, in order, and no other number of them. */
  readonly ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  /** What one call asks at most, unless a single question is larger. */
  readonly sizeMax: number;
  /** How much a question counts; 1 when nothing is said. */
  readonly sizeOf?: (question: Question) => number;
}

/** The answers of a hub, when it gave one for each question. Errors: INTERNAL. */
export function answersFor<Answer>(
  hub: string,
  questions: readonly unknown[],
  answers: readonly Answer[],
): readonly Answer[] {
  if (answers.length === questions.length) return answers;
  const message = `the hub ${hub} gave ${answers.length} answers to ${questions.length} questions`;
  throw new AetherError("INTERNAL", message);
}

/** Collects questions: those of one turn of the event loop, and those that come while enough calls are under way. */
export class Batch<Question, Answer> {
  readonly #options: BatchOptions<Question, Answer>;
  readonly #waiting: Waiting<Question, Answer>[] = [];
  #calls = 0;
  #isDue = false;

  constructor(options: BatchOptions<Question, Answer>) {
    this.#options = options;
  }

  /** The answer to one question. Rejects with the signal's reason, too; the call itself goes on for the others. */
  async get(question: Question, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
    const size = this.#options.sizeOf?.(question) ?? 1;
    this.#waiting.push({ question, size, resolve, reject });
    this.#schedule();
    if (signal === undefined) return await answer;
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return await answer.finally(() => {
      signal.removeEventListener("abort", onAbort);
    });
  }

  #schedule(): void {
    if (this.#isDue || this.#calls >= CALLS_MAX || this.#waiting.length === 0) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      while (this.#calls < CALLS_MAX && this.#waiting.length > 0) void this.#call(this.#take());
    });
  }

  /** The first of those that wait, as many as one call asks. */
  #take(): readonly Waiting<Question, Answer>[] {
    let size = 0;
    const tooMany = this.#waiting.findIndex((waiting) => (size += waiting.size) > this.#options.sizeMax);
    return this.#waiting.splice(0, tooMany < 0 ? this.#waiting.length : Math.max(1, tooMany));
  }

  async #call(batch: readonly Waiting<Question, Answer>[]): Promise<void> {
    this.#calls++;
    try {
      const answers = await this.#options.ask(batch.map(({ question }) => question));
      batch.forEach(({ resolve }, index) => {
        resolve(answers[index] as Answer);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#calls--;
      this.#schedule();
    }
  }
}
