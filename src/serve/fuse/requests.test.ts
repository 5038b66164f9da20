import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, it } from "node:test";
import { AetherError } from "../../base/errors.ts";
import { systemClock, type Clock } from "../../base/clock.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { Requests } from "./requests.ts";

const { EIO } = constants.errno;
const TIMEOUT_MS = 8000;

/** Requests with a clock that the test sets on, and what the kernel heard. */
function bed(): {
  readonly requests: Requests;
  readonly answers: ReadonlyMap<bigint, number>;
  readonly pass: (ms: number) => Promise<void>;
} {
  let nowMs = 0;
  const sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>();
  const clock: Clock = {
    ...systemClock,
    elapsedMs: () => nowMs,
    sleep: (delayMs) =>
      new Promise<void>((resolve) => {
        sleepers.add({ dueMs: nowMs + delayMs, wake: resolve });
      }),
  };
  const answers = new Map<bigint, number>();
  const kernel = {
    answer: (unique: bigint, errno: number) => {
      answers.set(unique, errno);
      return true;
    },
    openSmall: () => undefined,
    notify: () => undefined,
    notices: 0,
  };
  const pass = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; nowMs < endMs;) {
      nowMs += 1000;
      for (const sleeper of sleepers) {
        if (sleeper.dueMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      await new Promise(setImmediate);
    }
  };
  return { requests: new Requests(kernel, { clock, timeoutMs: TIMEOUT_MS, log: SILENT_LOG }), answers, pass };
}

const never = (): Promise<void> => new Promise(() => undefined);

describe("requests that nobody answers", () => {
  it("fail after their time, those that follow after less, and after a while they have all of it again", async () => {
    const { requests, answers, pass } = bed();
    requests.begin(1n, never);
    await pass(TIMEOUT_MS - 1000);
    assert.equal(answers.size, 0);
    await pass(2000);
    assert.deepEqual([...answers], [[1n, EIO]]);
    requests.begin(2n, never);
    await pass(2000);
    assert.equal(answers.get(2n), EIO);
    await pass(TIMEOUT_MS + 1000);
    requests.begin(3n, never);
    await pass(TIMEOUT_MS - 1000);
    assert.equal(answers.has(3n), false);
    await pass(2000);
    assert.equal(answers.get(3n), EIO);
    requests.close();
  });

  it("are given less time after one that failed because the hub is away, and not after other errors", async () => {
    const { requests, answers, pass } = bed();
    requests.begin(1n, () => Promise.reject(new AetherError("PATH_NOT_FOUND", "nothing is there")));
    requests.begin(2n, never);
    await pass(3000);
    assert.deepEqual([answers.has(1n), answers.has(2n)], [true, false]);
    requests.begin(3n, () => Promise.reject(new AetherError("HUB_UNAVAILABLE", "no answer")));
    await pass(2000);
    assert.deepEqual([answers.get(2n), answers.get(3n)], [EIO, EIO]);
    requests.close();
  });
});
