import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { failsWith } from "../conformance/block-store-suite.ts";
import { Gate } from "./gate.ts";

/** A task that says when it starts and ends when it is told to. */
function held(): { started: boolean; task: () => Promise<void>; end: () => void } {
  const done = Promise.withResolvers<undefined>();
  const state = {
    started: false,
    task: async (): Promise<void> => {
      state.started = true;
      await done.promise;
    },
    end: (): void => done.resolve(undefined),
  };
  return state;
}

async function settle(): Promise<void> {
  await new Promise(setImmediate);
}

test("a gate never lets in more calls or bytes than it may, and ends all", () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 30 }), { maxLength: 40 }), async (sizes) => {
      const gate = new Gate({ callsMax: 3, bytesMax: 20, waitersMax: 100 });
      let [calls, bytes, ended] = [0, 0, 0];
      const run = (size: number): Promise<void> =>
        gate.run(size, async () => {
          const counted = Math.min(size, 20);
          calls++;
          bytes += counted;
          assert.ok(calls <= 3 && bytes <= 20);
          for (let turns = size % 4; turns > 0; turns--) await settle();
          calls--;
          bytes -= counted;
          ended++;
        });
      await Promise.all(sizes.map(run));
      assert.equal(ended, sizes.length);
    }),
    { numRuns: 30 },
  ));

test("a small call waits behind a large one that came first", async () => {
  const gate = new Gate({ callsMax: 10, bytesMax: 10, waitersMax: 10 });
  const [first, large, small] = [held(), held(), held()];
  const runs = [gate.run(5, first.task), gate.run(10, large.task), gate.run(1, small.task)];
  await settle();
  assert.deepEqual([first.started, large.started, small.started], [true, false, false]);
  first.end();
  await settle();
  assert.deepEqual([large.started, small.started], [true, false]);
  large.end();
  small.end();
  await Promise.all(runs);
});

test("a call that is aborted while it waits leaves the queue, and lets those behind it in", async () => {
  const gate = new Gate({ callsMax: 10, bytesMax: 10, waitersMax: 10 });
  const [first, large, small] = [held(), held(), held()];
  const controller = new AbortController();
  const reason = new Error("stop");
  const running = gate.run(5, first.task);
  const waiting = gate.run(10, large.task, controller.signal);
  const behind = gate.run(1, small.task);
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await settle();
  assert.deepEqual([large.started, small.started], [false, true]);
  first.end();
  small.end();
  await Promise.all([running, behind]);
});

test("one call more than may wait is STORE_UNAVAILABLE", async () => {
  const gate = new Gate({ callsMax: 1, bytesMax: 1, waitersMax: 1 });
  const [first, second] = [held(), held()];
  const runs = [gate.run(0, first.task), gate.run(0, second.task)];
  await failsWith(
    gate.run(0, () => Promise.resolve()),
    "STORE_UNAVAILABLE",
  );
  first.end();
  second.end();
  await Promise.all(runs);
});

test("a call that fails leaves its place to the next", async () => {
  const gate = new Gate({ callsMax: 1, bytesMax: 1, waitersMax: 1 });
  const failure = new Error("no");
  await assert.rejects(
    gate.run(1, () => Promise.reject(failure)),
    failure,
  );
  assert.equal(await gate.run(1, () => Promise.resolve(7)), 7);
});
