/** Servers that benchmarks measure: started, found, and ended. */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { must } from "../src/base/assert.ts";
import type { Command } from "./measure.ts";

/** A server under way. */
export interface Server {
  /** The address, without a slash at the end. */
  readonly url: string;
  /** Milliseconds from its start to its first answer. */
  readonly startMs: number;
  readonly usage: () => Usage;
  /** The peak counts from now on. */
  readonly resetPeak: () => void;
  /** Ends it, and waits until it has. */
  readonly stop: () => Promise<void>;
}

/** What a server and its children used so far. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Resident now, and at most so far (the sum over processes). */
  readonly memoryMiB: number;
  readonly peakMiB: number;
}

/** Clock ticks a second in /proc (sysconf(_SC_CLK_TCK), which is 100 on every Linux). */
const TICKS = 100;
const ATTEMPTS_MAX = 600;
const ATTEMPT_MS = 10;
const MESSAGES_MAX = 8000;

/** A port that is free at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return must(typeof address === "object" ? address?.port : undefined, "a TCP server has a port");
}

/** Starts a server that will listen on `port`, and waits until `path` answers with anything. */
export async function startServer(command: Command, port: number, path: string): Promise<Server> {
  const [program = "", ...args] = command.argv;
  const begunMs = performance.now();
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: { PATH: process.env["PATH"], LANG: "C.UTF-8", ...command.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let messages = "";
  child.stderr.on(
    "data",
    (bytes: Buffer) => (messages = `${messages}${bytes.toString()}`.slice(-MESSAGES_MAX)),
  );
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    if (await answers(`${url}${path}`)) break;
    if (attempt < ATTEMPTS_MAX && child.exitCode === null) continue;
    child.kill("SIGKILL");
    throw new Error(`${command.argv.join(" ")} does not answer: ${messages}`);
  }
  const startMs = Math.round(performance.now() - begunMs);
  const pid = must(child.pid, "it runs");
  return {
    url,
    startMs,
    usage: () => usageOf(pid),
    resetPeak: () => {
      resetPeak(pid);
    },
    stop: () => stop(child),
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel();
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, ATTEMPT_MS));
    return false;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await ended;
}

/** proc(5): 5 sets the peak of the resident set to what it is now. */
const RESET_PEAK = "5";

function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK);
  childrenOf(pid).forEach(resetPeak);
}

/** Workers of nginx are. */
function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return children.filter(Boolean).map(Number);
}

/** Sums over the process and its children. */
export function usageOf(pid: number): Usage {
  const all = [ownUsage(pid), ...childrenOf(pid).map(usageOf)];
  const sum = (pick: (usage: Usage) => number): number =>
    all.reduce((total, usage) => total + pick(usage), 0);
  return {
    cpuSeconds: sum((usage) => usage.cpuSeconds),
    memoryMiB: sum((usage) => usage.memoryMiB),
    peakMiB: sum((usage) => usage.peakMiB),
  };
}

function ownUsage(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS,
    memoryMiB: Math.round(kibibytes("VmRSS") / 1024),
    peakMiB: Math.round(kibibytes("VmHWM") / 1024),
  };
}
