import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SharedLook } from "./shared-look.ts";

describe("look-ups that are shared", () => {
  it("asked for in one turn are one, and those asked for while it runs are one more, which begins after they were asked for", async () => {
    const shared = new SharedLook<number>();
    let begun = 0;
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<undefined>());
    const look = async (): Promise<number> => {
      const mine = begun++;
      await gates[mine]?.promise;
      return mine;
    };
    const first = Array.from({ length: 50 }, () => shared.get("a", look));
    const elsewhere = shared.get("b", look);
    assert.equal(begun, 0, "it begins when the turn is over");
    await new Promise(setImmediate);
    assert.equal(begun, 2);
    const others = Array.from({ length: 50 }, () => shared.get("a", look));
    await new Promise(setImmediate);
    assert.equal(begun, 2, "the one that runs began before they asked");
    gates[0]?.resolve(undefined);
    assert.deepEqual(new Set(await Promise.all(first)), new Set([0]));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.equal(begun, 3);
    const late = shared.get("a", look);
    for (const gate of gates) gate.resolve(undefined);
    assert.deepEqual(new Set(await Promise.all(others)), new Set([2]));
    assert.equal(await elsewhere, 1);
    assert.equal(await late, 3, "who came while the next ran does not share it");
  });

  it("that fail, fail for those who share them, and for nobody after", async () => {
    const shared = new SharedLook<string>();
    let begun = 0;
    const look = async (): Promise<string> => {
      begun++;
      await new Promise(setImmediate);
      if (begun === 1) throw new Error("it failed");
      return "found";
    };
    const asked = await Promise.allSettled([
      shared.get("a", look),
      shared.get("a", look),
      shared.get("a", look),
    ]);
    assert.deepEqual(
      asked.map(({ status }) => status),
      ["rejected", "rejected", "rejected"],
    );
    assert.equal(await shared.get("a", look), "found");
    assert.equal(begun, 2);
  });
});
