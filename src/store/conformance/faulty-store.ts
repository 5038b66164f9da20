import { AetherError } from "../../base/errors.ts";
import type { Layer } from "../layers/stack.ts";

/** How often which fault strikes: shares of calls, from 0 to 1. */
export interface Faults {
  /** The same seed and the same calls meet the same faults. */
  readonly seed: number;
  /** The call fails with STORE_UNAVAILABLE and does nothing; a list fails under way. */
  readonly failures?: number;
  /** The call does its work, and then fails with STORE_UNAVAILABLE. */
  readonly lostAnswers?: number;
  /** The call takes some turns of the event loop longer. */
  readonly delays?: number;
  /** A read gives bytes with one bit changed. */
  readonly flips?: number;
}

type Call = (...parameters: unknown[]) => unknown;

/** For tests: a store that fails by a schedule. */
export function faulty(faults: Faults): Layer {
  const next = fractions(faults.seed);
  return (inner) => ({
    blocks: faultyObject(inner.blocks, faults, next),
    datasets: faultyObject(inner.datasets, faults, next),
    close: () => inner.close(),
  });
}

/** Fractions in [0, 1) that follow from the seed (mulberry32). */
export function fractions(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The object with faults around each of its methods: those named list… give iterables, the others promises. */
function faultyObject<T extends object>(inner: T, faults: Faults, next: () => number): T {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function" || typeof name !== "string") return member;
      const call: Call = (...parameters) => Reflect.apply(member, target, parameters) as unknown;
      if (name.startsWith("list")) {
        return (...parameters: unknown[]) =>
          faultyItems(call(...parameters) as AsyncIterable<unknown>, faults, next);
      }
      return (...parameters: unknown[]) =>
        faultyCall(() => call(...parameters) as Promise<unknown>, faults, next);
    },
  });
}

function unavailable(why: string): AetherError {
  return new AetherError("STORE_UNAVAILABLE", `an injected fault: ${why}`);
}

async function faultyCall(
  call: () => Promise<unknown>,
  faults: Faults,
  next: () => number,
): Promise<unknown> {
  if (next() < (faults.delays ?? 0)) {
    for (let turns = next() * 20; turns > 0; turns--) await new Promise(setImmediate);
  }
  if (next() < (faults.failures ?? 0)) throw unavailable("the call was not made");
  const result = await call();
  if (next() < (faults.lostAnswers ?? 0)) throw unavailable("the answer was lost");
  if (result instanceof Uint8Array && result.byteLength > 0 && next() < (faults.flips ?? 0)) {
    const index = Math.floor(next() * result.byteLength);
    result[index] = (result[index] ?? 0) ^ (1 << Math.floor(next() * 8));
  }
  return result;
}

async function* faultyItems(
  items: AsyncIterable<unknown>,
  faults: Faults,
  next: () => number,
): AsyncGenerator {
  let itemsLeft = next() < (faults.failures ?? 0) ? Math.floor(next() * 20) : Infinity;
  for await (const item of items) {
    if (itemsLeft-- === 0) throw unavailable("the list broke off");
    yield item;
  }
}
