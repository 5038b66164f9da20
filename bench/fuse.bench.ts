/** A mount beside the same files on the disk, and beside `rclone mount` of them. As root, on Linux. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { COMPILE_CACHE, withFolder } from "./folders.ts";
import { FILE_BYTES, writeNoise } from "./fs.bench.ts";
import { AETHERFS, measure, runProgram } from "./measure.ts";
import { inRounds, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

const SMALL_FILES = 2000;
const SMALL_FOLDERS = 50;
const SMALL_BYTES = 4096;
const CLIENTS = [4, 16] as const;
const GB = 1e9;
/** Of the processor's time in /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
const WAIT_MS_MAX = 60_000;

/** One way to the files. */
interface Candidate {
  readonly name: string;
  /** Where the files are seen. */
  readonly folder: string;
  /** Serves them; undefined: the kernel alone does. */
  readonly argv: readonly string[] | undefined;
  /** Where the copy appears that the kernel reads by itself, when one does. */
  readonly kept: (() => boolean) | undefined;
}

/** Measures each way; those of one round follow one another. */
export async function benchFuse(rounds: number): Promise<BenchResult> {
  const medians = await withFolder(async (folder) =>
    inRounds(rounds, await candidatesIn(folder), measureWay),
  );
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const column of ["againMBs", "clients4MBs", "clients16MBs", "smallAgainPerS", "statAgainPerS"]) {
    ratios[`${column}: passthrough / disk`] = roundTo3(
      value("aetherfs, passthrough", column) / value("disk", column),
    );
  }
  for (const column of [
    "firstMBs",
    "servedMBs",
    "againMBs",
    "smallPerS",
    "smallAgainPerS",
    "statPerS",
    "statAgainPerS",
  ]) {
    ratios[`${column}: plain / rclone`] = roundTo3(
      value("aetherfs, plain", column) / value("rclone", column),
    );
  }
  const compared = `a file of 1 GiB of noise, read with dd: first (after all caches were dropped), served (without the kernel's pages of the file), again; by 4 and 16 at once; ${SMALL_FILES} files of 4 KiB by cat, and find -printf %s of all, first and again; passthrough: the kernel reads a copy in the cache folder, plain: without cache folder; a store on the same disk`;
  return { name: "fuse", rounds, compared, medians, ratios };
}

async function candidatesIn(folder: string): Promise<Candidate[]> {
  const files = join(folder, "files");
  await mkdir(join(folder, "home"), { recursive: true });
  await mkdir(files);
  await writeNoise(join(files, "big.bin"));
  for (let index = 0; index < SMALL_FILES; index++) {
    const place = join(files, "small", String(index % SMALL_FOLDERS));
    if (index < SMALL_FOLDERS) await mkdir(place, { recursive: true });
    await writeFile(join(place, String(index)), Buffer.alloc(SMALL_BYTES, `${index} `));
  }
  await runProgram(aetherfsCommand(folder, "push", "-t", "files:one", files));
  const mount = (name: string, argvOf: (point: string) => readonly string[]): Candidate => {
    const point = join(folder, `mount-${name.replaceAll(/\W+/g, "-")}`);
    mkdirSync(point);
    return { name, folder: point, argv: argvOf(point), kept: undefined };
  };
  const ours = (name: string, ...words: readonly string[]): Candidate =>
    mount(name, (point) => [
      ...[AETHERFS, "mount", "--foreground", "--store", join(folder, "store"), ...words],
      ...["files:one", point],
    ]);
  const cache = join(folder, "mount-cache");
  return [
    { name: "disk", folder: files, argv: undefined, kept: undefined },
    {
      ...ours("aetherfs, passthrough", "--cache_dir", cache, "--cache_size", "8GiB"),
      kept: () => existsSync(join(cache, "files")) && !isEmpty(join(cache, "files")),
    },
    ours("aetherfs, plain", "--cache_size", "0"),
    mount("rclone", (point) => ["rclone", "mount", "--read-only", "--config", "", files, point]),
  ];
}

function isEmpty(folder: string): boolean {
  const names = readdirSync(folder);
  return !names.some((name) => /^[0-9a-f]{64}$/.test(name));
}

