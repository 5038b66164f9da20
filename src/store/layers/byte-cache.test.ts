import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteCache } from "./byte-cache.ts";

test("a cache never takes more than its budget, and gives what was put or nothing", () => {
  const step = fc.record({ key: fc.nat({ max: 30 }), bytes: fc.nat({ max: 3000 }), isPut: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const cache = new ByteCache(10_000);
      const put = new Map<string, Uint8Array>();
      for (const { key, bytes, isPut } of steps) {
        const name = String(key);
        const found = cache.get(name);
        if (found !== undefined) assert.equal(found, put.get(name));
        else if (isPut) {
          put.set(name, new Uint8Array(bytes));
          cache.put(name, put.get(name) ?? new Uint8Array());
        }
        assert.ok(cache.bytes <= 10_000);
      }
    }),
  );
});

test("what was asked for again survives a scan that is longer than the cache", () => {
  const cache = new ByteCache(100_000);
  cache.put("hot", new Uint8Array(1000));
  assert.ok(cache.get("hot"));
  for (let index = 0; index < 1000; index++) cache.put(`scan ${index}`, new Uint8Array(1000));
  assert.ok(cache.get("hot"));
  assert.equal(cache.get("scan 0"), undefined);
  assert.ok(cache.get("scan 999"), "what came last is there");
});

test("what takes a large share of the budget is not kept", () => {
  const cache = new ByteCache(80_000);
  cache.put("large", new Uint8Array(10_000));
  assert.equal(cache.get("large"), undefined);
  assert.equal(cache.bytes, 0);
});

test("many empty entries are bounded too", () => {
  const cache = new ByteCache(10_000);
  for (let index = 0; index < 1000; index++) cache.put(String(index), new Uint8Array());
  const kept = Array.from({ length: 1000 }, (_, index) => cache.get(String(index))).filter((found) => found);
  assert.ok(kept.length > 0 && kept.length < 50);
});
