import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXTRA_PEERS, PEER_MISSING, peer, PEERS, requirePeer } from "./peers.ts";

const runner = new URL("../scripts/test.ts", import.meta.url);
const peers = new URL("./peers.ts", import.meta.url);

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "aetherfs-peers-"))));
afterEach(async () => rm(folder, { recursive: true, force: true }));

/** What a test was told. */
function recorder(): { reasons: string[]; skip: (reason: string) => void } {
  const reasons: string[] = [];
  return { reasons, skip: (reason) => void reasons.push(reason) };
}

/** Runs one test file under scripts/test.ts with no peer on the PATH. */
async function runTests(
  source: string,
  required: boolean,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const file = join(folder, "sample.test.ts");
  await writeFile(file, source);
  const env = {
    PATH: folder,
    HOME: folder,
    ...(required ? { AETHERFS_TEST_PEERS: "required" } : {}),
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [runner.pathname, file], { env, cwd: folder }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ exitCode, stdout, stderr });
    });
  });
}

const needsRestic = `
import { test } from "node:test";
import { requirePeer } from ${JSON.stringify(peers.href)};
test("needs restic", (t) => { if (requirePeer(t, "restic") === undefined) return; throw new Error("found"); });
test("needs nothing", () => {});
`;

describe("peer", () => {
  test("a program on the PATH is found by its absolute path", async () => {
    await writeFile(join(folder, "restic"), "#!/bin/sh\n", { mode: 0o755 });
    assert.equal(peer("restic", { PATH: `/nowhere:${folder}` }), join(folder, "restic"));
  });

  test("a file that may not be run, and a relative folder of the PATH, are not a program", async () => {
    await writeFile(join(folder, "restic"), "", { mode: 0o644 });
    assert.equal(peer("restic", { PATH: `.:${folder}` }), undefined);
  });

  test("without a PATH nothing is found", () => assert.equal(peer("restic", {}), undefined));
});

describe("requirePeer", () => {
  test("a missing peer skips the test and says which package has it", () => {
    const context = recorder();
    assert.equal(requirePeer(context, "borg", { PATH: folder }), undefined);
    assert.deepEqual(context.reasons, [`${PEER_MISSING}borg (Debian package borgbackup)`]);
  });

  test("a missing peer that is required fails the test instead", () => {
    const context = recorder();
    const environment = { PATH: folder, AETHERFS_TEST_PEERS: "required" };
    assert.throws(() => requirePeer(context, "borg", environment), /peer missing: borg/);
    assert.deepEqual(context.reasons, []);
  });

  test("a missing peer that Debian does not have skips the test, required or not, and says how to come by it", () => {
    const context = recorder();
    const environment = { PATH: folder, AETHERFS_TEST_PEERS: "required" };
    assert.equal(requirePeer(context, "minio", environment), undefined);
    assert.deepEqual(context.reasons, [`${PEER_MISSING}minio (${EXTRA_PEERS.minio})`]);
  });

  test("a present peer gives its path and skips nothing", async () => {
    await writeFile(join(folder, "borg"), "#!/bin/sh\n", { mode: 0o755 });
    const context = recorder();
    assert.equal(requirePeer(context, "borg", { PATH: folder }), join(folder, "borg"));
    assert.deepEqual(context.reasons, []);
  });
});

describe("npm test", () => {
  test("a run that misses a peer passes and says so at its end", async () => {
    const { exitCode, stdout, stderr } = await runTests(needsRestic, false);
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /tests 2\n[^]*skipped 1\n/);
    assert.ok(stdout.endsWith("Skipped:\n  1 test: peer missing: restic (Debian package restic)\n"), stdout);
  });

  test("a run that misses a required peer fails", async () => {
    const { exitCode, stdout } = await runTests(needsRestic, true);
    assert.equal(exitCode, 1);
    assert.match(stdout, /fail 1\n/);
  });

  test("a file that does not load fails the run", async () => {
    const { exitCode } = await runTests('import "./absent.ts";', false);
    assert.equal(exitCode, 1);
  });
});

test(".ci/run installs exactly the peers of the table", async () => {
  const script = await readFile(new URL("../.ci/run", import.meta.url), "utf8");
  const words = /^peers=\(([^)]*)\)$/m.exec(script)?.[1] ?? "";
  assert.deepEqual(
    Object.fromEntries(
      words
        .trim()
        .split(/\s+/)
        .map((pair) => pair.split(":") as [string, string]),
    ),
    PEERS,
  );
});
