/** NFS of hubs that come and go: what a client had goes on. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { NfsClient } from "../../src/serve/nfs/testing/nfs-client.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";
import { requirePeer } from "../peers.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

const run = promisify(execFile);
/** Of the file that is copied: so many that it takes a while. */
const BIG_BYTES = 64 * MiB;
const ATTEMPTS_MAX = 20;

const temporary = temporaryFolder();
const home = join(temporary.path, "home");
const source = join(temporary.path, "source");
const big = noise(6, BIG_BYTES);
const hubs = new Set<HubProcess>();

before(async () => {
  mkdirSync(source);
  writeFileSync(join(source, "big.bin"), big);
  writeFileSync(join(source, "small"), "small");
  const hub = await start();
  await aetherfs("push", "-t", `${hub.host}/set:latest`, source);
  await end(hub);
});
after(async () => {
  for (const hub of hubs) await end(hub);
  temporary.remove();
});

async function start({ port = 0, nfsPort = 0, words = [] as readonly string[] } = {}): Promise<HubProcess> {
  const nfs = ["--nfs_enable", "--nfs_port", String(nfsPort)];
  const hub = await startHubProcess({ home, port, words: [...nfs, ...words] });
  hubs.add(hub);
  return hub;
}

async function end(hub: HubProcess): Promise<void> {
  hubs.delete(hub);
  hub.kill("SIGKILL");
  await hub.ended;
}

function nfsPortOf({ log }: HubProcess): number {
  return Number(log.find(({ msg }) => msg === "ready")?.["nfsPort"]);
}

function aetherfs(...words: readonly string[]): Promise<{ stdout: string }> {
  return run(LAUNCHER, words, { env: environmentIn(home) });
}

it("two hubs behind one port, answer each other's handles, also when one is gone", async () => {
  const words = ["--port_shared"];
  const first = await start({ words });
  const port = nfsPortOf(first);
  const second = await start({ port: first.port, nfsPort: port, words });
  assert.equal(nfsPortOf(second), port);
  // The system deals connections out to both.
  const clients = await Promise.all(Array.from({ length: 32 }, () => NfsClient.open(port)));
  const handles = await Promise.all(clients.map((client) => client.mount("/set/latest")));
  for (const handle of handles) assert.deepEqual(handle, handles[0]);
  const [handle = Buffer.alloc(0)] = handles;
  const read = async (client: NfsClient): Promise<string> =>
    (await client.read(await client.lookup(handle, "small"), 0, 100)).bytes.toString();
  for (const client of clients) assert.equal(await read(client), "small");
  await end(first);
  const left = await Promise.allSettled(clients.map(read));
  const answered = left.filter(({ status }) => status === "fulfilled").length;
  assert.ok(answered > 0 && answered < clients.length, `${answered} connections were the second's`);
  for (let turn = 0; turn < 8; turn++) {
    const client = await NfsClient.open(port);
    assert.equal(await read(client), "small");
    client.close();
  }
  for (const client of clients) client.close();
  await end(second);
});

it("a hub that is killed while nfs-cp copies, and started anew, lets it go on to the end", async (t) => {
  const program = requirePeer(t, "nfs-cp");
  if (program === undefined) return;
  const first = await start();
  const nfsPort = nfsPortOf(first);
  const copy = join(temporary.path, "copy");
  const url = `nfs://127.0.0.1/set/latest/big.bin?nfsport=${nfsPort}&mountport=${nfsPort}`;
  for (let attempt = 1; ; attempt++) {
    assert.ok(attempt <= ATTEMPTS_MAX, "the copy was always over too soon");
    const child = spawn(program, [url, copy], { stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    while (child.exitCode === null && !(existsSync(copy) && statSync(copy).size > 0))
      await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill("SIGSTOP");
    const isWithin = child.exitCode === null && statSync(copy).size < BIG_BYTES;
    if (isWithin) {
      await end(first);
      await start({ nfsPort });
    }
    child.kill("SIGCONT");
    assert.equal(await ended, 0);
    assert.ok(readFileSync(copy).equals(big));
    if (isWithin) return;
    writeFileSync(copy, "");
  }
});

it("the secret of handles, stays where it is: in no copy, and through prune and verification", async () => {
  const hub = await start();
  const store = fileURLToPath(String(hub.log.find(({ msg }) => msg === "ready")?.["store"]));
  const kept = (await readdir(store, { recursive: true })).filter((path) =>
    path.endsWith("nfs-handles.json"),
  );
  assert.equal(kept.length, 1);
  const path = join(store, kept[0] ?? "");
  const before = readFileSync(path, "utf8");
  const mirror = join(temporary.path, "mirror");
  await aetherfs("copy", "--all", "--from", hub.host, "--to", mirror);
  const copied = await readdir(mirror, { recursive: true });
  assert.ok(
    copied.some((name) => name.includes("manifests")) && !copied.some((name) => name.includes("secret")),
  );
  for (let round = 0; round < 2; round++) await aetherfs("prune", "--grace", "0s", "--store", store);
  await aetherfs("verify", "--store", store);
  assert.equal(readFileSync(path, "utf8"), before);
  await end(hub);
});
