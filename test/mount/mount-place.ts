/**
 * Mounts of tests: real ones, which end with the test whatever happens, and before its place is removed, where they write. Those of a test
 * process that was killed end with the next test. Nothing here looks into a mount in this process.
 */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { noise } from "../../src/dataset/testing/engine.ts";
import { environmentOf, makePlace, type Place } from "../cli/command.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";
import { PEER_MISSING } from "../peers.ts";
import { LAUNCHER } from "../program.ts";

/** A program that looks into a mount and does not end by then is ended: the test fails, and waits for nothing. */
const PROGRAM_MS_MAX = 60_000;

/** A place with a hub that can be stopped, and a version of a large file and a small one. */
export async function placeWithHub(
  t: TestContext,
): Promise<{ readonly place: Place; readonly hub: HubProcess }> {
  const place = await makePlace(t);
  const words = ["--storage_file_path", join(place.folder, "store")];
  const hub = await startHubProcess({ home: join(place.folder, "hub"), words });
  t.after(async () => {
    hub.kill("SIGKILL");
    await hub.ended;
  });
  const onHub = { ...place, environment: { STORE: "", HUB: hub.host } };
  await place.write({ "source/d/small": "small" });
  for (const [index, name] of ["big", "other", "third"].entries())
    writeFileSync(join(place.folder, "source", name), noise(index, 8_000_000));
  const pushed = await place.run(["push", "-t", "set:v1", "source"], onHub.environment);
  assert.equal(pushed.exit, 0, pushed.stderr);
  return { place: onHub, hub };
}

/** What a program did. */
export interface Ran {
  /** Its exit code; the signal that ended it. */
  readonly exit: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A mount under way, served by a process in the foreground. */
export interface TestMount {
  readonly folder: string;
  readonly child: ChildProcess;
  /** The exit code, or the signal, when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly stderr: () => string;
}

/**
 * Whether mounts can be made here: root, with a /dev/fuse. Else the test is skipped, or fails when peers are required. To be asked before the
 * test makes its place: what is done after a test is done in order.
 */
export function requireFuse(t: TestContext): boolean {
  const why = !existsSync("/dev/fuse")
    ? "no /dev/fuse: the kernel has no FUSE, or the container no device (docker run --device /dev/fuse)"
    : process.getuid?.() !== 0
      ? "not root: mounts of these tests are root's"
      : !mayMount()
        ? "no CAP_SYS_ADMIN: the container may not mount (docker run --cap-add SYS_ADMIN)"
        : undefined;
  if (why === undefined) {
    endMountsAfter(t);
    endLeftMounts();
    return true;
  }
  const reason = `${PEER_MISSING}mounting (${why})`;
  if (process.env["AETHERFS_TEST_PEERS"] === "required") assert.fail(reason);
  t.skip(reason);
  return false;
}

const CAP_SYS_ADMIN = 21n;

/** capabilities(7) */
function mayMount(): boolean {
  const [, bits = "0"] = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return ((BigInt(`0x${bits}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Runs a program to its end, or for so long. Never rejects. */
export function ran(
  program: string,
  words: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<Ran> {
  const limits = { timeout: PROGRAM_MS_MAX, killSignal: "SIGKILL", maxBuffer: 2 ** 26 } as const;
  return new Promise((resolve) => {
    execFile(program, words, { ...limits, ...options }, (error, stdout, stderr) => {
      const exit = error === null ? 0 : (error.signal ?? error.code ?? "unknown");
      resolve({ exit, stdout, stderr });
    });
  });
}

/** What a program says on stdout, which must succeed. */
export async function said(
  program: string,
  words: readonly string[],
  options?: { readonly cwd?: string },
): Promise<string> {
  const { exit, stdout, stderr } = await ran(program, words, options);
  assert.equal(exit, 0, `${program} ${words.join(" ")}: ${stderr}`);
  return stdout;
}

/** What ends mounts, by test. */
const endings = new WeakMap<TestContext, (() => Promise<void>)[]>();

function endMountsAfter(t: TestContext): (() => Promise<void>)[] {
  const known = endings.get(t);
  if (known !== undefined) return known;
  const ends: (() => Promise<void>)[] = [];
  endings.set(t, ends);
  t.after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return ends;
}

const POINT = /^(.*\/aetherfs-mount-(\d+)-\w+)$/;

/** Ends mounts whose test process was killed. */
function endLeftMounts(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, point, pid] = POINT.exec(join(tmpdir(), name)) ?? [];
    if (point === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      endMountsAt(point);
    } catch {
      // Another test is at it too.
    }
  }
}

/** Takes away all that is mounted at a folder, those who serve it, and the folder. */
function endMountsAt(point: string): void {
  for (let count = 0; isMounted(point) && count < 5; count++) spawnSync("umount", ["-i", "-f", "-l", point]);
  for (const pid of processesOf(point)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended since it was listed.
    }
  }
  rmdirSync(point);
}

/** Processes of this machine with a word in their command line. */
export function processesOf(word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").includes(word);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** A folder to mount at, from which all that is mounted is taken away when the test ends, and those who serve it are ended. */
export function mountPoint(t: TestContext): string {
  const point = mkdtempSync(join(tmpdir(), `aetherfs-mount-${process.pid}-`));
  endMountsAfter(t).push(async () => {
    endMountsAt(point);
    while (processesOf(point).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  return point;
}

/** Whether anything is mounted there. */
export function isMounted(point: string): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${point} `);
}

/** Mounts in the foreground, and waits until it is mounted. Rejects with what the command says when it ends before. */
export async function startMount(
  t: TestContext,
  place: Pick<Place, "folder" | "environment">,
  words: readonly string[],
  point = mountPoint(t),
): Promise<TestMount> {
  const env = { ...environmentOf(place.folder), ...place.environment };
  const args = ["mount", "--foreground", ...words, point];
  const child = spawn(LAUNCHER, args, { env, cwd: place.folder, stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on("exit", (code, signal) => {
      resolve(code ?? signal ?? "SIGKILL");
    });
  });
  endMountsAfter(t).push(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => {
      resolve();
    });
    void ended.then((exit) => {
      reject(new Error(`the mount ended with ${exit}: ${stderr}`));
    });
  });
  return { folder: point, child, ended, stderr: () => stderr };
}
