import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { describe, it } from "node:test";
import { AetherError, codeOf } from "../../base/errors.ts";
import { systemClock, type Clock } from "../../base/clock.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { isDying } from "./callers.ts";
import { Requests, type Asked, type Pending } from "./requests.ts";

const { EINTR, EIO } = constants.errno;
const TIMEOUT_MS = 8000;

/** Requests with a clock that the test sets on, and what the kernel heard. */
function bed(timeoutMs = TIMEOUT_MS): {
  readonly requests: Requests;
  readonly answers: ReadonlyMap<bigint, number>;
  readonly pass: (ms: number) => Promise<void>;
  readonly late: () => number;
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
  let late = 0;
  const onLate = (): void => {
    late++;
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
  const requests = new Requests(kernel, { clock, timeoutMs, onLate, log: SILENT_LOG });
  return { requests, answers, pass, late: () => late };
}

/** Work that ends when nobody waits for it, and not before. */
const never = ({ signal }: Pending): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });

/** Asked by a thread that is there and is well: this one. */
function asked(unique: bigint): Asked {
  return { unique, pid: process.pid };
}

describe("requests that nobody answers", () => {
  it("fail with EIO after their time, each after its own, and what is done for them ends", async () => {
    const { requests, answers, pass, late } = bed();
    const reasons: unknown[] = [];
    const noting = async (pending: Pending): Promise<void> => {
      await never(pending).catch((error: unknown) => reasons.push(codeOf(error)));
    };
    requests.begin(asked(1n), noting);
    await pass(3000);
    requests.begin(asked(2n), noting);
    await pass(TIMEOUT_MS - 4000);
    assert.deepEqual([answers.size, late()], [0, 0]);
    await pass(1000);
    assert.deepEqual([...answers], [[1n, EIO]]);
    await pass(3000);
    assert.deepEqual([answers.get(2n), late()], [EIO, 2]);
    assert.deepEqual(reasons, ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"]);
    requests.begin(asked(3n), never);
    await pass(TIMEOUT_MS - 1000);
    assert.equal(answers.has(3n), false);
    await pass(1000);
    assert.equal(answers.get(3n), EIO);
    requests.close();
  });

  it("that fail or are answered before their time, are late for nobody", async () => {
    const { requests, answers, pass, late } = bed();
    requests.begin(asked(1n), () => Promise.reject(new AetherError("HUB_UNAVAILABLE", "no answer")));
    requests.begin(asked(2n), async (pending) => void pending.settle());
    await pass(2 * TIMEOUT_MS);
    assert.deepEqual([answers.get(1n), answers.get(2n), late()], [EIO, 0, 0]);
    requests.close();
  });
});

describe("requests whose thread got a signal", () => {
  it("go on when the signal does not end it, or nobody knows", async () => {
    const { requests, answers, pass } = bed();
    requests.begin(asked(1n), never);
    requests.begin({ unique: 2n, pid: 0 }, never);
    for (const unique of [1n, 2n, 3n]) requests.interrupt(unique);
    await pass(TIMEOUT_MS - 1000);
    assert.equal(answers.size, 0);
    requests.close();
  });

  it("fail with EINTR when it ends, also when another signal came before", async (t) => {
    const child = spawn("sleep", ["1000"]);
    t.after(() => child.kill("SIGKILL"));
    await once(child, "spawn");
    const { pid } = child;
    assert.ok(pid !== undefined);
    assert.equal(await isDying(pid), false);
    const { requests, answers, pass } = bed(Infinity);
    requests.begin({ unique: 1n, pid }, never);
    requests.interrupt(1n);
    await pass(1000);
    assert.equal(answers.size, 0);
    // A process that is stopped does not hear of what would end it but for SIGKILL: it is pending.
    child.kill("SIGSTOP");
    while (!readFileSync(`/proc/${pid}/status`, "latin1").includes("T (stopped)")) await nextTurn();
    child.kill("SIGQUIT");
    while (!(await isDying(pid))) await nextTurn();
    while (!answers.has(1n)) await pass(1000);
    assert.equal(answers.get(1n), EINTR);
    requests.close();
  });
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
