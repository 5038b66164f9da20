/** A file of 1 GiB over HTTP, whole and in ranges, beside nginx, caddy, rclone and a bare server of this Node on the same file. */
import { createCipheriv } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { fileURLToPath } from "node:url";
import { measure, NODE, runProgram } from "./measure.ts";
import { inRounds, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";
import { freePort, startServer } from "./servers.ts";
import { startHub, webServers, type WebServer } from "./web-servers.ts";

const BARE = fileURLToPath(new URL("bare-server-child.ts", import.meta.url));

/** What writeNoise writes. */
export const FILE_BYTES = 2 ** 30;
/** What fetchRanges asks for at a time. */
const PIECE_BYTES = 2 ** 20;
const RANGES = 256;
/** What fetchRanges fetches. */
export const RANGES_BYTES = RANGES * PIECE_BYTES;
/** What of the file is asked for: every other piece, so that nobody can take who leaps for one who reads on. */
const STRIDE_BYTES = 2 * PIECE_BYTES;
/** How many pieces fetchRanges has to choose from. */
export const SPREAD_PIECES = FILE_BYTES / STRIDE_BYTES;
/** A part of the file that stays in memory. */
const HOT_PIECES = 32;
const GB = 1e9;

/** One server, and where it has the file. */
interface Candidate extends WebServer {
  readonly path: string;
}

/** Measures each server with curl; servers of one round follow one another. */
export async function benchFs(rounds: number): Promise<BenchResult> {
  const medians = await withFolder(async (folder) =>
    inRounds(rounds, await candidatesIn(folder), measureServer),
  );
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const kind of ["raw", "zstd"]) {
    for (const peer of ["nginx", "caddy", "rclone", "node"]) {
      for (const column of ["againMBs", "thirdMBs", "rangesMBs", "hotRangesMBs"]) {
        const ratio = value(`aetherfs, ${kind}`, column) / value(peer, column);
        ratios[`${column}: aetherfs ${kind} / ${peer}`] = roundTo3(ratio);
      }
    }
  }
  const compared = `one file of 1 GiB by curl over loopback: first (cold in the server), again, a third time (the hub has it decoded on its disk then), ${RANGES} ranges of 1 MiB on one connection for the second time, ${RANGES} ranges of the same 32 MiB; node: a bare server on node:http; raw: noise, stored as it is; zstd: text`;
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
  const bare: Candidate = {
    name: "node",
    path: "/",
    start: async () => {
      const port = await freePort();
      return startServer({ argv: [...NODE, BARE, String(port), join(files, "raw.bin")] }, port, "/");
    },
  };
  return [hub("aetherfs, raw", "raw.bin"), hub("aetherfs, zstd", "text.bin"), ...peers, bare];
}

async function measureServer(candidate: Candidate): Promise<Figures> {
  const server = await candidate.start();
  try {
    const url = `${server.url}${candidate.path}`;
    const first = await fetchWhole(url);
    const before = server.usage().cpuSeconds;
    const again = await fetchWhole(url);
    const afterAgain = server.usage();
    const third = await fetchWhole(url);
    const afterThird = server.usage();
    // What a server does first, in its first requests for ranges, is not what it does: a runtime compiles what it has run often.
    await fetchRanges(url, SPREAD_PIECES);
    const between = server.usage();
    const ranges = await fetchRanges(url, SPREAD_PIECES);
    const after = server.usage();
    const rangesGb = RANGES_BYTES / GB;
    await fetchRanges(url, HOT_PIECES);
    const beforeHot = server.usage();
    const hot = await fetchRanges(url, HOT_PIECES);
    const afterHot = server.usage();
    return {
      firstMBs: roundTo3(FILE_BYTES / 1e6 / first),
      againMBs: roundTo3(FILE_BYTES / 1e6 / again),
      againCpuPerGB: roundTo3((afterAgain.cpuSeconds - before) / (FILE_BYTES / GB)),
      thirdMBs: roundTo3(FILE_BYTES / 1e6 / third),
      thirdCpuPerGB: roundTo3((afterThird.cpuSeconds - afterAgain.cpuSeconds) / (FILE_BYTES / GB)),
      rangesMBs: roundTo3((rangesGb * 1000) / ranges),
      rangesCpuPerGB: roundTo3((after.cpuSeconds - between.cpuSeconds) / rangesGb),
      hotRangesMBs: roundTo3((rangesGb * 1000) / hot),
      hotRangesCpuPerGB: roundTo3((afterHot.cpuSeconds - beforeHot.cpuSeconds) / rangesGb),
      peakMiB: afterHot.peakMiB,
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

/** Seconds that curl takes for ranges on one connection, by a step that is odd in pieces, among every other one of the file's first 2 × `pieces`. */
export async function fetchRanges(url: string, pieces: number): Promise<number> {
  const argv = ["curl", "-sS", "-f"];
  for (let index = 0; index < RANGES; index++) {
    const start = ((index * 389) % pieces) * STRIDE_BYTES;
    if (index > 0) argv.push("--next", "-sS", "-f");
    argv.push("-r", `${start}-${start + PIECE_BYTES - 1}`, "-o", "/dev/null", url);
  }
  return (await measure({ argv })).wallSeconds;
}

/** The same noise each time, FILE_BYTES of it, no part of it like another. */
export async function writeNoise(file: string): Promise<void> {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES);
  const handle = await open(file, "w");
  try {
    for (let bytes = 0; bytes < FILE_BYTES; bytes += PIECE_BYTES) await handle.write(cipher.update(zeros));
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
