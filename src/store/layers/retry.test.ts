import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../base/clock.ts";
import { AetherError, type ErrorCode } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { failsWith } from "../conformance/block-store-suite.ts";
import { eventOf, historyOf, NAME, named, TAG } from "../conformance/dataset-store-suite.ts";
import { memoryFixture, onStore } from "../conformance/fixture.ts";
import type { DatasetStore } from "../dataset-store.ts";
import { RetriedDatasetStore } from "./retried-dataset-store.ts";
import { Retry } from "./retry.ts";

/** A retry that notes its waits instead of waiting, with jitter of the given fraction. */
function noted(fraction = 1, attemptsMax = 5): { retry: Retry; waitsMs: number[] } {
  const waitsMs: number[] = [];
  const sleep = async (delayMs: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted();
    waitsMs.push(delayMs);
  };
  const clock: Clock = { nowMs: () => 0, elapsedMs: () => 0, sleep };
  const random = { ...systemRandom, fraction: () => fraction };
  return { retry: new Retry({ clock, random, attemptsMax, delayMsFirst: 10, delayMsMax: 35 }), waitsMs };
}

function failing(code: ErrorCode, times: number): { call: () => Promise<string>; calls: () => number } {
  let calls = 0;
  const call = async (): Promise<string> => {
    if (++calls <= times) throw new AetherError(code, "not now");
    return "done";
  };
  return { call, calls: () => calls };
}

test("a call that fails for a while is repeated after waits that double up to the longest", async () => {
  const { retry, waitsMs } = noted();
  assert.equal(await retry.run(failing("STORE_UNAVAILABLE", 4).call), "done");
  assert.deepEqual(waitsMs, [10, 20, 35, 35]);
});

test("waits have full jitter: any fraction of the whole", async () => {
  const { retry, waitsMs } = noted(0.1);
  await retry.run(failing("DEADLINE_EXCEEDED", 2).call);
  assert.deepEqual(waitsMs, [1, 2]);
});

test("a call that always fails is given up with its own error", async () => {
  const { call, calls } = failing("STORE_UNAVAILABLE", 100);
  await failsWith(noted().retry.run(call), "STORE_UNAVAILABLE");
  assert.equal(calls(), 5);
});

test("errors that a repetition cannot mend, and conflicts, are not repeated", async () => {
  for (const code of ["OBJECT_MISSING", "SPACE_EXHAUSTED", "OBJECT_CONFLICT", "TAG_CONFLICT"] as const) {
    const { call, calls } = failing(code, 100);
    await failsWith(noted().retry.run(call), code);
    assert.equal(calls(), 1);
  }
});

test("a store that is down gets few calls more than there are callers, once the budget is spent", async () => {
  const { retry } = noted();
  const { call, calls } = failing("STORE_UNAVAILABLE", Infinity);
  for (let caller = 0; caller < 1000; caller++) await failsWith(retry.run(call), "STORE_UNAVAILABLE");
  assert.ok(calls() <= 1000 + 50);
});

test("a caller that gives up while it waits gets its own reason", async () => {
  const { retry } = noted();
  const controller = new AbortController();
  const reason = new Error("stop");
  const { call } = failing("STORE_UNAVAILABLE", 100);
  const aborting = async (): Promise<string> => {
    controller.abort(reason);
    return call();
  };
  await assert.rejects(retry.run(aborting, controller.signal), reason);
});

test("a list that breaks off goes on after what it has given", async () => {
  let opened = 0;
  const open = async function* (): AsyncGenerator<string> {
    opened++;
    yield* ["a", "b"];
    if (opened < 3) throw new AetherError("STORE_UNAVAILABLE", "broke off");
    yield* ["c", "d"];
  };
  const found: string[] = [];
  for await (const item of noted().retry.iterate(open, String)) found.push(item);
  assert.deepEqual(found, ["a", "b", "c", "d"]);
  assert.equal(opened, 3);
});

/** The store, whose named method does its work the first time and then loses the answer. */
function losing(inner: DatasetStore, method: keyof DatasetStore): DatasetStore {
  let isLost = false;
  return new Proxy(inner, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...parameters: unknown[]): Promise<unknown> => {
        const result: unknown = await Reflect.apply(member, target, parameters);
        if (name !== method || isLost) return result;
        isLost = true;
        throw new AetherError("STORE_UNAVAILABLE", "the answer was lost");
      };
    },
  });
}

test("a creation whose answer was lost is known by its record; another's stays a conflict", () =>
  onStore(memoryFixture, async ({ store: { datasets } }) => {
    const over = (method: keyof DatasetStore): DatasetStore =>
      new RetriedDatasetStore(losing(datasets, method), noted().retry);
    assert.equal(await over("createHistory").createHistory(NAME, TAG, historyOf(1)), true);
    assert.equal(await over("createHistory").createHistory(NAME, TAG, historyOf(1, "2".repeat(32))), false);
    assert.equal(await over("createEvent").createEvent(NAME, eventOf(1)), true);
    assert.equal(await over("createEvent").createEvent(NAME, { ...eventOf(1), state: "deleted" }), false);
  }));

test("a creation that finds its own write id at the first try was not its own: it is false", () =>
  onStore(memoryFixture, async ({ store: { datasets } }) => {
    const over = new RetriedDatasetStore(datasets, noted().retry);
    assert.equal(await over.createHistory(NAME, TAG, historyOf(1)), true);
    assert.equal(await over.createHistory(NAME, TAG, historyOf(1)), false);
  }));

test("a replacement whose answer was lost gives its revision; another's stays a conflict", () =>
  onStore(memoryFixture, async ({ store: { datasets } }) => {
    const [page, bytes] = [named("page"), Buffer.from("plan")];
    const over = new RetriedDatasetStore(losing(datasets, "putPlan"), noted().retry);
    const revision = await over.putPlan(page, bytes, undefined);
    assert.equal((await datasets.getPlan(page))?.revision, revision);
    const again = new RetriedDatasetStore(losing(datasets, "getPlan"), noted().retry);
    await failsWith(again.putPlan(page, Buffer.from("other"), undefined), "OBJECT_CONFLICT");
  }));
