/** Look-ups that are asked for at the same time travel together. */
import type { Digest } from "../../format/digest.ts";

/** Look-ups of one call at most. */
const BATCH_MAX = 64;

interface Waiting {
  readonly key: Digest;
  readonly resolve: (value: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** Collects what is asked for within one turn of the event loop. */
export class LookupBatch {
  readonly #ask: (keys: readonly Digest[]) => Promise<readonly Uint8Array[]>;
  #waiting: Waiting[] = [];

  /** `ask` gives an answer for each key, in order. */
  constructor(ask: (keys: readonly Digest[]) => Promise<readonly Uint8Array[]>) {
    this.#ask = ask;
  }

  /** The answer for one key. Rejects with the signal's reason, too; the call itself goes on for the others. */
  async get(key: Digest, signal: AbortSignal | undefined): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => void this.#send());
      this.#waiting.push({ key, resolve, reject });
    });
    if (signal === undefined) return await answer;
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
    return await Promise.race([answer, aborted]).finally(() => {
      signal.removeEventListener("abort", onAbort);
    });
  }

  async #send(): Promise<void> {
    const all = this.#waiting;
    this.#waiting = [];
    for (let start = 0; start < all.length; start += BATCH_MAX) {
      const part = all.slice(start, start + BATCH_MAX);
      try {
        const answers = await this.#ask(part.map(({ key }) => key));
        part.forEach(({ resolve }, index) => {
          resolve(answers[index] ?? new Uint8Array());
        });
      } catch (error) {
        for (const { reject } of part) reject(error);
      }
    }
  }
}
