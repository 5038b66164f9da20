import assert from "node:assert/strict";
import { it } from "node:test";
import { LoadingCache } from "./loading-cache.ts";

it("a load that all have left is aborted, counts as absent, and is begun anew by who comes then; what it gives late is not kept", async () => {
  const cache = new LoadingCache<string>(10, () => 1);
  const loads: { readonly signal: AbortSignal; readonly end: (value: string) => void }[] = [];
  const load = (signal: AbortSignal): Promise<string> =>
    new Promise((end) => {
      loads.push({ signal, end });
    });
  const leaving = new AbortController();
  const left = [cache.get("a", load, leaving), cache.get("a", load, leaving)];
  assert.equal(cache.has("a"), true);
  leaving.abort();
  for (const each of left) await assert.rejects(each, { name: "AbortError" });
  assert.deepEqual([loads.length, loads[0]?.signal.aborted, cache.has("a")], [1, true, false]);
  assert.equal(cache.use("a"), undefined);
  const anew = cache.get("a", load, new AbortController());
  loads[0]?.end("of the first");
  loads[1]?.end("of the second");
  assert.equal(await anew, "of the second");
  assert.equal(await cache.use("a"), "of the second");
});
