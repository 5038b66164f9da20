/** src/gen/ is what protoc makes of proto/ now. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { requirePeer } from "./peers.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

test("src/gen, generated anew from proto, is the same", (t) => {
  if (requirePeer(t, "protoc") === undefined || requirePeer(t, "protobuf-include") === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-gen-"));
  try {
    execFileSync(process.execPath, [join(root, "scripts/generate.ts"), join(folder, "gen")]);
    const fresh = filesIn(join(folder, "gen"));
    assert.ok(fresh.size >= 7, `${fresh.size} files`);
    assert.deepEqual(filesIn(join(root, "src/gen")), fresh);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function filesIn(folder: string): Map<string, string> {
  const names = globSync("**/*.ts", { cwd: folder }).sort();
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
