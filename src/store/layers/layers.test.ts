/** The conformance suites over each layer, and over all of them on a disk. */
import { systemClock, type Clock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import { systemRandom } from "../../base/random.ts";
import { blockStoreSuite } from "../conformance/block-store-suite.ts";
import { datasetStoreSuite } from "../conformance/dataset-store-suite.ts";
import { faulty } from "../conformance/faulty-store.ts";
import { diskFixture, memoryFixture, type StoreFactory } from "../conformance/fixture.ts";
import { cached } from "./cached-store.ts";
import { joined } from "./joined-store.ts";
import { limited } from "./limited-store.ts";
import { retried } from "./retried-store.ts";
import { stack, type Layer } from "./stack.ts";
import { verified } from "./verified-store.ts";

/** Waits take no time. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

const LIMITED = limited({ callsMax: 3, bytesMax: 100_000, waitersMax: 1000 });
const RETRIED = retried({
  clock: impatient,
  random: systemRandom,
  attemptsMax: 10,
  delayMsFirst: 1,
  delayMsMax: 1,
});
const SLOW = faulty({ seed: 1, delays: 0.5 });
const FAULTY = faulty({ seed: 2, delays: 0.2, failures: 0.03, lostAnswers: 0.03 });

function over(factory: StoreFactory, layers: readonly Layer[]): StoreFactory {
  return async () => {
    const fixture = await factory();
    return { ...fixture, store: stack(fixture.store, layers) };
  };
}

blockStoreSuite("verified", over(memoryFixture, [verified()]));
blockStoreSuite("limited", over(memoryFixture, [SLOW, LIMITED]));
blockStoreSuite("joined", over(memoryFixture, [SLOW, joined()]));
blockStoreSuite("cached", over(memoryFixture, [SLOW, cached(MiB)]));
blockStoreSuite("cached in next to nothing", over(memoryFixture, [SLOW, cached(5000)]));
blockStoreSuite("retried, over faults", over(memoryFixture, [FAULTY, RETRIED]));
datasetStoreSuite("retried, over faults", over(memoryFixture, [FAULTY, RETRIED]));

const WHOLE = [FAULTY, LIMITED, RETRIED, cached(MiB), verified()];
blockStoreSuite("disk under all layers, over faults", over(diskFixture, WHOLE));
datasetStoreSuite("disk under all layers, over faults", over(diskFixture, WHOLE));
