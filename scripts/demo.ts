/**
 * `npm run demo`: a tour of AetherFS on real data, through the command line as a user types it, in a temporary folder that is
 * removed afterwards. Exit code 0 only when every step held. `-- --exit` ends it after the tour, as it does by itself.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, styleText } from "node:util";
import { must } from "../src/base/assert.ts";
import { humanBytes } from "../src/cli/human.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));

/** A dataset of the tour, and the packages that bring two of its releases. */
interface Series {
  readonly name: string;
  readonly old: Release;
  readonly new: Release;
}

interface Release {
  readonly version: string;
  /** The release's folder inside the demo's. */
  readonly folder: string;
}

/** What a pull says with --output json. */
interface Pulled {
  readonly bytes: number;
  readonly fetchedBytes: number;
}

parseArgs({ options: { exit: { type: "boolean" } } });
const home = await mkdtemp(join(tmpdir(), "aetherfs-demo-"));
/** Settings of whoever runs this say nothing here. */
const SETTINGS = /^(STORE|HUB|PORT|BIND|CONFIG_FILE|XDG_.*|STORAGE_.*|TLS_.*)$/;
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !SETTINGS.test(name))),
  PATH: `${join(CHECKOUT, "bin")}${delimiter}${process.env["PATH"] ?? ""}`,
  HOME: home,
};

// The command that runs is interrupted too, and ends; then this ends, and cleans up.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
try {
  const atlas = await prepare("world-atlas", "world-atlas-old", "world-atlas-new");
  const cities = await prepare("cities", "cities-json-old", "cities-json-new");
  await tour([atlas, cities]);
  console.log(styleText("bold", "\nEvery step held."));
} catch (error) {
  console.error(
    styleText("red", `\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`),
  );
  process.exitCode = 1;
} finally {
  await rm(home, { recursive: true, force: true });
}

async function tour(series: readonly Series[]): Promise<void> {
  say("Two datasets, as npm packages ship them: Natural Earth's maps, and the cities of the world.");
  say("A hub keeps them. It needs no set-up: data lies in a folder, and everything is on one port.");
  await aetherfs("version");
  const hub = await startHub();
  try {
    environment["HUB"] = hub.host;
    console.log(styleText("cyan", `\n$ export HUB=${hub.host}`));
    await tourOf(series, hub);
  } finally {
    await hub.stop();
  }
  check(hub.exitCode() === 0, "the hub finished what was under way and ended well");
  delete environment["HUB"];
  say("8. What the hub kept is an ordinary store: every command works on it without a hub, too.");
  await aetherfs("ls", "--store", ".local/share/aetherfs");
}

async function tourOf(series: readonly Series[], hub: Hub): Promise<void> {
  const latest = series.map(({ name }) => `${name}:latest`);

  say("1. Publish a release of each. A version is named by what it holds; a tag points at it.");
  for (const { name, old } of series) await publish(name, old);
  await aetherfs("ls");

  say("2. Pull them into a folder. Every chunk is verified; a file appears when it is whole.");
  await aetherfs("pull", "data", ...latest);
  for (const { name, old } of series) await checkSame(old.folder, `data/${name}/latest`);

  say("3. The next releases come out. What the hub has is not sent again; what changed is sent as a change.");
  for (const { name, new: release } of series) await publish(name, release);
  for (const { name, old } of series) await aetherfs("diff", `${name}:${old.version}`, `${name}:latest`);

  say("4. Update the folder: only what changed is fetched.");
  for (const { name, new: release } of series) {
    const folder = `data/${name}/latest`;
    const output = await aetherfs("pull", "--into", folder, "--delete", "--output", "json", `${name}:latest`);
    const { bytes, fetchedBytes } = JSON.parse(output) as Pulled;
    await checkSame(release.folder, folder);
    const share = Math.round(bytes / fetchedBytes).toLocaleString("en");
    check(
      fetchedBytes < bytes / 10,
      `fetched ${humanBytes(fetchedBytes)} of ${humanBytes(bytes)}: 1/${share}`,
    );
  }

  say("5. Believe nothing: read every byte of the hub's, and in the folder.");
  for (const reference of latest) await aetherfs("verify", reference);
  await aetherfs("pull", "data", "--verify", ...latest);

  say("6. Look inside without pulling: a file, or a part of one, of any version.");
  await readOneFile(must(series[1], "there are two series"));
  for (const reference of latest) await aetherfs("history", reference);

  say(
    "7. Files are on the web as well: with ranges, ETags and listings. So is every call, as JSON and by gRPC.",
  );
  await readByHttp(hub, must(series[1], "there are two series"));
}

