import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { SharedCall } from "./shared-call.ts";

/** A call that ends when the test says so, or is aborted, and what became of it. */
function bed(heedsAbort = true): {
  readonly call: SharedCall<string>;
  readonly end: PromiseWithResolvers<string>;
  readonly signal: () => AbortSignal;
} {
  const end = Promise.withResolvers<string>();
  let given: AbortSignal | undefined;
  const call = new SharedCall((signal) => {
    given = signal;
    signal.addEventListener("abort", () => {
      if (heedsAbort) end.reject(signal.reason);
    });
    return end.promise;
  });
  return { call, end, signal: () => given ?? assert.fail("it was started") };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a call that several want", () => {
  it("goes on for those who stay, whoever leaves: the first, the last, one after another", async () => {
    const { call, end, signal } = bed();
    const leaving = [new AbortController(), new AbortController()];
    const first = call.join(leaving[0]);
    const staying = [call.join(new AbortController()), call.join()];
    const last = call.join(leaving[1]);
    leaving[1]?.abort(new Error("the last left"));
    await assert.rejects(last, /the last left/);
    leaving[0]?.abort(new Error("the first left"));
    await assert.rejects(first, /the first left/);
    assert.deepEqual([signal().aborted, call.isAbandoned, call.callers], [false, false, 2]);
    end.resolve("all");
    assert.deepEqual(await Promise.all(staying), ["all", "all"]);
  });

  it("is aborted with the reason of the last one who leaves, and is no call to join until it has ended", async () => {
    const { call, signal } = bed();
    const leaving = [new AbortController(), new AbortController()];
    const gone = leaving.map((each) => call.join(each));
    for (const [index, each] of leaving.entries()) each.abort(new Error(`left ${index}`));
    const reasons = (await Promise.allSettled(gone)).map((each) => String("reason" in each && each.reason));
    assert.deepEqual(reasons, ["Error: left 0", "Error: left 1"]);
    assert.equal(signal().reason, leaving[1]?.signal.reason);
    const late = bed(false);
    const only = new AbortController();
    const waiting = late.call.join(only);
    only.abort();
    await assert.rejects(waiting, { name: "AbortError" });
    assert.equal(late.call.isAbandoned, true);
    late.end.resolve("in spite of it");
    await turn();
    assert.equal(late.call.isAbandoned, false);
    assert.equal(await late.call.join(only), "in spite of it");
  });

  it("is aborted also for who had left when it began", async () => {
    const { call, signal } = bed();
    await assert.rejects(call.join({ signal: AbortSignal.abort(new Error("left before")) }), /left before/);
    assert.equal(signal().aborted, true);
  });

  it("that fails, fails for all who wait; who left before has its own reason; nothing is left unseen or listening", async () => {
    const unseen: unknown[] = [];
    const note = (error: unknown): void => void unseen.push(error);
    process.on("unhandledRejection", note);
    try {
      const { call, end } = bed();
      const [one, other] = [new AbortController(), new AbortController()];
      const all = [call.join(one), call.join(other)];
      one.abort(new Error("left"));
      end.reject(new Error("failed"));
      const ends = (await Promise.allSettled(all)).map((each) => String("reason" in each && each.reason));
      assert.deepEqual(ends, ["Error: left", "Error: failed"]);
      await turn();
      assert.deepEqual(getEventListeners(other.signal, "abort"), []);
      bed().end.reject(new Error("nobody joined"));
      await turn();
    } finally {
      process.off("unhandledRejection", note);
    }
    assert.deepEqual(unseen, []);
  });

  it("asks nobody for a signal once it is over", async () => {
    const { call, end } = bed();
    end.resolve("done");
    await turn();
    const options = {
      get signal(): AbortSignal {
        return assert.fail("nothing is waited for");
      },
    };
    assert.equal(await call.join(options), "done");
  });
});
