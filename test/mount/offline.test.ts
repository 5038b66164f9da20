/** Mounts that ask nobody, and mounts whose hub went away: what the cache folder has is there. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { requirePeer } from "../peers.ts";
import { placeWithHub, ran, requireFuse, said, startMount } from "./mount-place.ts";

const HASHED = ["d/small", "big"];
const LIST = ["find . -mindepth 1 -printf '%P %y %s %m %T@ %i\\n' | LC_ALL=C sort"];

/** What was listed, read and hashed while the hub was there, and the place without it. */
async function readOnce(
  t: TestContext,
): Promise<{ readonly place: Parameters<typeof startMount>[1]; readonly seen: readonly string[] }> {
  const { place, hub } = await placeWithHub(t);
  const { folder, ended } = await startMount(t, place, ["set:v1"]);
  const seen = await look(folder);
  await said("umount", ["-i", folder]);
  await ended;
  hub.kill("SIGKILL");
  await hub.ended;
  return { place, seen };
}

async function look(folder: string): Promise<readonly string[]> {
  const listed = await said("sh", ["-c", ...LIST], { cwd: folder });
  return [listed, await said("sha256sum", HASHED, { cwd: folder })];
}

async function failsToRead(folder: string, file: string): Promise<void> {
  const { exit, stderr } = await ran("cat", [file], { cwd: folder });
  assert.equal(exit, 1, file);
  assert.match(stderr, /Input\/output error/);
}

test("mount --offline shows without the hub what was listed and read before, and EIO for the rest", async (t) => {
  if (!requireFuse(t)) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const { place, seen } = await readOnce(t);
  const { folder } = await startMount(t, place, ["--offline", "set:v1"]);
  assert.deepEqual(await look(folder), seen);
  await failsToRead(folder, "other");
  const script = 'import os, sys; print(os.getxattr(sys.argv[1], "user.aetherfs.version").decode(), end="")';
  const version = await said(python, ["-c", script, folder]);
  const byDigest = await startMount(t, place, ["--offline", `set@${version}`]);
  assert.deepEqual(await look(byDigest.folder), seen);
  for (const [words, code] of [
    [["--offline", "set:v2"], /STORE_UNAVAILABLE: the cache folder does not know set:v2 of /],
    [["--offline", "--cache_size", "0", "set:v1"], /ARGUMENT_INVALID/],
    [["--offline", "--follow", "set:v1"], /ARGUMENT_INVALID/],
  ] as const) {
    await assert.rejects(startMount(t, place, words), code);
  }
});

test("mount --offline shows nothing of the cache folder that is damaged", async (t) => {
  if (!requireFuse(t)) return;
  const { place, seen } = await readOnce(t);
  const damage = (under: string): void => {
    const cache = join(place.folder, ".cache/aetherfs", under);
    const files = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
    assert.ok(files.length > 0, under);
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      bytes.writeUInt8(bytes.readUInt8(bytes.byteLength - 1) ^ 1, bytes.byteLength - 1);
      writeFileSync(join(parentPath, name), bytes);
    }
  };
  damage("pieces");
  const { folder } = await startMount(t, place, ["--offline", "set:v1"]);
  assert.equal(await said("sh", ["-c", ...LIST], { cwd: folder }), seen[0]);
  for (const file of HASHED) await failsToRead(folder, file);
  damage("versions");
  await assert.rejects(startMount(t, place, ["--offline", "set:v1"]), /STORE_UNAVAILABLE/);
});

test("a mount goes on without its hub with what mounts before it read, and waits for nothing of it", async (t) => {
  if (!requireFuse(t)) return;
  const { place, hub } = await placeWithHub(t);
  const first = await startMount(t, place, ["set:v1"]);
  const seen = await look(first.folder);
  await said("umount", ["-i", first.folder]);
  const { folder } = await startMount(t, place, ["--timeout", "1h", "set:v1"]);
  hub.kill("SIGSTOP");
  assert.deepEqual(await look(folder), seen);
  hub.kill("SIGCONT");
  await said("cmp", ["other", join(place.folder, "source/other")], { cwd: folder });
});
