/** Running programs, measured. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { roundTo3, type Figures } from "./result.ts";

/** A program to run. */
export interface Command {
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** Added to PATH and LANG, which is all that programs get of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a program ran. */
export interface Run {
  readonly stdout: string;
  readonly wallSeconds: number;
  /** User and system time of the program and of those it waited for. */
  readonly cpuSeconds: number;
  /** ru_maxrss of the largest process. */
  readonly memoryMiB: number;
}

/** The command line of the checkout. */
export const AETHERFS = fileURLToPath(new URL("../bin/aetherfs", import.meta.url));

/** This Node, with the flags that bin/aetherfs gives it: what a program in TypeScript is started with. */
export const NODE = [
  process.execPath,
  "--max-semi-space-size=4",
  "--external-memory-accounted-in-global-limit",
] as const;

/** GNU time: rusage as wait4 reports it, which Node gives only for itself. */
const GNU_TIME = "/usr/bin/time";
const STDOUT_BYTES_MAX = 64 * 2 ** 20;

/** Runs a program to its end and measures it. Throws when it fails, with what it said on stderr. */
export async function measure(command: Command): Promise<Run> {
  if (!existsSync(GNU_TIME)) throw new Error(`${GNU_TIME} is missing: install the Debian package time`);
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-bench-"));
  try {
    const report = join(folder, "time");
    const begunMs = performance.now();
    const stdout = await runProgram({
      ...command,
      argv: [GNU_TIME, "-q", "-f", "%U %S %M", "-o", report, ...command.argv],
    });
    const wallSeconds = roundTo3((performance.now() - begunMs) / 1000);
    const [user = 0, system = 0, kibibytes = 0] = (await readFile(report, "utf8")).split(" ").map(Number);
    return {
      stdout,
      wallSeconds,
      cpuSeconds: roundTo3(user + system),
      memoryMiB: Math.round(kibibytes / 1024),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As measure, begun with nothing left to write out, so that no program pays for the one before. */
export async function measureQuietly(command: Command): Promise<Run> {
  await runProgram({ argv: ["sync"] });
  return measure(command);
}

/** Runs a program to its end; its stdout. Throws when it fails, with what it said on stderr. */
export function runProgram({ argv, cwd, env }: Command): Promise<string> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { PATH: process.env["PATH"], LANG: "C.UTF-8", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = "";
    child.stdout.on("data", (bytes: Buffer) => {
      stdoutBytes += bytes.byteLength;
      if (stdoutBytes <= STDOUT_BYTES_MAX) stdout.push(bytes);
      else child.kill();
    });
    child.stderr.on("data", (bytes: Buffer) => (stderr = `${stderr}${bytes.toString()}`.slice(-4000)));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(Buffer.concat(stdout).toString());
      else reject(new Error(`${argv.join(" ")}: ended with ${code ?? signal ?? "nothing"}: ${stderr}`));
    });
  });
}

/** What a run cost, as columns. */
export function costOf({ wallSeconds, cpuSeconds, memoryMiB }: Omit<Run, "stdout">): Figures {
  return { wallSeconds, cpuSeconds, memoryMiB };
}

/** Bytes of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const item of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (item.isFile()) bytes += (await stat(join(item.parentPath, item.name))).size;
  }
  return bytes;
}
