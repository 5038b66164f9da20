/**
 * `node nfs-child.ts aetherfs|ganesha FOLDER`: starts the server in this network namespace, whose loopback is down, measures it by nfs-cat and by a client
 * of ours, and prints the figures as JSON.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { NfsClient } from "../src/serve/nfs/testing/nfs-client.ts";
import { runProgram } from "./measure.ts";
import { BIG_BYTES, SMALL_FILES, type NfsFolder } from "./nfs.bench.ts";
import { roundTo3 } from "./result.ts";
import { freePort, usageOf, type Usage } from "./servers.ts";
import { startHub } from "./web-servers.ts";

/** A server under way. */
interface NfsServer {
  readonly nfsPort: number;
  readonly mountPort: number;
  /** The path that has the files. */
  readonly path: string;
  readonly usage: () => Usage;
  readonly stop: () => Promise<void>;
}

const CLIENTS = [1, 4, 16];
const GB = 1e9;
const ATTEMPTS_MAX = 100;

const [which = "", folder = ""] = process.argv.slice(2);
await runProgram({ argv: ["ip", "link", "set", "lo", "up"] });
const server = which === "ganesha" ? await startGanesha(folder) : await startOwn(folder);
try {
  console.log(JSON.stringify(await measureServer(server)));
} finally {
  await server.stop();
}

async function measureServer(nfs: NfsServer): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  // What is read again is at hand in both.
  for (let warm = 0; warm < 3; warm++) await catBig(nfs, 1);
  for (const clients of CLIENTS) {
    const before = nfs.usage().cpuSeconds;
    const seconds = await catBig(nfs, clients);
    const gigabytes = (clients * BIG_BYTES) / GB;
    figures[`read${clients}MBs`] = roundTo3((gigabytes * 1000) / seconds);
    figures[`read${clients}CpuPerGB`] = roundTo3((nfs.usage().cpuSeconds - before) / gigabytes);
  }
  const client = await NfsClient.open(nfs.nfsPort);
  const mounting = await NfsClient.open(nfs.mountPort);
  const small = await client.lookup(await mounting.mount(nfs.path), "small");
  const names = Array.from({ length: SMALL_FILES }, (_, index) => `file-${index}`);
  const lookUp = async (name: string): Promise<unknown> => client.getattr(await client.lookup(small, name));
  const read = async (name: string): Promise<unknown> =>
    client.read(await client.lookup(small, name), 0, 65_536);
  for (const [kind, ask] of [
    ["lookups", lookUp],
    ["files", read],
  ] as const) {
    for (const atOnce of [1, 16]) {
      await askAll(names, ask, atOnce);
      figures[`${kind}${atOnce}PerSecond`] = Math.round(SMALL_FILES / (await askAll(names, ask, atOnce)));
    }
  }
  const begunMs = performance.now();
  for (let turn = 0; turn < 5; turn++) await client.list(small, 65_536);
  figures["listMs"] = roundTo3((performance.now() - begunMs) / 5);
  client.close();
  mounting.close();
  figures["peakMiB"] = nfs.usage().peakMiB;
  return figures;
}

/** Seconds that so many clients take at once. */
async function catBig({ nfsPort, mountPort, path }: NfsServer, clients: number): Promise<number> {
  const url = `nfs://127.0.0.1${path}/big.bin?nfsport=${nfsPort}&mountport=${mountPort}`;
  const begunMs = performance.now();
  const cat = (): Promise<string> => runProgram({ argv: ["sh", "-c", `exec nfs-cat '${url}' > /dev/null`] });
  await Promise.all(Array.from({ length: clients }, cat));
  return (performance.now() - begunMs) / 1000;
}

/** Seconds. */
async function askAll(
  names: readonly string[],
  ask: (name: string) => Promise<unknown>,
  atOnce: number,
): Promise<number> {
  const begunMs = performance.now();
  const left = names.values();
  const askSome = async (): Promise<void> => {
    for (const name of left) await ask(name);
  };
  await Promise.all(Array.from({ length: atOnce }, askSome));
  return (performance.now() - begunMs) / 1000;
}

async function startOwn(top: string): Promise<NfsServer> {
  const port = await freePort();
  const words = ["--nfs_enable", "--nfs_port", String(port), "--memory_limit", "2GiB"];
  const hub = await startHub(top, words);
  return { nfsPort: port, mountPort: port, path: "/files/one", usage: hub.usage, stop: hub.stop };
}

async function startGanesha(top: string): Promise<NfsServer> {
  const files: NfsFolder = join(top, "files");
  const [nfsPort, mountPort] = [await freePort(), await freePort()];
  const own = join(top, "ganesha");
  await mkdir(own, { recursive: true });
  await mkdir("/run/rpcbind", { recursive: true });
  await writeFile(
    join(own, "conf"),
    `NFS_CORE_PARAM { NFS_Port = ${nfsPort}; MNT_Port = ${mountPort}; NFS_Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = false; }
EXPORT { Export_Id = 1; Path = "${files}"; Pseudo = "/files"; Access_Type = RO; Squash = No_Root_Squash; SecType = none, sys; Protocols = 3; Transports = TCP; FSAL { Name = VFS; } }
LOG { Default_Log_Level = WARN; }
`,
  );
  const rpcbind = start("rpcbind", "-f", "-w");
  const words = ["-F", "-f", join(own, "conf"), "-L", join(own, "log"), "-p", join(own, "pid")];
  await new Promise((resolve) => setTimeout(resolve, 500));
  const ganesha = start("ganesha.nfsd", ...words);
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await NfsClient.open(mountPort);
      await client.mount(files);
      client.close();
      break;
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || ganesha.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  const stop = async (): Promise<void> => {
    await Promise.all([end(ganesha), end(rpcbind)]);
  };
  return { nfsPort, mountPort, path: files, usage: () => usageOf(must(ganesha.pid, "it runs")), stop };
}

function start(program: string, ...words: readonly string[]): ChildProcess {
  return spawn(program, words, { stdio: "ignore" });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}
