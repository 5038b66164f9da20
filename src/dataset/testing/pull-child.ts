/** A process that pulls one version and says when it begins: for tests that kill it. Arguments: store, cache, target, version. */
import { must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { parseDigest } from "../../format/digest.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { openStore } from "../../store/drivers/all.ts";
import { pull } from "../pull/pull.ts";
import { testEngine } from "./engine.ts";

const [address, cacheDir, target, version] = process.argv.slice(2).map((value) => must(value, "an argument"));
const store = await openStore(must(address, "a store"), {
  create: false,
  clock: systemClock,
  random: systemRandom,
});
const engine = testEngine(store, must(cacheDir, "a cache folder"));
process.stdout.write("begins\n");
await pull(engine, {
  name: parseDatasetName("test"),
  version: parseDigest(must(version, "a version")),
  target: must(target, "a target"),
});
await engine.pool.close();
await store.close();
