/**
 * `npm run bench [-- [--rounds N] NAME…]`: runs the named benchmarks, or all, prints each one's table and appends a line
 * to bench/results.ndjson. Exit code 2 for a name that is none.
 */
import { parseArgs } from "node:util";
import { benchCalls } from "./calls.bench.ts";
import { benchChunker } from "./chunker.bench.ts";
import { benchDeltaCodec } from "./delta-codec.bench.ts";
import { benchDeltaReads } from "./delta-reads.bench.ts";
import { benchFs } from "./fs.bench.ts";
import { benchHub } from "./hub.bench.ts";
import { benchManifest } from "./manifest.bench.ts";
import { benchMemory } from "./memory.bench.ts";
import { formatResult, record, type BenchResult } from "./result.ts";
import { benchStore } from "./store.bench.ts";
import { benchTree, TREE_BENCHES, type TreeBench } from "./tree.bench.ts";
import { benchUpdates } from "./updates.bench.ts";

const ROUNDS_DEFAULT = 3;

/** Benchmarks of one figure each; those of TREE_BENCHES share their rounds. */
const BENCHES: Readonly<Record<string, (rounds: number) => BenchResult | Promise<BenchResult>>> = {
  updates: benchUpdates,
  "delta-reads": benchDeltaReads,
  "delta-codec": benchDeltaCodec,
  manifest: benchManifest,
  memory: benchMemory,
  chunker: benchChunker,
  store: benchStore,
  hub: benchHub,
  fs: benchFs,
  calls: benchCalls,
};

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: String(ROUNDS_DEFAULT) } },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
const all: readonly string[] = [...TREE_BENCHES, ...Object.keys(BENCHES)];
const names = positionals.length === 0 ? all : positionals;
const unknown = names.filter((name) => !all.includes(name));

if (unknown.length > 0 || !Number.isSafeInteger(rounds) || rounds < 1) {
  console.error(`usage: npm run bench -- [--rounds N] [NAME…], NAME one of ${all.join(", ")}`);
  process.exitCode = 2;
} else await runAll();

async function runAll(): Promise<void> {
  const ofTree = new Set<TreeBench>(TREE_BENCHES.filter((name) => names.includes(name)));
  if (ofTree.size > 0) for (const result of await benchTree(ofTree, rounds)) await publish(result);
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (names.includes(name)) await publish(await bench(rounds));
  }
}

async function publish(result: BenchResult): Promise<void> {
  console.log(`${formatResult(result)}\n`);
  await record(result, new Date());
}
