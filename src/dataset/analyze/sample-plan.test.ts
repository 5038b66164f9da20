import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GiB, MiB } from "../../base/limits.ts";
import { SamplePlan, fileOfPart, sampleLimit } from "./sample-plan.ts";

describe("SamplePlan", () => {
  it("of data within the limit, takes every file whole", () => {
    const plan = new SamplePlan(GiB, GiB);
    assert.deepEqual([...plan.parts("a", 500 * MiB)], [{ path: "a", offset: 0, bytes: 500 * MiB }]);
  });

  it("of more, takes about its share of small files and of a large one's parts", () => {
    const plan = new SamplePlan(40 * GiB, 10 * GiB);
    const small = Array.from({ length: 4000 }, (_, index) => [...plan.parts(`f${index}`, 1000)]).flat();
    assert.ok(small.length > 800 && small.length < 1200, `${small.length} of 4000`);
    const parts = [...plan.parts("large", 40 * GiB)];
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    assert.ok(bytes > 8 * GiB && bytes < 12 * GiB, `${bytes}`);
  });

  it("takes the same parts of a file when it has grown, in order, and knows whose they are", () => {
    const plan = new SamplePlan(4 * GiB, GiB);
    const before = [...plan.parts("x/y", 2 * GiB)];
    const after = [...plan.parts("x/y", 2 * GiB + 100 * MiB)];
    assert.deepEqual(after.slice(0, before.length), before);
    assert.deepEqual(
      before.map(({ path }) => path).sort(),
      before.map(({ path }) => path),
    );
    assert.deepEqual([...new Set(before.map(({ path }) => fileOfPart(path)))], ["x/y"]);
  });

  it("is limited by memory, and shared by more than two versions", () => {
    assert.equal(sampleLimit(undefined, 256 * MiB, 2), 2 * GiB);
    assert.equal(sampleLimit(undefined, 64 * MiB, 1), 512 * MiB);
    assert.equal(sampleLimit(undefined, 256 * MiB, 8), GiB / 2);
    assert.equal(sampleLimit(100 * MiB, 256 * MiB, 2), 100 * MiB);
  });
});
