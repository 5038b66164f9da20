/**
 * Speed of cutting, one core: `node bench/chunker.bench.ts` prints one JSON line. MB of input (10^6 bytes) per second
 * of CPU, medians, for each average of the WebAssembly chunker and for the TypeScript reference, on bytes without structure.
 */
import { randomFillSync } from "node:crypto";
import { must } from "../src/base/assert.ts";
import { KiB, MiB } from "../src/base/limits.ts";
import { cutReference } from "../src/format/chunker-reference.ts";
import { Chunker, createChunkerMemory } from "../src/format/chunker.ts";
import { formatChunking, type ChunkingParameters } from "../src/format/chunking.ts";

const ROUNDS = 9;
const INPUT_BYTES = 128 * MiB;
const REFERENCE_BYTES = 16 * MiB;

/** Median over the rounds of `cut`, which reads `inputBytes`; a first round warms it up. */
function megabytesPerCpuSecond(inputBytes: number, cut: () => void): number {
  const figures: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    cut();
    const { user, system } = process.cpuUsage(before);
    if (round > 0) figures.push(inputBytes / (user + system));
  }
  return Math.round(must(figures.sort((a, b) => a - b)[ROUNDS >> 1], "there was a round"));
}

const memory = createChunkerMemory(INPUT_BYTES);
const start = memory.dataOffset;
const input = randomFillSync(new Uint8Array(memory.memory.buffer, start, INPUT_BYTES));
const wasm: Record<string, number> = {};
for (const averageBytes of [4 * KiB, 16 * KiB, 64 * KiB, 1 * MiB]) {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes };
  const chunker = new Chunker(parameters, memory);
  wasm[formatChunking(parameters)] = megabytesPerCpuSecond(INPUT_BYTES, () => {
    chunker.cut(start, start + INPUT_BYTES, true);
  });
}
const part = input.slice(0, REFERENCE_BYTES);
const reference = megabytesPerCpuSecond(REFERENCE_BYTES, () => {
  cutReference({ kind: "cdc", averageBytes: 64 * KiB }, part);
});

const unit = "MB per CPU-second";
console.log(
  JSON.stringify({ name: "chunker", unit, wasm, reference: { "cdc:65536": reference }, rounds: ROUNDS }),
);
