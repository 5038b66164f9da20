/** Speed of cutting, one core, on bytes without structure. */
import { randomFillSync } from "node:crypto";
import { KiB, MiB } from "../src/base/limits.ts";
import { cutReference } from "../src/format/chunker-reference.ts";
import { Chunker, createChunkerMemory } from "../src/format/chunker.ts";
import { formatChunking, type ChunkingParameters } from "../src/format/chunking.ts";
import { median, type BenchResult, type Figures } from "./result.ts";

const INPUT_BYTES = 128 * MiB;
const REFERENCE_BYTES = 16 * MiB;

/** MB of input (10^6 bytes) per second of CPU, for each average of the WebAssembly chunker and for the reference. */
export function benchChunker(rounds: number): BenchResult {
  const memory = createChunkerMemory(INPUT_BYTES);
  const start = memory.dataOffset;
  const input = randomFillSync(new Uint8Array(memory.memory.buffer, start, INPUT_BYTES));
  const medians: Record<string, Figures> = {};
  for (const averageBytes of [4 * KiB, 16 * KiB, 64 * KiB, 1 * MiB]) {
    const parameters: ChunkingParameters = { kind: "cdc", averageBytes };
    const chunker = new Chunker(parameters, memory);
    medians[`WebAssembly ${formatChunking(parameters)}`] = megabytesPerCpuSecond(rounds, INPUT_BYTES, () => {
      chunker.cut(start, start + INPUT_BYTES, true);
    });
  }
  const part = input.slice(0, REFERENCE_BYTES);
  medians["reference cdc:65536"] = megabytesPerCpuSecond(rounds, REFERENCE_BYTES, () => {
    cutReference({ kind: "cdc", averageBytes: 64 * KiB }, part);
  });
  const compared = "random bytes in memory; the chunker in WebAssembly, and its reference in TypeScript";
  return { name: "chunker", rounds, compared, medians, ratios: {} };
}

/** Median over the rounds of `cut`, which reads `inputBytes`; a first round warms it up. */
function megabytesPerCpuSecond(rounds: number, inputBytes: number, cut: () => void): Figures {
  const figures: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const before = process.cpuUsage();
    cut();
    const { user, system } = process.cpuUsage(before);
    if (round > 0) figures.push(inputBytes / (user + system));
  }
  return { MBPerCpuSecond: Math.round(median(figures)) };
}
