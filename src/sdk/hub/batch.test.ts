import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Batch } from "./batch.ts";

const DOUBLE = (numbers: readonly number[]): Promise<readonly number[]> =>
  Promise.resolve(numbers.map((number) => 2 * number));

describe("questions", () => {
  it("that are asked together, travel together, and each gets its answer", async () => {
    const asked: number[] = [];
    const batch = new Batch<number, number>({
      sizeMax: 64,
      ask: (numbers) => {
        asked.push(numbers.length);
        return DOUBLE(numbers);
      },
    });
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const answers = await Promise.all(numbers.map((number) => batch.get(number, undefined)));
    assert.deepEqual(answers, await DOUBLE(numbers));
    assert.deepEqual(asked, [64, 36]);
    assert.equal(await batch.get(7, undefined), 14);
  });

  it("of different sizes, are at most so much at once, but a large one goes alone", async () => {
    const asked: (readonly number[])[] = [];
    const batch = new Batch<number, number>({
      sizeMax: 10,
      sizeOf: (number) => number,
      ask: (numbers) => {
        asked.push(numbers);
        return DOUBLE(numbers);
      },
    });
    await Promise.all([4, 6, 1, 50, 9, 1].map((number) => batch.get(number, undefined)));
    assert.deepEqual(asked, [[4, 6], [1], [50], [9, 1]]);
  });

  it("that come while four calls are under way, make up the fifth", async () => {
    const calls: { readonly numbers: readonly number[]; readonly answer: () => void }[] = [];
    const batch = new Batch<number, number>({
      sizeMax: 64,
      ask: async (numbers) => {
        await new Promise<void>((resolve) => calls.push({ numbers, answer: resolve }));
        return numbers;
      },
    });
    const answers: Promise<number>[] = [];
    for (let number = 0; number < 8; number++) {
      answers.push(batch.get(number, undefined));
      await new Promise(setImmediate);
    }
    assert.deepEqual(
      calls.map(({ numbers }) => numbers),
      [[0], [1], [2], [3]],
    );
    for (const call of calls.slice()) call.answer();
    await Promise.all(answers.slice(0, 4));
    await new Promise(setImmediate);
    assert.deepEqual(calls.at(4)?.numbers, [4, 5, 6, 7]);
    calls.at(4)?.answer();
    assert.deepEqual(await Promise.all(answers), [0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("of which one is given up, go on for the others; one that fails, fails all of its call", async () => {
    const answer = Promise.withResolvers<readonly number[]>();
    const batch = new Batch<number, number>({ sizeMax: 64, ask: () => answer.promise });
    const controller = new AbortController();
    const given = batch.get(1, controller.signal);
    const kept = batch.get(2, undefined);
    controller.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    answer.resolve([1, 2]);
    assert.equal(await kept, 2);
    const failing = new Batch<number, number>({
      sizeMax: 64,
      ask: () => Promise.reject(new Error("broken")),
    });
    const all = await Promise.allSettled([failing.get(1, undefined), failing.get(2, undefined)]);
    assert.deepEqual(
      all.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await assert.rejects(batch.get(1, AbortSignal.abort(new Error("late"))), /late/);
  });
});