/** A hub under way. */
interface Hub {
  /** What stands before the slash of a reference. */
  readonly host: string;
  readonly stop: () => Promise<void>;
  /** Once it has ended; null when a signal ended it. */
  readonly exitCode: () => number | null;
}

/** Starts a hub on a port that is free, and waits until it is ready. */
async function startHub(): Promise<Hub> {
  console.log(styleText("cyan", "\n$ aetherfs run --log_format text &"));
  const words = ["run", "--log_format", "text", "--bind", "127.0.0.1", "--port", "0"];
  const child = spawn("aetherfs", words, {
    cwd: home,
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let log = "";
  const host = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => {
      reject(new Error(`the hub ended: ${log}`));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      const found = / ready .*url=http:\/\/(\S+)/.exec(log)?.[1];
      if (found === undefined) return;
      process.stdout.write(log);
      log = "";
      resolve(found);
    });
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  return { host, stop, exitCode: () => child.exitCode };
}

async function readByHttp({ host }: Hub, { name, new: release }: Series): Promise<void> {
  const url = `http://${host}/fs/${name}/latest/cities.json`;
  console.log(styleText("cyan", `\n$ curl --range 0-99 ${url}`));
  const response = await fetch(url, { headers: { range: "bytes=0-99" } });
  const text = await response.text();
  console.log(text);
  const file = await readFile(join(home, release.folder, "cities.json"));
  const digest = createHash("sha256").update(file).digest("hex");
  check(response.status === 206 && file.toString("utf8", 0, 100) === text, "the file's first 100 bytes");
  check(response.headers.get("etag")?.includes(digest) === true, "its ETag is the file's SHA-256");
}

async function publish(name: string, { version, folder }: Release): Promise<void> {
  await aetherfs(
    "push",
    "-t",
    `${name}:latest`,
    "-t",
    `${name}:${version}`,
    "-m",
    `release ${version}`,
    folder,
  );
}

async function readOneFile({ name, old }: Series): Promise<void> {
  const bytes = 300;
  const text = await aetherfs("cat", `${name}:${old.version}`, "cities.json", "--range", `0-${bytes}`);
  console.log();
  const file = await readFile(join(home, old.folder, "cities.json"), "utf8");
  check(
    text !== "" && file.startsWith(text),
    `the first ${Buffer.byteLength(text)} bytes of last release's cities.json`,
  );
}

/** Shows a command and what it prints; its stdout. Throws when it fails. */
async function aetherfs(...words: string[]): Promise<string> {
  const quoted = words.map((word) => (/^[\w@.:/=-]+$/.test(word) ? word : `"${word}"`));
  console.log(styleText("cyan", `\n$ aetherfs ${quoted.join(" ")}`));
  const child = spawn("aetherfs", words, {
    cwd: home,
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    process.stdout.write(text);
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (exitCode !== 0) throw new Error(`aetherfs ${words[0] ?? ""} ended with ${exitCode ?? "a signal"}`);
  return stdout;
}

/** Brings the releases into the demo's folder, under the names that a user would give them. */
async function prepare(name: string, oldPackage: string, newPackage: string): Promise<Series> {
  const [old, fresh] = await Promise.all(
    [oldPackage, newPackage].map(async (packageName) => {
      const source = join(CHECKOUT, "node_modules", packageName);
      const manifest = await readFile(join(source, "package.json"), "utf8");
      const { version } = JSON.parse(manifest) as { readonly version: string };
      const folder = `${name}-${version}`;
      await cp(source, join(home, folder), { recursive: true, preserveTimestamps: true });
      return { version, folder };
    }),
  );
  return { name, old: must(old, "two releases"), new: must(fresh, "two releases") };
}

/** Checks that two folders hold the same files, by digests of our own making. */
async function checkSame(source: string, target: string): Promise<void> {
  const [expected, found] = await Promise.all([digests(source), digests(target)]);
  const same = expected.size > 0 && [...expected].every(([name, digest]) => found.get(name) === digest);
  check(same && found.size === expected.size, `${target} is ${source}, file by file (SHA-256)`);
}

async function digests(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const item of await readdir(join(home, folder), { withFileTypes: true, recursive: true })) {
    if (!item.isFile()) continue;
    const file = join(item.parentPath, item.name);
    const digest = createHash("sha256").update(await readFile(file));
    found.set(file.slice(join(home, folder).length), digest.digest("hex"));
  }
  return found;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`this does not hold: ${what}`);
  console.log(styleText("green", `✓ ${what}`));
}

function say(text: string): void {
  console.log(styleText("bold", `\n${text}`));
}
