import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mapAhead } from "./read-ahead.ts";

async function* numbers(count: number): AsyncGenerator<number> {
  for (let index = 0; index < count; index++) yield index;
}

describe("mapAhead", () => {
  it("of items that take different times, gives results in order and works ahead within the limit", async () => {
    let running = 0;
    let most = 0;
    const results: number[] = [];
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < (item * 7) % 5; turn++) await new Promise(setImmediate);
      running--;
      return item * 2;
    };
    for await (const result of mapAhead(numbers(30), 4, work)) results.push(result);
    assert.deepEqual(
      results,
      Array.from({ length: 30 }, (_, index) => index * 2),
    );
    assert.ok(most > 1 && most <= 4);
  });

  it("of an item that fails, gives what came before and then its error", async () => {
    const results: number[] = [];
    const work = async (item: number): Promise<number> => {
      if (item === 3) throw new Error("three");
      return item;
    };
    await assert.rejects(async () => {
      for await (const result of mapAhead(numbers(10), 4, work)) results.push(result);
    }, /three/);
    assert.deepEqual(results, [0, 1, 2]);
  });

  it("whose reader stops, waits for what is under way", async () => {
    let running = 0;
    const work = async (item: number): Promise<number> => {
      running++;
      await new Promise(setImmediate);
      running--;
      return item;
    };
    for await (const result of mapAhead(numbers(10), 4, work)) if (result === 1) break;
    assert.equal(running, 0);
  });
});
