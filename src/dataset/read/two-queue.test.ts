import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TwoQueue } from "./two-queue.ts";

const COUNT_MAX = 20;

/** What a reader of these keys, with a cache of COUNT_MAX values, finds in it. */
function hits(queue: TwoQueue<object>, kept: Set<string>, keys: Iterable<string>): number {
  let found = 0;
  for (const key of keys) {
    if (queue.get(key) !== undefined) {
      found++;
      continue;
    }
    if (kept.size === COUNT_MAX) {
      const [oldest = ""] = [...queue.inOrder()].map(([name]) => name);
      assert.ok(kept.delete(oldest), "what is to be dropped is there");
      queue.drop(oldest);
    }
    queue.add(key, {});
    kept.add(key);
  }
  return found;
}

function* scan(name: string, count: number): Generator<string> {
  // Each is asked for several times at once, as a reader of small parts does.
  for (let index = 0; index < count; index++) for (let part = 0; part < 4; part++) yield `${name} ${index}`;
}

test("what came back after it was dropped outlives a scan of ten times the cache, read in small parts", () => {
  const queue = new TwoQueue<object>(COUNT_MAX);
  const kept = new Set<string>();
  const hot = Array.from({ length: 10 }, (_, index) => `hot ${index}`);
  hits(queue, kept, hot);
  hits(queue, kept, scan("first", 30));
  hits(queue, kept, hot);
  hits(queue, kept, scan("second", 200));
  assert.equal(hits(queue, kept, hot), hot.length);
});

test("a working set as large as the cache is found whole, once it was read three times", () => {
  const queue = new TwoQueue<object>(COUNT_MAX);
  const kept = new Set<string>();
  const all = Array.from({ length: COUNT_MAX }, (_, index) => String(index));
  hits(queue, kept, scan("before", 100));
  for (let turn = 0; turn < 3; turn++) hits(queue, kept, all);
  assert.equal(hits(queue, kept, all), COUNT_MAX);
});

test("whatever is done, each value is offered once, and what was removed is not found", () => {
  const step = fc.record({
    key: fc.nat({ max: 40 }).map(String),
    kind: fc.constantFrom("use", "drop", "remove"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new TwoQueue<object>(COUNT_MAX);
      const there = new Set<string>();
      for (const { key, kind: what } of steps) {
        if (what === "use") {
          assert.equal(queue.get(key) !== undefined, there.has(key));
          if (!there.has(key)) queue.add(key, {});
          there.add(key);
        } else {
          queue[what](key);
          there.delete(key);
        }
        const offered = [...queue.inOrder()].map(([name]) => name);
        assert.deepEqual(offered.toSorted(), [...there].toSorted());
      }
    }),
  );
});
