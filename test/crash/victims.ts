/** Children that are killed while they work. */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CrashReply } from "./crash-child.ts";
import type { CrashTask } from "./crash-task.ts";
import { pick, type Fractions } from "./seeded.ts";
import { watchTree } from "./watch-tree.ts";

/** As bin/aetherfs: the warning would be about node:ffi. */
const EXEC_ARGV = ["--disable-warning=ExperimentalWarning"];
const CHILD = fileURLToPath(new URL("crash-child.ts", import.meta.url));
/** Kills by time reach a little beyond what a task took, so that its last steps are hit too. */
const TIME_SHARE_MAX = 1.15;
/** A task that takes so long hangs, and fails its test. */
const TASK_TIMEOUT_MS = 60_000;

/** What a task takes when nobody interrupts it. */
export interface Calibration {
  readonly durationMs: number;
  /** File events in the watched folder. */
  readonly events: number;
}

/** When to kill: after a time, or at a file event in the watched folder. */
export type KillPoint = { readonly afterMs: number } | { readonly atEvent: number };

/** A point anywhere in the task: half of them by time, half by what it did to files. */
export function killPoint(fractions: Fractions, { durationMs, events }: Calibration): KillPoint {
  if (fractions() < 0.5) return { afterMs: fractions() * durationMs * TIME_SHARE_MAX };
  return { atEvent: 1 + pick(fractions, Math.max(events, 1)) };
}

/** Runs tasks in children, one started ahead so that its start-up costs no time. */
export class Victims {
  #next: Promise<ChildProcess> | undefined;
  readonly #compileCache: string;

  /** `compileCache`: a folder where the children keep compiled code, so that they start fast. */
  constructor(compileCache: string) {
    this.#compileCache = compileCache;
  }

  /** Runs a task to its end, and says what it took. */
  async calibrate(task: CrashTask, watched: string): Promise<Calibration> {
    const { elapsedMs, events, reply } = await this.#run(task, watched, undefined);
    assert.deepEqual(reply, { state: "done" });
    return { durationMs: elapsedMs, events };
  }

  /** Runs a task and kills it; false when it had ended before. A task that fails by itself fails the test. */
  async kill(task: CrashTask, watched: string, point: KillPoint): Promise<boolean> {
    const { reply } = await this.#run(task, watched, point);
    if (reply?.state === "failed") assert.fail(`a ${task.kind} that was not killed failed: ${reply.why}`);
    return reply === undefined;
  }

  /** Ends the child that was started ahead. */
  async close(): Promise<void> {
    (await this.#next)?.kill("SIGKILL");
  }

  async #run(
    task: CrashTask,
    watched: string,
    point: KillPoint | undefined,
  ): Promise<{ elapsedMs: number; events: number; reply: CrashReply | undefined }> {
    const child = await (this.#next ?? startChild(this.#compileCache));
    this.#next = undefined;
    const exited = once(child, "exit");
    let reply: CrashReply | undefined;
    child.on("message", (message: CrashReply) => (reply = message));
    let events = 0;
    const unwatch = watchTree(watched, () => {
      events++;
      if (point !== undefined && "atEvent" in point && events >= point.atEvent) child.kill("SIGKILL");
    });
    const startMs = performance.now();
    let endMs = startMs;
    child.send(task);
    const kill = (): boolean => child.kill("SIGKILL");
    const timer = point !== undefined && "afterMs" in point ? setTimeout(kill, point.afterMs) : undefined;
    const limit = setTimeout(kill, TASK_TIMEOUT_MS);
    try {
      const [, signal] = (await exited) as [number | null, NodeJS.Signals | null];
      endMs = performance.now();
      assert.ok(reply !== undefined || signal === "SIGKILL", `a ${task.kind} died of itself`);
      assert.ok(endMs - startMs < TASK_TIMEOUT_MS, `a ${task.kind} hung`);
    } finally {
      clearTimeout(timer);
      clearTimeout(limit);
      unwatch();
      child.kill("SIGKILL");
    }
    this.#next = startChild(this.#compileCache);
    this.#next.catch(() => undefined); // who takes the child hears of it
    return { elapsedMs: endMs - startMs, events, reply };
  }
}

async function startChild(compileCache: string): Promise<ChildProcess> {
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
  const child = fork(CHILD, { env, execArgv: EXEC_ARGV, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const died = once(child, "exit").then(() => assert.fail("a child died before it had anything to do"));
  const [reply] = (await Promise.race([once(child, "message"), died])) as [CrashReply];
  died.catch(() => undefined); // later it is expected
  assert.equal(reply.state, "ready");
  return child;
}
