/**
 * `npm run bench [-- [--rounds N] [--sizes SIZE,…] NAME…]`: runs the named benchmarks, or all, prints each one's table and
 * appends a line to bench/results.ndjson. `--sizes` is for big-update (1GiB,10GiB unless said otherwise). Exit code 2 for
 * a name or number that is none.
 */
import { parseArgs } from "node:util";
import { parseSize } from "../src/config/values.ts";
import { benchBigUpdate } from "./big-update.bench.ts";
import { benchCalls } from "./calls.bench.ts";
import { benchChunker } from "./chunker.bench.ts";
import { benchCopy } from "./copy.bench.ts";
import { benchDeltaCodec } from "./delta-codec.bench.ts";
import { benchDeltaReads } from "./delta-reads.bench.ts";
import { benchEvents } from "./events.bench.ts";
import { benchFirstByte } from "./first-byte.bench.ts";
import { benchFs } from "./fs.bench.ts";
import { benchFuse } from "./fuse.bench.ts";
import { benchHub } from "./hub.bench.ts";
import { benchManifest } from "./manifest.bench.ts";
import { benchMemory } from "./memory.bench.ts";
import { benchNfs } from "./nfs.bench.ts";
import { benchPrune } from "./prune.bench.ts";
import { benchPruneScale } from "./prune-scale.bench.ts";
import { formatResult, record, type BenchResult } from "./result.ts";
import { benchS3 } from "./s3.bench.ts";
import { benchS3Api } from "./s3-api.bench.ts";
import { benchStore } from "./store.bench.ts";
import { benchTree, TREE_BENCHES, type TreeBench } from "./tree.bench.ts";
import { benchUpdates } from "./updates.bench.ts";
import { benchWebdav } from "./webdav.bench.ts";

const ROUNDS_DEFAULT = 3;

/** `sizes`: of the inputs, in bytes, for those that can be told. */
type Bench = (rounds: number, sizes?: readonly number[]) => BenchResult | Promise<BenchResult>;

/** Benchmarks of one figure each; those of TREE_BENCHES share their rounds. */
const BENCHES: Readonly<Record<string, Bench>> = {
  updates: benchUpdates,
  "delta-reads": benchDeltaReads,
  "delta-codec": benchDeltaCodec,
  "big-update": benchBigUpdate,
  manifest: benchManifest,
  memory: benchMemory,
  prune: benchPrune,
  "prune-scale": benchPruneScale,
  chunker: benchChunker,
  store: benchStore,
  hub: benchHub,
  copy: benchCopy,
  fs: benchFs,
  "first-byte": benchFirstByte,
  nfs: benchNfs,
  fuse: benchFuse,
  calls: benchCalls,
  events: benchEvents,
  s3: benchS3,
  "s3-api": benchS3Api,
  webdav: benchWebdav,
};

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: String(ROUNDS_DEFAULT) }, sizes: { type: "string" } },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
const sizes = values.sizes?.split(",").map(sizeOf);
const isSound = Number.isSafeInteger(rounds) && rounds >= 1 && (sizes ?? []).every((size) => size > 0);
const all: readonly string[] = [...TREE_BENCHES, ...Object.keys(BENCHES)];
const names = positionals.length === 0 ? all : positionals;
const unknown = names.filter((name) => !all.includes(name));

if (unknown.length > 0 || !isSound) {
  console.error(
    `usage: npm run bench -- [--rounds N] [--sizes SIZE,…] [NAME…], NAME one of ${all.join(", ")}`,
  );
  process.exitCode = 2;
} else await runAll();

async function runAll(): Promise<void> {
  const ofTree = new Set<TreeBench>(TREE_BENCHES.filter((name) => names.includes(name)));
  if (ofTree.size > 0) for (const result of await benchTree(ofTree, rounds)) await publish(result);
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (names.includes(name)) await publish(await bench(rounds, sizes));
  }
}

async function publish(result: BenchResult): Promise<void> {
  console.log(`${formatResult(result)}\n`);
  await record(result, new Date());
}

/** In bytes; NaN for what is no size. */
function sizeOf(text: string): number {
  try {
    return parseSize(text);
  } catch {
    return NaN;
  }
}
