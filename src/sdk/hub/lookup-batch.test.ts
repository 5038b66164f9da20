import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf, type Digest } from "../../format/digest.ts";
import { LookupBatch } from "./lookup-batch.ts";

const keyOf = (index: number): Digest => digestOf(Buffer.of(index));
const valueOf = (key: Digest): Uint8Array => Buffer.from(key.slice(0, 4));

describe("look-ups", () => {
  it("that are made together, travel together, and each gets its answer", async () => {
    const asked: number[] = [];
    const batch = new LookupBatch((keys) => {
      asked.push(keys.length);
      return Promise.resolve(keys.map(valueOf));
    });
    const keys = Array.from({ length: 100 }, (_, index) => keyOf(index));
    const found = await Promise.all(keys.map((key) => batch.get(key, undefined)));
    assert.deepEqual(found, keys.map(valueOf));
    assert.deepEqual(asked, [64, 36]);
    assert.deepEqual(await batch.get(keyOf(7), undefined), valueOf(keyOf(7)));
  });

  it("of which one is given up, go on for the others; one that fails, fails all of its call", async () => {
    const answer = Promise.withResolvers<readonly Uint8Array[]>();
    const batch = new LookupBatch(() => answer.promise);
    const controller = new AbortController();
    const given = batch.get(keyOf(1), controller.signal);
    const kept = batch.get(keyOf(2), undefined);
    controller.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    answer.resolve([Buffer.of(1), Buffer.of(2)]);
    assert.deepEqual(await kept, Buffer.of(2));
    const failing = new LookupBatch(() => Promise.reject(new Error("broken")));
    const all = await Promise.allSettled([
      failing.get(keyOf(1), undefined),
      failing.get(keyOf(2), undefined),
    ]);
    assert.deepEqual(
      all.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await assert.rejects(batch.get(keyOf(1), AbortSignal.abort(new Error("late"))), /late/);
  });
});
