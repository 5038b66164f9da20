/** Servers of others that a test or bench starts, and that are gone when it is over, however it ends. */
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** A whole server, from its first command to its first answer. */
const START_TIMEOUT_MS = 120_000;
const ATTEMPTS_MAX = 3;
const POLL_MS = 25;
const LOG_TAIL = 2000;

/**
 * Reads nothing until the process that started it ends or closes the pipe; then ends what that process left running, and
 * removes its folder.
 */
const KEEPER = `cat >/dev/null; [ -d "$1" ] || exit 0; kill -9 $(cat "$1/pids"); sleep 0.2; rm -rf "$1"`;

/** Programs with one folder for what they keep. */
export class Daemons {
  readonly folder: string;
  readonly #keeper: ChildProcess;
  readonly #children = new Map<string, ChildProcess>();
  /** Those that run to their end, under way. */
  readonly #commands = new Set<ChildProcess>();
  readonly #signal = AbortSignal.timeout(START_TIMEOUT_MS);

  /** Makes the folder, under the system's one for temporary files. */
  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `aetherfs-${name}-`));
    appendFileSync(join(this.folder, "pids"), "");
    this.#keeper = spawn("/bin/sh", ["-c", KEEPER, "sh", this.folder], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#keeper.unref();
  }

  /** Runs a program to its end; its stdout. Rejects when it fails, with what it said on stderr. */
  async run(...[program = "", ...args]: readonly string[]): Promise<string> {
    const options = { cwd: this.folder, signal: this.#signal, env: this.#environment() };
    const running = promisify(execFile)(program, args, options);
    const { child } = running;
    this.#note(child);
    this.#commands.add(child);
    try {
      return (await running).stdout;
    } catch (error) {
      const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
      throw new Error(`${program} ${args.join(" ")}: ${said.slice(0, LOG_TAIL)}`);
    } finally {
      this.#commands.delete(child);
    }
  }

  /** Starts a program that runs until stop; the name is that of its log. */
  start(name: string, ...[program = "", ...args]: readonly string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), "a");
    const child = spawn(program, args, {
      cwd: this.folder,
      env: this.#environment(),
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.on("error", () => undefined);
    this.#note(child);
    this.#children.set(name, child);
  }

  /** Waits until the address answers a GET with success. Rejects with the logs when a program ends before. */
  async answers(url: string): Promise<void> {
    for (;;) {
      for (const [name, { exitCode, signalCode, pid }] of this.#children) {
        const isAlive = pid !== undefined && exitCode === null && signalCode === null;
        assert.ok(isAlive, `${name} ended: ${this.#logTail(name)}`);
      }
      assert.ok(
        !this.#signal.aborted,
        `no answer: ${[...this.#children.keys()].map((name) => this.#logTail(name)).join("\n")}`,
      );
      const response = await fetch(url, { signal: this.#signal }).catch(() => undefined);
      await response?.body?.cancel();
      if (response?.ok === true) return;
      await sleep(POLL_MS);
    }
  }

  /** Ends all programs, waits until they have, and removes the folder. */
  async stop(): Promise<void> {
    for (const child of [...this.#commands, ...this.#children.values()]) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    this.#keeper.ref();
    const ended = once(this.#keeper, "exit");
    this.#keeper.stdin?.end();
    await ended;
  }

  /** For the keeper. */
  #note({ pid }: ChildProcess): void {
    if (pid !== undefined) appendFileSync(join(this.folder, "pids"), `${pid}\n`);
  }

  /** Nothing of the machine's that is a setting of theirs. */
  #environment(): Record<string, string> {
    return { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LANG: "C.UTF-8", HOME: this.folder };
  }

  #logTail(name: string): string {
    const file = join(this.folder, `${name}.log`);
    return existsSync(file) ? readFileSync(file, "utf8").slice(-LOG_TAIL) : "";
  }
}

/**
 * Makes a server of daemons, again with other ports when that fails: between finding a free port and using it somebody
 * else may take it. What failed is stopped; the last error is the one that rejects.
 */
export async function withAttempts<T>(name: string, start: (daemons: Daemons) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const daemons = new Daemons(name);
    try {
      return await start(daemons);
    } catch (error) {
      await daemons.stop();
      if (attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

/** So many different ports of 127.0.0.1 that are free at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(portOf));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}
