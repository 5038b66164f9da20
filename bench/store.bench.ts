/** What the stores of this machine do. */
import { systemClock } from "../src/base/clock.ts";
import { diskFixture, memoryFixture } from "../src/store/conformance/fixture.ts";
import { measureStore } from "../src/store/conformance/store-benchmark.ts";
import { medianFigures, type BenchResult, type Figures } from "./result.ts";

/** The figures of the conformance suite's benchmark, for every store that needs no server. */
export async function benchStore(rounds: number): Promise<BenchResult> {
  const memory: Figures[] = [];
  const disk: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    memory.push({ ...(await measureStore(memoryFixture, systemClock)) });
    disk.push({ ...(await measureStore(diskFixture, systemClock)) });
  }
  const medians = { memory: medianFigures(memory), disk: medianFigures(disk) };
  const compared = "256 MiB of random bytes in blocks of 32 MiB; on disk everything is synced";
  return { name: "store", rounds, compared, medians, ratios: {} };
}
