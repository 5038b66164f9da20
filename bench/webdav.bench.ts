/** WebDAV of a hub beside apache2's mod_dav and `rclone serve webdav` on the same files: lists of 1,000, and files large and small. */
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { must } from "../src/base/assert.ts";
import { peer } from "../test/peers.ts";
import { withFolder } from "./folders.ts";
import { FILE_BYTES, writeNoise } from "./fs.bench.ts";
import { runProgram } from "./measure.ts";
import { inRounds, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { freePort, startServer, type Server } from "./servers.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";
import { startHub, type WebServer } from "./web-servers.ts";

const FILES = 1000;
const SMALL_BYTES = 1024;
const CLIENTS = [1, 4, 16] as const;
/** What some clients read together of the large file. */
const READ_BYTES = 2 * FILE_BYTES;
const WRK_SECONDS = 3;
const GB = 1e9;
/** Debian 12's is old: AETHERFS_BENCH_RCLONE names another. */
const RCLONE = process.env["AETHERFS_BENCH_RCLONE"] ?? "rclone";
const LIST = { method: "PROPFIND", headers: { depth: "1" } } as const;

const run = promisify(execFile);

/** One server, and where it has the files. */
interface Candidate extends WebServer {
  readonly base: string;
}

/** Measures each server with wrk and curl; servers of one round follow one another. */
export async function benchWebdav(rounds: number): Promise<BenchResult> {
  let versions = "";
  const medians = await withFolder(async (folder) => {
    const candidates = await candidatesIn(folder);
    versions = await versionsOf(candidates);
    const measure = (candidate: Candidate): Promise<Figures> => measureServer(candidate, folder);
    return inRounds(rounds, candidates, measure);
  });
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const row of Object.keys(medians).filter((each) => each !== "aetherfs")) {
    for (const column of CLIENTS.flatMap((count) => [`lists${count}`, `small${count}`, `large${count}MBs`])) {
      ratios[`${column}: aetherfs / ${row}`] = roundTo3(value("aetherfs", column) / value(row, column));
    }
  }
  const compared = `over loopback by 1, 4 and 16 clients: PROPFIND of depth 1 of ${FILES} files, and these files of ${SMALL_BYTES} bytes, a second (wrk, each asked for three seconds before), with the server's processor time each at 4 clients; a file of 1 GiB of noise (curl), with processor time per GB at 4 clients; ${versions}`;
  return { name: "webdav", rounds, compared, medians, ratios };
}

async function candidatesIn(folder: string): Promise<Candidate[]> {
  const files = join(folder, "files");
  await mkdir(join(files, "many"), { recursive: true });
  await mkdir(join(folder, "home"));
  // apache2 does not serve as root.
  await chmod(folder, 0o755);
  for (let index = 0; index < FILES; index++) {
    await writeFile(join(files, "many", `file-${index}.txt`), String(index).padEnd(SMALL_BYTES));
  }
  await writeNoise(join(files, "raw.bin"));
  await runProgram(aetherfsCommand(folder, "push", "-t", "set:one", files));
  const hub = { name: "aetherfs", base: "/webdav/set/one", start: () => startHub(folder) };
  return [hub, ...(peer("apache2") === undefined ? [] : [apache(folder, files)]), rclone(folder, files)];
}

function rclone(folder: string, files: string): Candidate {
  const start = async (): Promise<Server> => {
    const port = await freePort();
    const argv = [RCLONE, "serve", "webdav", "--addr", `127.0.0.1:${port}`, files];
    return startServer({ argv, env: { HOME: join(folder, "home") } }, port, "/");
  };
  return { name: "rclone", base: "", start };
}

function apache(folder: string, files: string): Candidate {
  const start = async (): Promise<Server> => {
    const port = await freePort();
    const argv = [must(peer("apache2"), "it is there"), "-D", "FOREGROUND", "-f"];
    argv.push(await apacheConfig(folder, files, port));
    return startServer({ argv }, port, "/");
  };
  return { name: "apache2", base: "", start };
}

async function apacheConfig(folder: string, files: string, port: number): Promise<string> {
  const file = join(folder, `apache-${port}.conf`);
  const locks = join(folder, "locks");
  await mkdir(locks, { recursive: true });
  await chmod(locks, 0o777);
  const modules = ["mpm_event", "authz_core", "mime", "dav", "dav_fs"];
  const types = existsSync("/etc/mime.types") ? "/etc/mime.types" : "/dev/null";
  const text = `ServerName localhost
ServerRoot ${folder}
Listen 127.0.0.1:${port}
User www-data
Group www-data
PidFile ${folder}/apache-${port}.pid
ErrorLog ${folder}/apache.log
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join("\n")}
TypesConfig ${types}
DocumentRoot ${files}
DavLockDB ${locks}/db
MaxKeepAliveRequests 0
EnableSendfile On
<Directory ${files}>
  Dav On
  Require all granted
</Directory>
`;
  await writeFile(file, text);
  return file;
}

