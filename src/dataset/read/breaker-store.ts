/** A store on another machine, for who must not wait for long: a circuit breaker (Nygard: "Release It!", 2007). */
import type { Clock } from "../../base/clock.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { raced } from "../../base/raced.ts";
import type { Digest } from "../../format/digest.ts";
import type { RangeReader } from "../../store/block-store.ts";
import type { VersionStore } from "../../store/dataset-store.ts";

/** How long the first question after a suspicion may take, and each further one, in milliseconds. */
const FIRST_MS = 1000;
const NEXT_MS = 4000;
/** Between a question that was refused and the next. */
const PAUSE_MS = 1000;

/** A store whose calls all fail at once while it does not answer, and who to tell that it may not. */
export interface BreakerStore {
  readonly store: VersionStore;
  /** Somebody waited in vain, perhaps because nobody answers. */
  readonly suspect: () => void;
  /** Asks no more. */
  readonly close: () => Promise<void>;
}

/** Whether the store or hub did not answer, as opposed to what it answered. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error);
  return code === "STORE_UNAVAILABLE" || code === "HUB_UNAVAILABLE";
}

/**
 * On a suspicion, which is also a call that fails for want of an answer, the store is asked for something small. When that is not answered
 * either, all calls under way and those that follow fail with STORE_UNAVAILABLE, until it is: it is asked again and again. A slow
 * answer opens nothing, as long as small ones come.
 */
export function breakerStore(
  { blocks, datasets }: VersionStore,
  options: { readonly clock: Clock; readonly log: Log },
): BreakerStore {
  const breaker = new Breaker(blocks, options);
  const store: VersionStore = {
    blocks: {
      read: (block, range, { signal, ...rest } = {}) =>
        breaker.run(block, (wanted) => blocks.read(block, range, { ...rest, signal: wanted }), signal),
      stat: (block, { signal } = {}) =>
        breaker.run(block, (wanted) => blocks.stat(block, { signal: wanted }), signal),
    },
    datasets: {
      getManifest: (version, { signal } = {}) =>
        breaker.run(version, (wanted) => datasets.getManifest(version, { signal: wanted }), signal),
      getPlan: (key, { signal, ...rest } = {}) =>
        breaker.run(key, (wanted) => datasets.getPlan(key, { ...rest, signal: wanted }), signal),
    },
  };
  const suspect = (): void => {
    breaker.suspect();
  };
  return { store, suspect, close: () => breaker.close() };
}

class Breaker {
  readonly #blocks: RangeReader;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #calls = new Set<AbortController>();
  readonly #closed = new AbortController();
  /** What was wanted last. */
  #wanted: Digest | undefined;
  #asking: Promise<void> | undefined;
  #isOpen = false;

  constructor(blocks: RangeReader, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#blocks = blocks;
    this.#clock = clock;
    this.#log = log;
  }

  async run<T>(
    wanted: Digest,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.#isOpen) throw noAnswer();
    this.#wanted = wanted;
    const call = new AbortController();
    const leave = (): void => {
      call.abort(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#calls.add(call);
    try {
      return await raced(work(call.signal), call.signal);
    } catch (error) {
      if (isAway(error)) this.suspect();
      throw error;
    } finally {
      this.#calls.delete(call);
      signal?.removeEventListener("abort", leave);
    }
  }

  suspect(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#closed.signal.aborted) return;
    this.#asking ??= this.#askOn(wanted).finally(() => {
      this.#asking = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#asking;
  }

  /**
   * Asks until there is an answer. How long a block is has a short one, whatever line it comes by; what is no block has a shorter one: a
   * manifest or a plan may be long. Never rejects.
   */
  async #askOn(digest: Digest): Promise<void> {
    for (let limitMs = FIRST_MS; !(await this.#isAnswered(digest, limitMs)); limitMs = NEXT_MS) {
      if (this.#closed.signal.aborted) return;
      this.#open();
    }
    if (this.#isOpen) this.#log.info({}, "the store or hub answers again");
    this.#isOpen = false;
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#log.warn({}, "the store or hub does not answer: what is not at hand fails at once until it does");
    for (const call of this.#calls) call.abort(noAnswer());
  }

  async #isAnswered(digest: Digest, limitMs: number): Promise<boolean> {
    const { signal: closed } = this.#closed;
    const over = new AbortController();
    const end = (): void => {
      over.abort();
    };
    this.#clock.sleep(limitMs, AbortSignal.any([over.signal, closed])).then(end, end);
    try {
      await raced(this.#blocks.stat(digest, { signal: over.signal }), over.signal);
      return true;
    } catch (error) {
      if (over.signal.aborted) return false;
      if (!isAway(error)) return true;
      await this.#clock.sleep(PAUSE_MS, closed).catch(() => undefined);
      return false;
    } finally {
      end();
    }
  }
}

function noAnswer(): AetherError {
  return new AetherError(
    "STORE_UNAVAILABLE",
    "nobody answered just now, and nothing is asked until somebody does",
  );
}
