/** NFS of a hub, met by libnfs's programs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { NfsClient } from "../../src/serve/nfs/testing/nfs-client.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";
import { requirePeer } from "../peers.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;
const SECRET = "a-secret.of_16-and-more";

const temporary = temporaryFolder();
const home = join(temporary.path, "home");
const source = join(temporary.path, "source");
const big = noise(5, 20 * MiB + 77);
let hub: HubProcess;

before(async () => {
  mkdirSync(join(source, "folder"), { recursive: true });
  writeFileSync(join(source, "big.bin"), big);
  writeFileSync(join(source, "folder/small"), "small");
  writeFileSync(join(source, "which"), "first");
  hub = await startHub();
  await push("set:latest");
});
after(async () => {
  hub.kill("SIGKILL");
  await hub.ended;
  temporary.remove();
});

function startHub(...words: readonly string[]): Promise<HubProcess> {
  return startHubProcess({ home, words: ["--nfs_enable", "--nfs_port", "0", ...words] });
}

async function push(tag: string): Promise<void> {
  await run(LAUNCHER, ["push", "-t", tag, source], {
    env: { ...environmentIn(home), HUB: hub.host },
  });
}

function portOf({ log }: HubProcess): number {
  return Number(log.find(({ msg }) => msg === "ready")?.["nfsPort"]);
}

function urlOf(path: string, at = hub): string {
  return `nfs://127.0.0.1${path}?nfsport=${portOf(at)}&mountport=${portOf(at)}`;
}

async function read(t: TestContext, path: string, at = hub): Promise<Buffer | undefined> {
  const program = requirePeer(t, "nfs-cat");
  if (program === undefined) return undefined;
  const options = { encoding: "buffer", maxBuffer: 64 * MiB, timeout: TIMEOUT_MS } as const;
  return (await run(program, [urlOf(path, at)], options)).stdout;
}

describe("libnfs", () => {
  it("nfs-ls, shows datasets, tags and files", async (t) => {
    const program = requirePeer(t, "nfs-ls");
    if (program === undefined) return;
    const { stdout } = await run(program, ["-R", urlOf("/mount")], { timeout: TIMEOUT_MS });
    const shown = stdout.split("\n").map((line) => line.split(/\s+/));
    const sizes = new Map(shown.map((words) => [words.at(-1) ?? "", words.at(-2)]));
    assert.equal(sizes.get("set/latest/big.bin"), String(big.byteLength));
    assert.ok(sizes.has("set/latest/folder/small"));
    for (const [mode = "", , user] of shown.slice(0, -1)) {
      assert.match(mode, /^[dl-]r.-r.-r.-|^dr-xr-xr-x/);
      assert.equal(mode.includes("w"), false);
      assert.notEqual(user, undefined);
    }
  });

  it("nfs-cat and nfs-cp, bring what was pushed", async (t) => {
    const bytes = await read(t, "/set/latest/big.bin");
    const program = requirePeer(t, "nfs-cp");
    if (bytes === undefined || program === undefined) return;
    assert.equal(
      createHash("sha256").update(bytes).digest("hex"),
      createHash("sha256").update(big).digest("hex"),
    );
    const copy = join(temporary.path, "copy");
    await run(program, [urlOf("/set/latest/big.bin"), copy], { timeout: TIMEOUT_MS });
    assert.ok(readFileSync(copy).equals(big));
    // The file system is read-only: a copy into it fails, and changes nothing.
    await assert.rejects(run(program, [copy, urlOf("/set/latest/new")], { timeout: TIMEOUT_MS }));
    assert.equal((await read(t, "/set/latest/folder/small"))?.toString(), "small");
  });

  it("a tag that moved, is seen by who opens anew", async (t) => {
    const before = await read(t, "/set/latest/which");
    if (before === undefined) return;
    assert.equal(before.toString(), "first");
    writeFileSync(join(source, "which"), "second");
    await push("set:latest");
    // What was looked up is remembered for a moment.
    while ((await read(t, "/set/latest/which"))?.toString() !== "second");
    writeFileSync(join(source, "which"), "first");
  });

  it("a token that must begin the path, lets in who has it", async (t) => {
    const tokens = join(temporary.path, "tokens.json");
    writeFileSync(tokens, JSON.stringify({ tester: { secret: SECRET } }), { mode: 0o600 });
    const guarded = await startHub("--nfs_tokens_file", tokens);
    try {
      const bytes = await read(t, `/~${SECRET}/set/latest/folder/small`, guarded);
      if (bytes === undefined) return;
      assert.equal(bytes.toString(), "small");
      await assert.rejects(read(t, "/set/latest/folder/small", guarded));
      assert.equal(JSON.stringify(guarded.log).includes(SECRET), false, "the log has no secret");
    } finally {
      guarded.kill("SIGKILL");
      await guarded.ended;
    }
  });
});

describe("a hub that is killed", () => {
  it("and started again, or another one on its store, knows the handles that it gave", async () => {
    const first = await startHub();
    const client = await NfsClient.open(portOf(first));
    const top = await client.mount("/set/latest");
    const handle = await client.lookup(top, "folder", "small");
    const other = await NfsClient.open(portOf(hub));
    assert.equal((await other.read(handle, 0, 10)).bytes.toString(), "small");
    first.kill("SIGKILL");
    await first.ended;
    const again = await startHub();
    try {
      const anew = await NfsClient.open(portOf(again));
      assert.equal((await anew.read(handle, 0, 10)).bytes.toString(), "small");
      assert.ok((await anew.list(top)).some(({ name }) => name === "big.bin"));
      anew.close();
    } finally {
      again.kill("SIGKILL");
      await again.ended;
      other.close();
      client.close();
    }
  });
});
