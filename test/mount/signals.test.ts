/** Signals for programs that wait for a mount: those that they catch change nothing, those that end them end the wait. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { HubProcess } from "../hub/hub-process.ts";
import { requirePeer } from "../peers.ts";
import { placeWithHub, requireFuse, said, startMount } from "./mount-place.ts";

/** As many that their names do not lie with the version's root. */
const NAMES = 1500;
const nameOf = (index: number): string =>
  `many/${"a name that takes some room ".repeat(8)}${String(index).padStart(5, "0")}`;

/** A mount of a version with many names, of which the process knows none yet. */
async function coldMount(t: TestContext): Promise<{ readonly folder: string; readonly hub: HubProcess }> {
  const { place, hub } = await placeWithHub(t);
  mkdirSync(join(place.folder, "source/many"));
  for (let index = 0; index < NAMES; index++)
    writeFileSync(join(place.folder, "source", nameOf(index)), String(index));
  const pushed = await place.run(["push", "-t", "set:v2", "source"], place.environment);
  assert.equal(pushed.exit, 0, pushed.stderr);
  const { folder } = await startMount(t, place, ["--timeout", "1h", "set:v2"]);
  return { folder, hub };
}

/**
 * Looks up, lists and reads with a timer's signal every two milliseconds, which is caught and restarts nothing, and by the C library's own
 * calls: Python's would try again after EINTR. Says how often it heard what it should not.
 */
const WITH_ALARMS = `
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
heard, alarms = [], [0]
def check(result):
    if result < 0: heard.append(os.strerror(ctypes.get_errno()))
    return result
signal.signal(signal.SIGALRM, lambda *_: alarms.__setitem__(0, alarms[0] + 1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
print("begun", flush=True)
buffer = ctypes.create_string_buffer(1 << 20)
read = 0
for path in sys.argv[1:]:
    check(libc.access(path.encode(), os.R_OK))
    fd = check(libc.open(path.encode(), os.O_RDONLY))
    while fd >= 0 and (count := check(libc.read(fd, buffer, len(buffer)))) > 0: read += count
names = len(os.listdir(os.path.dirname(sys.argv[1])))
signal.setitimer(signal.ITIMER_REAL, 0)
print(heard, read, names, alarms[0] > 0)
`;

test("a program that catches signals all the time reads what it wants, however long the hub takes, and hears of no interrupt", async (t) => {
  if (!requireFuse(t)) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const { folder, hub } = await coldMount(t);
  hub.kill("SIGSTOP");
  const files = [...[1, 700, NAMES - 1].map(nameOf), "big", "other"].map((name) => join(folder, name));
  const child = spawn(python, ["-c", WITH_ALARMS, ...files], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let told = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (told += text));
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  while (told === "") await pause();
  for (let turn = 0; turn < 8 && child.exitCode === null; turn++) {
    await pause();
    hub.kill("SIGCONT");
    await pause();
    hub.kill("SIGSTOP");
  }
  hub.kill("SIGCONT");
  assert.equal(await ended, 0);
  assert.equal(told, `begun\n[] ${"1".length + "700".length + "1499".length + 16_000_000} ${NAMES} True\n`);
});

test("a program that looks up a name of a hub that does not answer is ended by the signals that end programs", async (t) => {
  if (!requireFuse(t)) return;
  const { folder, hub } = await coldMount(t);
  await said("stat", [join(folder, "many")]);
  hub.kill("SIGSTOP");
  for (const [index, signal] of (["SIGINT", "SIGQUIT", "SIGKILL"] as const).entries()) {
    const child = spawn("stat", [join(folder, nameOf(NAMES - 1 - index))], { stdio: "ignore" });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => {
      child.on("exit", (_, by) => {
        resolve(by);
      });
    });
    await pause();
    child.kill(signal);
    assert.equal(await ended, signal);
  }
  hub.kill("SIGCONT");
  await said("stat", [join(folder, nameOf(NAMES - 1))]);
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 300));
}
