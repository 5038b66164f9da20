import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "./task-group.ts";

describe("task group", () => {
  it("with more tasks than it may run, runs that many at a time and all in the end", async () => {
    const group = new TaskGroup(3);
    let running = 0;
    let most = 0;
    let done = 0;
    for (let index = 0; index < 20; index++) {
      await group.add(async () => {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        running--;
        done++;
      });
    }
    await group.finish();
    assert.equal(most, 3);
    assert.equal(done, 20);
  });

  it("with a task that fails, begins no more and gives its error", async () => {
    const group = new TaskGroup(1);
    await group.add(() => Promise.reject(new Error("the first")));
    let begun = false;
    const next = group.add(async () => {
      begun = true;
    });
    await assert.rejects(next, /the first/);
    assert.equal(begun, false);
    await assert.rejects(group.finish(), /the first/);
    await group.settle();
  });
});
