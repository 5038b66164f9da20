/** A hub in a process of its own, as a user starts it. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LAUNCHER, environmentIn } from "../program.ts";

/** A hub under way. */
export interface HubProcess {
  /** `127.0.0.1:PORT`: what stands before the slash of a reference. */
  readonly host: string;
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Lines of its log so far, as JSON objects where they are such. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly kill: (signal: NodeJS.Signals) => void;
  /** The exit code, or the signal, when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** What is different from a hub with no flags on a port of its own. */
export interface HubProcessOptions {
  readonly words?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** HOME of the hub: where its data lies. */
  readonly home: string;
  /** 0: any that is free. */
  readonly port?: number;
  /** Words before the command, such as those that run it in another network. They end by becoming the command. */
  readonly within?: readonly string[];
}

/** Starts a hub and waits until it is ready. Rejects with its log when it ends before. Kill it, and await `ended`. */
export async function startHubProcess(options: HubProcessOptions): Promise<HubProcess> {
  const { words = [], environment = {}, home, port = 0, within = [] } = options;
  const [program = LAUNCHER, ...args] = [
    ...within,
    LAUNCHER,
    "run",
    "--bind",
    "127.0.0.1",
    "--port",
    String(port),
    ...words,
  ];
  const env = { ...environmentIn(home), ...environment };
  const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  const log: Record<string, unknown>[] = [];
  let text = "";
  const ready = Promise.withResolvers<string>();
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on("close", (code, signal) => {
      ready.reject(new Error(`the hub ended with ${code ?? signal ?? ""}: ${JSON.stringify(log)}${text}`));
      resolve(code ?? signal ?? "SIGKILL");
    });
  });
  child.stderr.setEncoding("utf8").on("data", (more: string) => {
    text += more;
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const entry = entryOf(line);
      log.push(entry);
      if (entry["msg"] === "ready") ready.resolve(String(entry["url"]));
    }
  });
  const url = await ready.promise;
  const host = new URL(url).host;
  const kill = (signal: NodeJS.Signals): void => void child.kill(signal);
  return { host, url, port: Number(new URL(url).port), pid: child.pid ?? 0, log, kill, ended };
}

function entryOf(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    const url = / ready .*url=(\S+)/.exec(line)?.[1];
    return url === undefined ? { line } : { line, msg: "ready", url };
  }
}

/** Runs `work` with a hub, in a new HOME that is removed afterwards; the hub is ended, whatever happens. */
export async function withHubProcess<T>(
  options: Omit<HubProcessOptions, "home">,
  work: (hub: HubProcess, home: string) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "aetherfs-hub-"));
  try {
    const hub = await startHubProcess({ ...options, home });
    try {
      return await work(hub, home);
    } finally {
      hub.kill("SIGKILL");
      await hub.ended;
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
