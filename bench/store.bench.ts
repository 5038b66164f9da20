/** What the stores of this machine do: one JSON line each. `node bench/store.bench.ts` */
import { systemClock } from "../src/base/clock.ts";
import { diskFixture, memoryFixture } from "../src/store/conformance/fixture.ts";
import { measureStore } from "../src/store/conformance/store-benchmark.ts";

for (const [store, factory] of [
  ["memory", memoryFixture],
  ["disk", diskFixture],
] as const) {
  const figures = await measureStore(factory, systemClock);
  console.log(JSON.stringify({ bench: "store", store, node: process.version, ...figures }));
}
