import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../../../base/clock.ts";
import { Hedge } from "./hedge.ts";

/** A clock whose time passes when somebody sleeps, by as much, unless a call answers first. */
function jumpingClock(): Clock & { pass: (ms: number) => void } {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    elapsedMs: () => nowMs,
    sleep: async (delayMs, signal) => {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      signal?.throwIfAborted();
      nowMs += delayMs;
    },
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

const LIMITS = { share: 0.05, savedMax: 2, samplesMin: 10, boundMsMin: 5 };
const never = new AbortController().signal;

/** A hedge that knows answers of 10 ms, and its clock. */
async function trained(): Promise<{
  hedge: Hedge;
  ask: (call: (signal: AbortSignal) => Promise<string>) => Promise<string>;
}> {
  const clock = jumpingClock();
  const hedge = new Hedge(clock, LIMITS);
  const ask = (call: (signal: AbortSignal) => Promise<string>): Promise<string> =>
    hedge.run(call, () => undefined, never);
  for (let index = 0; index < 10; index++) {
    await ask(async () => {
      clock.pass(10);
      return "soon";
    });
  }
  return { hedge, ask };
}

/** A call that never answers but to its signal; it counts those that were aborted. */
function stalling(counts: { aborted: number }): (signal: AbortSignal) => Promise<string> {
  return (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        counts.aborted++;
        reject(new Error("aborted"));
      });
    });
}

describe("Hedge", () => {
  it("with a late first call, takes the second's answer and aborts the first", async () => {
    const { ask } = await trained();
    const counts = { aborted: 0 };
    let calls = 0;
    const answer = await ask((signal) =>
      calls++ === 0 ? stalling(counts)(signal) : Promise.resolve("second"),
    );
    assert.deepEqual([answer, calls, counts.aborted], ["second", 2, 1]);
  });

  it("with an error before the bound, asks nobody again", async () => {
    const { ask } = await trained();
    let calls = 0;
    const failing = async (): Promise<string> => {
      calls++;
      throw new Error("refused");
    };
    await assert.rejects(ask(failing), { message: "refused" });
    assert.equal(calls, 1);
  });

  it("with two errors, rejects with the first call's", async () => {
    const { ask } = await trained();
    const fails: ((error: Error) => void)[] = [];
    const call = (): Promise<string> =>
      new Promise((_, reject) => {
        fails.push(reject);
        if (fails.length < 2) return;
        for (const [index, fail] of fails.entries()) fail(new Error(`error ${index}`));
      });
    await assert.rejects(ask(call), { message: "error 0" });
  });

  it("with many late calls, hedges no more than was saved up", async () => {
    const { ask } = await trained();
    let calls = 0;
    for (let index = 0; index < 6; index++) {
      let tries = 0;
      await ask(async () => {
        calls++;
        if (tries++ > 0) return "second";
        for (let turn = 0; turn < 50; turn++) await Promise.resolve();
        return "late";
      });
    }
    assert.equal(calls, 6 + LIMITS.savedMax);
  });

  it("with nothing learnt yet, waits", async () => {
    const hedge = new Hedge(jumpingClock(), LIMITS);
    let calls = 0;
    const answer = await hedge.run(
      async () => {
        calls++;
        for (let turn = 0; turn < 50; turn++) await Promise.resolve();
        return "late";
      },
      () => undefined,
      never,
    );
    assert.deepEqual([answer, calls], ["late", 1]);
  });

  it("with a caller that gives up, aborts both", async () => {
    const { hedge } = await trained();
    const counts = { aborted: 0 };
    const caller = new AbortController();
    const running = hedge.run(stalling(counts), () => undefined, caller.signal);
    await new Promise((resolve) => setImmediate(resolve));
    caller.abort(new Error("enough"));
    await assert.rejects(running, { message: "aborted" });
    assert.equal(counts.aborted, 2);
  });
});
