/** A file of 1 GiB over HTTP, whole and in ranges, beside nginx, caddy and rclone on the same file. */
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { measure, runProgram } from "./measure.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";
import { startHub, webServers, type WebServer } from "./web-servers.ts";

/** What writeNoise writes. */
export const FILE_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;
const RANGES = 256;
/** What fetchRanges fetches. */
export const RANGES_BYTES = RANGES * PIECE_BYTES;
const GB = 1e9;

/** One server, and where it has the file. */
interface Candidate extends WebServer {
  readonly path: string;
}

/** Measures each server with curl; servers of one round follow one another. */
export async function benchFs(rounds: number): Promise<BenchResult> {
  const figures = new Map<string, Figures[]>();
  await withFolder(async (folder) => {
    const candidates = await candidatesIn(folder);
    for (let round = 0; round < rounds; round++) {
      for (const candidate of candidates) {
        const measured = await measureServer(candidate);
        figures.set(candidate.name, [...(figures.get(candidate.name) ?? []), measured]);
      }
    }
  });
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const kind of ["raw", "zstd"]) {
    for (const peer of ["nginx", "caddy", "rclone"]) {
      for (const column of ["againMBs", "rangesMBs"]) {
        const ratio = value(`aetherfs, ${kind}`, column) / value(peer, column);
        ratios[`${column}: aetherfs ${kind} / ${peer}`] = roundTo3(ratio);
      }
    }
  }
  const compared = `one file of 1 GiB by curl over loopback: first (cold in the server), again, ${RANGES} ranges of 1 MiB on one connection; raw: noise, stored as it is; zstd: text`;
  return { name: "fs", rounds, compared, medians, ratios };
}

async function candidatesIn(folder: string): Promise<Candidate[]> {
  const files = join(folder, "files");
  await mkdir(join(folder, "home"), { recursive: true });
  await mkdir(files);
  await writeNoise(join(files, "raw.bin"));
  await writeText(join(files, "text.bin"));
  await runProgram(aetherfsCommand(folder, "push", "-t", "big:one", files));
  const hub = (name: string, file: string): Candidate => ({
    name,
    path: `/fs/big/one/${file}`,
    start: () => startHub(folder),
  });
  const peers = webServers(folder, files).map((peer) => ({ ...peer, path: "/raw.bin" }));
  return [hub("aetherfs, raw", "raw.bin"), hub("aetherfs, zstd", "text.bin"), ...peers];
}

async function measureServer(candidate: Candidate): Promise<Figures> {
  const server = await candidate.start();
  try {
    const url = `${server.url}${candidate.path}`;
    const first = await fetchWhole(url);
    const before = server.usage().cpuSeconds;
    const again = await fetchWhole(url);
    const between = server.usage();
    const ranges = await fetchRanges(url);
    const after = server.usage();
    const rangesGb = RANGES_BYTES / GB;
    return {
      firstMBs: roundTo3(FILE_BYTES / 1e6 / first),
      againMBs: roundTo3(FILE_BYTES / 1e6 / again),
      againCpuPerGB: roundTo3((between.cpuSeconds - before) / (FILE_BYTES / GB)),
      rangesMBs: roundTo3((rangesGb * 1000) / ranges),
      rangesCpuPerGB: roundTo3((after.cpuSeconds - between.cpuSeconds) / rangesGb),
      peakMiB: after.peakMiB,
    };
  } finally {
    await server.stop();
  }
}

/** Seconds that curl takes for a file. */
export async function fetchWhole(url: string): Promise<number> {
  const { wallSeconds } = await measure({ argv: ["curl", "-sS", "-f", "-o", "/dev/null", url] });
  return wallSeconds;
}

/** Seconds that curl takes for ranges on one connection, spread over a file of writeNoise by a step that is odd in pieces: no two are neighbours. */
export async function fetchRanges(url: string): Promise<number> {
  const pieces = FILE_BYTES / PIECE_BYTES;
  const argv = ["curl", "-sS", "-f"];
  for (let index = 0; index < RANGES; index++) {
    const start = ((index * 389) % pieces) * PIECE_BYTES;
    if (index > 0) argv.push("--next", "-sS", "-f");
    argv.push("-r", `${start}-${start + PIECE_BYTES - 1}`, "-o", "/dev/null", url);
  }
  return (await measure({ argv })).wallSeconds;
}

/** The same noise each time, 1 GiB: AES-CTR of zeros would be as good, and this needs no key. */
export async function writeNoise(file: string): Promise<void> {
  let state = 0x9e3779b97f4a7c15n;
  const piece = new BigUint64Array(PIECE_BYTES / 8);
  const handle = await open(file, "w");
  try {
    for (let index = 0; index < piece.length; index++) {
      state ^= (state << 13n) & 0xffffffffffffffffn;
      state ^= state >> 7n;
      state ^= (state << 17n) & 0xffffffffffffffffn;
      piece[index] = state;
    }
    for (let bytes = 0; bytes < FILE_BYTES; bytes += PIECE_BYTES) {
      piece[0] = BigInt(bytes);
      for (let index = 0; index < piece.length; index += 512) piece[index] = (piece[index] ?? 0n) + 1n;
      await handle.write(new Uint8Array(piece.buffer));
    }
  } finally {
    await handle.close();
  }
}

/** Lines that compress to about a fifth, no two pieces alike. */
async function writeText(file: string): Promise<void> {
  const handle = await open(file, "w");
  try {
    let line = 0;
    for (let bytes = 0; bytes < FILE_BYTES; bytes += PIECE_BYTES) {
      let text = "";
      while (text.length < PIECE_BYTES) {
        line++;
        text += `${line},${(line * 2654435761) % 4294967296},place ${line % 977},${(line * 40503) % 65536}\n`;
      }
      await handle.write(text.slice(0, PIECE_BYTES));
    }
  } finally {
    await handle.close();
  }
}