async function measureWay(candidate: Candidate): Promise<Figures> {
  const server = await startServing(candidate);
  const { folder } = candidate;
  const big = join(folder, "big.bin");
  try {
    await dropCaches();
    const before = cpuSeconds(server);
    const first = await readBig(big);
    const firstCpu = cpuSeconds(server) - before;
    const beforeServed = cpuSeconds(server);
    await runProgram({ argv: ["dd", `if=${big}`, "iflag=nocache", "count=0", "status=none"] });
    const served = await readBig(big);
    const servedCpu = cpuSeconds(server) - beforeServed;
    await waitUntil(
      () => candidate.kept?.() ?? true,
      () => readBig(big),
    );
    await readBig(big);
    const again = await readBig(big);
    const clients: Record<string, number> = {};
    for (const count of CLIENTS) {
      const seconds = await together(Array.from({ length: count }, () => readBig(big)));
      clients[`clients${count}MBs`] = roundTo3((count * FILE_BYTES) / 1e6 / seconds);
    }
    const small = await seconds(["find", join(folder, "small"), "-type", "f", "-exec", "cat", "{}", "+"]);
    const smallAgain = await seconds([
      "find",
      join(folder, "small"),
      "-type",
      "f",
      "-exec",
      "cat",
      "{}",
      "+",
    ]);
    await dropCaches();
    const stat = await seconds(["find", folder, "-printf", "%s\\n"]);
    const statAgain = await seconds(["find", folder, "-printf", "%s\\n"]);
    const entries = SMALL_FILES + SMALL_FOLDERS + 3;
    return {
      firstMBs: roundTo3(FILE_BYTES / 1e6 / first),
      firstCpuPerGB: roundTo3(firstCpu / (FILE_BYTES / GB)),
      servedMBs: roundTo3(FILE_BYTES / 1e6 / served),
      servedCpuPerGB: roundTo3(servedCpu / (FILE_BYTES / GB)),
      againMBs: roundTo3(FILE_BYTES / 1e6 / again),
      ...clients,
      smallPerS: Math.round(SMALL_FILES / small),
      smallAgainPerS: Math.round(SMALL_FILES / smallAgain),
      statPerS: Math.round(entries / stat),
      statAgainPerS: Math.round(entries / statAgain),
      peakMiB: peakMiB(server),
    };
  } finally {
    await stopServing(candidate, server);
  }
}

async function readBig(file: string): Promise<number> {
  return seconds(["dd", `if=${file}`, "of=/dev/null", "bs=1M", "status=none"]);
}

async function seconds(argv: readonly string[]): Promise<number> {
  return (await measure({ argv })).wallSeconds;
}

async function together(all: readonly Promise<unknown>[]): Promise<number> {
  const begunMs = performance.now();
  await Promise.all(all);
  return (performance.now() - begunMs) / 1000;
}

async function dropCaches(): Promise<void> {
  await runProgram({ argv: ["sync"] });
  writeFileSync("/proc/sys/vm/drop_caches", "3");
}

async function startServing({ argv, folder, name }: Candidate): Promise<ChildProcess | undefined> {
  if (argv === undefined) return undefined;
  const [program = "", ...words] = argv;
  const env = { PATH: process.env["PATH"], HOME: join(folder, "../home"), NODE_COMPILE_CACHE: COMPILE_CACHE };
  const child = spawn(program, words, { env, stdio: "ignore" });
  await waitUntil(() => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${folder} `);
  });
  return child;
}

async function stopServing({ folder }: Candidate, server: ChildProcess | undefined): Promise<void> {
  if (server === undefined) return;
  const ended = new Promise((resolve) => server.on("exit", resolve));
  await runProgram({ argv: ["umount", "-l", folder] });
  server.kill("SIGTERM");
  await ended;
}

/** Does something in between, until it is so. */
async function waitUntil(isSo: () => boolean, meanwhile?: () => Promise<unknown>): Promise<void> {
  const begunMs = performance.now();
  while (!isSo()) {
    if (performance.now() - begunMs > WAIT_MS_MAX) throw new Error("what was waited for did not come");
    await meanwhile?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** proc_pid_stat(5): user and system time. */
function cpuSeconds(server: ChildProcess | undefined): number {
  if (server?.pid === undefined) return 0;
  const fields = readFileSync(`/proc/${server.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function peakMiB(server: ChildProcess | undefined): number {
  if (server?.pid === undefined) return 0;
  const [, kibibytes = "0"] =
    /^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kibibytes) / 1024);
}
