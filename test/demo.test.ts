import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const demo = fileURLToPath(new URL("../scripts/demo.ts", import.meta.url));
const readme = new URL("../README.md", import.meta.url);

test("the demo, run to its end, holds every step, leaves nothing, and is what the README shows", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-demo-test-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const env = { ...process.env, TMPDIR: folder, NO_COLOR: "1" };
  const { stdout } = await promisify(execFile)(process.execPath, [demo, "--exit"], { env });
  assert.ok(stdout.endsWith("\nEvery step held.\n"), stdout);
  assert.deepEqual(await readdir(folder), []);
  const shown = [...(await readFile(readme, "utf8")).matchAll(/^\$ aetherfs .+$/gm)].map(([line]) => line);
  assert.ok(shown.length > 3);
  for (const command of shown) assert.ok(stdout.includes(`\n${command}\n`), `the demo has no "${command}"`);
});
