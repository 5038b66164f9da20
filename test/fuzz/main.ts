/**
 * `npm run fuzz -- SECONDS SEED`: every decoder of the format on hostile bytes, round after round, each with a seed of its
 * own that is printed when it fails; the same seed makes the same bytes. Exit code 1 when a decoder threw what it may not.
 */
import fc from "fast-check";
import { hostileBytes, refusal, targets } from "../../src/format/testing/hostile.ts";

const RUNS_PER_ROUND = 2000;

const seconds = Number(process.argv[2] ?? 60);
const firstSeed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isSafeInteger(firstSeed)) {
  console.error("usage: npm run fuzz -- SECONDS SEED");
  process.exit(2);
}
const end = performance.now() + seconds * 1000;
const counts = new Map<string, number>();

for (let seed = firstSeed; performance.now() < end && process.exitCode === undefined; seed++) {
  for (const target of targets()) {
    const property = fc.property(hostileBytes(target), (bytes) => {
      const outcome = refusal(target, bytes) ?? "accepted";
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    });
    const result = fc.check(property, { seed, numRuns: RUNS_PER_ROUND });
    if (!result.failed) continue;
    console.error(`seed ${seed}:`, result.errorInstance);
    process.exitCode = 1;
  }
}
console.log(`from seed ${firstSeed}:`, Object.fromEntries([...counts].sort()));