async function versionsOf(candidates: readonly Candidate[]): Promise<string> {
  const texts = [(await run(RCLONE, ["version"])).stdout.split("\n", 1).join("")];
  const program = peer("apache2");
  if (candidates.some(({ name }) => name === "apache2") && program !== undefined) {
    texts.push(/Apache\/[\d.]+/.exec((await run(program, ["-v"])).stdout)?.[0] ?? "");
  } else texts.push("no apache2 was at hand");
  return texts.join(", ");
}

async function measureServer({ base, start }: Candidate, folder: string): Promise<Figures> {
  const server = await start();
  try {
    const url = `${server.url}${base}`;
    const listed = (await (await fetch(`${url}/many/`, LIST)).text()).match(
      /<(?:\w+:)?response[\s>]/g,
    )?.length;
    if (listed !== FILES + 1) throw new Error(`${listed ?? 0} resources were listed`);
    await readLarge(url, 1);
    const [list, read] = [await listScript(folder), await readScript(folder, base)];
    // A server that has served for a while: the first seconds of a new one go to compiling.
    for (const script of [list, read]) await askMany(server, `${url}/many/`, { clients: 4, script });
    const figures: Record<string, number> = {};
    for (const clients of CLIENTS) {
      const lists = await askMany(server, `${url}/many/`, { clients, script: list });
      const small = await askMany(server, `${url}/many/`, { clients, script: read });
      const before = server.usage().cpuSeconds;
      const seconds = await readLarge(url, clients);
      const cpuSeconds = server.usage().cpuSeconds - before;
      figures[`lists${clients}`] = lists.perSecond;
      figures[`small${clients}`] = small.perSecond;
      figures[`large${clients}MBs`] = roundTo3(READ_BYTES / 1e6 / seconds);
      if (clients !== 4) continue;
      figures["listCpuMs"] = lists.cpuMs;
      figures["smallCpuMs"] = small.cpuMs;
      figures["largeCpuPerGB"] = roundTo3(cpuSeconds / (READ_BYTES / GB));
    }
    return { ...figures, peakMiB: server.usage().peakMiB };
  } finally {
    await server.stop();
  }
}

async function listScript(folder: string): Promise<string> {
  const file = join(folder, "list.lua");
  await writeFile(file, `wrk.method = "PROPFIND"\nwrk.headers["Depth"] = "1"\n`);
  return file;
}

/** One file after another. */
async function readScript(folder: string, base: string): Promise<string> {
  const file = join(folder, "read.lua");
  const text = `local at = 0
request = function()
  at = (at + 389) % ${FILES}
  return wrk.format("GET", "${base}/many/file-" .. at .. ".txt")
end
`;
  await writeFile(file, text);
  return file;
}

/** Asks again and again, and counts what was answered, with the server's processor time for each. */
async function askMany(
  server: Server,
  url: string,
  { clients, script }: { readonly clients: number; readonly script: string },
): Promise<{ readonly perSecond: number; readonly cpuMs: number }> {
  const before = server.usage().cpuSeconds;
  const argv = ["wrk", "-t", "1", "-c", String(clients), "-d", `${WRK_SECONDS}s`, "-s", script, url];
  const said = await runProgram({ argv });
  const requests = Number(/(\d+) requests in /.exec(said)?.[1] ?? 0);
  if (requests === 0 || /Non-2xx|Socket errors/.test(said)) throw new Error(said);
  const perSecond = Number(/Requests\/sec: +([\d.]+)/.exec(said)?.[1] ?? NaN);
  return {
    perSecond: roundTo3(perSecond),
    cpuMs: roundTo3(((server.usage().cpuSeconds - before) * 1000) / requests),
  };
}

/** Seconds in which some clients read READ_BYTES together: each its part of the file, as often as it takes. */
async function readLarge(url: string, clients: number): Promise<number> {
  const begunMs = performance.now();
  const [times, parts] = [READ_BYTES / FILE_BYTES, FILE_BYTES / clients];
  const reads = Array.from({ length: clients }, (_, index) => {
    const range = `${index * parts}-${(index + 1) * parts - 1}`;
    const one = ["-sS", "-f", "-r", range, "-o", "/dev/null", `${url}/raw.bin`];
    return runProgram({
      argv: [
        "curl",
        ...Array.from({ length: times }, () => one).flatMap((each, at) =>
          at === 0 ? each : ["--next", ...each],
        ),
      ],
    });
  });
  await Promise.all(reads);
  return (performance.now() - begunMs) / 1000;
}
