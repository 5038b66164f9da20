/** Mounts whose other end does not answer, and mounts of who is not root. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makePlace } from "../cli/command.ts";
import { startHubProcess } from "../hub/hub-process.ts";
import { requirePeer } from "../peers.ts";
import { LAUNCHER } from "../program.ts";
import { mountPoint, placeWithHub, ran, requireFuse, said, startMount } from "./mount-place.ts";

test("a mount whose hub is frozen or gone gives what it has read, EIO for the rest, and all when the hub is back", async (t) => {
  if (!requireFuse(t)) return;
  const { place, hub } = await placeWithHub(t);
  const { folder } = await startMount(t, place, ["--timeout", "1s", "set:v1"]);
  const small = await said("cat", ["d/small", "big"], { cwd: folder });
  hub.kill("SIGSTOP");
  assert.equal(await said("cat", ["d/small", "big"], { cwd: folder }), small);
  for (let turn = 0; turn < 3; turn++) {
    const frozen = await ran("cat", ["other"], { cwd: folder });
    assert.equal(frozen.exit, 1);
    assert.match(frozen.stderr, /Input\/output error/);
    assert.equal(await said("cat", ["d/small", "big"], { cwd: folder }), small);
  }
  hub.kill("SIGCONT");
  await readsAgain("other", folder, place.folder);
  hub.kill("SIGKILL");
  await hub.ended;
  assert.match((await ran("cat", ["third"], { cwd: folder })).stderr, /Input\/output error/);
  const home = join(place.folder, "hub");
  const words = ["--storage_file_path", join(place.folder, "store")];
  const next = await startHubProcess({ home, words, port: hub.port });
  t.after(async () => {
    next.kill("SIGKILL");
    await next.ended;
  });
  await readsAgain("third", folder, place.folder);
});

/** Tries until a file that was never read comes, as a program would that is told to try again later. */
async function readsAgain(name: string, folder: string, place: string): Promise<void> {
  const words = [name, join(place, "source", name)];
  while ((await ran("cmp", words, { cwd: folder })).exit !== 0)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

test("a program that waits for a hub that does not answer is interrupted at once", async (t) => {
  if (!requireFuse(t)) return;
  const { place, hub } = await placeWithHub(t);
  const { folder } = await startMount(t, place, ["--timeout", "1h", "set:v1"]);
  const file = join(folder, "big");
  await said("stat", [file]);
  hub.kill("SIGSTOP");
  const reader = spawn("cat", [file], { stdio: "ignore" });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    reader.on("exit", (_, signal) => {
      resolve(signal);
    });
  });
  t.after(() => reader.kill("SIGKILL"));
  while (!hasOpen(reader.pid ?? 0, file)) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, 300));
  reader.kill("SIGINT");
  assert.equal(await ended, "SIGINT");
  hub.kill("SIGCONT");
  await said("cmp", ["big", join(place.folder, "source/big")], { cwd: folder });
});

function hasOpen(pid: number, file: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => readlinkSync(join(folder, fd)) === file);
  } catch {
    return false;
  }
}

/** With a device that everybody may open, as Debian has it, in a list of mounts of its own; then as somebody who may do nothing. */
const AS_NOBODY = `
set -eu
mknod "$1/fuse" c 10 229
chmod 666 "$1/fuse"
mount --bind "$1/fuse" /dev/fuse
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$2"
`;

test("a mount of somebody who is not root is made, read and ended through fusermount3", async (t) => {
  if (!requireFuse(t) || requirePeer(t, "fusermount3") === undefined) return;
  const place = await makePlace(t);
  await place.write({ "source/a": "one", "home/nothing": "" });
  await place.json("push", "-t", "set:v1", "source");
  const point = mountPoint(t);
  const ofRoot = await startMount(t, place, ["set:v1"]);
  await said("chown", ["-R", "65534", join(place.folder, "home"), point]);
  await said("chmod", ["-R", "a+rX", place.folder]);
  const aetherfs = `STORE=file://${place.store} HOME=${place.folder}/home NODE_DISABLE_COMPILE_CACHE=1 ${LAUNCHER}`;
  const script = [
    `! ${aetherfs} mount set:v1 ${place.folder}/home/nothing`,
    `! ${aetherfs} umount ${ofRoot.folder}`,
    `${aetherfs} mount set:v1 ${point}`,
    `cat ${point}/a`,
    `stat -c %u ${point}/a`,
    `${aetherfs} umount ${point}`,
    `ls -A ${point}`,
  ].join(" && ");
  const words = ["--mount", "sh", "-c", AS_NOBODY, "sh", place.folder, script];
  const { exit, stdout, stderr } = await ran("unshare", words);
  const log = join(place.folder, "home/.cache/aetherfs/mount.log");
  assert.equal(exit, 0, `${stderr}${existsSync(log) ? readFileSync(log, "utf8") : "no mount.log"}`);
  assert.match(stderr, /MOUNT_FAILED: .*nothing is no folder\n/);
  assert.match(stderr, /MOUNT_FAILED: .* was mounted by root, who alone may unmount it\n/);
  assert.match(
    stdout,
    /^mounted {2}set:v1 at .*\nversion {2}sha256:[0-9a-f]{64}\none65534\nunmounted {2}.*\n$/,
  );
});
