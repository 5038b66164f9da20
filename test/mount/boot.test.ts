/** Mounts as mount(8), /etc/fstab and systemd make and end them: deploy/. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { environmentOf, makePlace } from "../cli/command.ts";
import { requirePeer } from "../peers.ts";
import { isMounted, mountPoint, processesOf, ran, requireFuse, said, startMount } from "./mount-place.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("mount.aetherfs takes fstab's options, says which it does not know, and ends with mount(8)'s codes", async (t) => {
  if (!requireFuse(t)) return;
  const place = await makePlace(t);
  await place.write({ "source/a": "one", "source/run": "#!/bin/sh\n" });
  await said("chmod", ["0755", join(place.folder, "source/run")]);
  await place.json("push", "-t", "set:v1", "source");
  const helper = join(place.folder, "mount.aetherfs");
  // Named in full, as it says: a test installs nothing.
  const text = readFileSync(join(root, "deploy/mount.aetherfs"), "utf8");
  writeFileSync(helper, text.replace(/^aetherfs mount /m, `${root}/bin/aetherfs mount `), { mode: 0o755 });
  const point = mountPoint(t);
  const mount = (options: string): ReturnType<typeof ran> =>
    ran("env", [`HOME=${place.folder}`, helper, "set:v1", point, "-o", options]);
  const own = `store=file://${place.store},uid=1234,gid=4321`;
  const unknown = await mount(`rw,${own},bogus=1`);
  assert.equal(unknown.exit, 32);
  assert.match(unknown.stderr, /ARGUMENT_INVALID: there is no mount option bogus/);
  const made = await mount(`rw,noexec,nosuid,nodev,user,_netdev,nofail,x-systemd.automount,${own}`);
  assert.equal(made.exit, 0, made.stderr);
  assert.equal(await said("stat", ["-c", "%u %g", point, join(point, "a")]), "1234 4321\n1234 4321\n");
  const { exit, stderr } = await ran("sh", ["-c", `${point}/run`]);
  assert.equal(exit, 126);
  assert.match(stderr, /Permission denied/);
  assert.equal((await mount(own)).exit, 32);
  await said("umount", [point]);
});

test("a mount that was unmounted while in use, and then told to end, serves who uses it to the end, and ends well", async (t) => {
  if (!requireFuse(t)) return;
  const place = await makePlace(t);
  await place.write({ "source/a": "one" });
  await place.json("push", "-t", "set:v1", "source");
  const { folder, child, ended } = await startMount(t, place, ["set:v1"]);
  const reader = spawn("sh", ["-c", "exec 3<a; echo open; read go; cat <&3"], {
    ...{ cwd: folder, stdio: ["pipe", "pipe", "inherit"] },
  });
  t.after(() => reader.kill("SIGKILL"));
  const closed = once(reader, "close");
  await once(reader.stdout, "data");
  let heard = "";
  reader.stdout.setEncoding("utf8").on("data", (more: string) => (heard += more));
  await place.json("umount", "--lazy", folder);
  // What comes in its place is not its own.
  const next = await startMount(t, place, ["set:v1"], folder);
  child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 500));
  reader.stdin.end("go\n");
  await closed;
  assert.equal(heard, "one");
  assert.equal(await ended, 0);
  assert.ok(isMounted(folder));
  assert.equal(await said("cat", [join(folder, "a")]), "one");
  next.child.kill("SIGTERM");
  assert.equal(await next.ended, 0);
});

test("a mount that is told to end while somebody stays in it ends well all the same, and leaves nothing mounted", async (t) => {
  if (!requireFuse(t)) return;
  const place = await makePlace(t);
  await place.write({ "source/a": "one" });
  await place.json("push", "-t", "set:v1", "source");
  const { folder, child, ended } = await startMount(t, place, ["set:v1"]);
  const holder = spawn("sh", ["-c", "echo in; read go"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
  assert.ok(!isMounted(folder));
});

const PYTHON_WAITS = `
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print("listening", flush=True)
while True:
    said = manager.recv(4096).decode()
    if "READY=1" in said: break
print("ready")
`;

test("a mount in the foreground of a systemd service tells that it is ready, and one in its background does not", async (t) => {
  if (!requireFuse(t) || requirePeer(t, "systemd-notify") === undefined) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const place = await makePlace(t);
  await place.write({ "source/a": "one" });
  await place.json("push", "-t", "set:v1", "source");
  const socket = join(place.folder, "notify");
  const manager = spawn(python, ["-I", "-c", PYTHON_WAITS, socket], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => manager.kill("SIGKILL"));
  let heard = "";
  const closed = once(manager, "close");
  await once(manager.stdout.setEncoding("utf8"), "data");
  manager.stdout.on("data", (more: string) => (heard += more));
  const environment = { ...environmentOf(place.folder), ...place.environment, NOTIFY_SOCKET: socket };
  const point = mountPoint(t);
  const inBackground = await place.run(["mount", "set:v1", point], environment);
  assert.equal(inBackground.exit, 0, inBackground.stderr);
  // What it has to tell is told before it ends.
  await said("umount", [point]);
  while (processesOf(point).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(heard, "");
  await startMount(t, { ...place, environment }, ["set:v1"]);
  await closed;
  assert.equal(heard, "ready\n");
});
