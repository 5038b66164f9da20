/** Mounts as programs meet them that know nothing of AetherFS. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { makePlace, type Kind, type Place } from "../cli/command.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { folderItems } from "../interfaces/doors.ts";
import { writeAwkward } from "../interfaces/awkward.ts";
import { requirePeer } from "../peers.ts";
import { isMounted, mountPoint, processesOf, ran, requireFuse, said, startMount } from "./mount-place.ts";

const BIG_BYTES = 24 * 1024 * 1024 + 5;

/** A place with a version of a few files, some of them large. */
async function pushedPlace(t: TestContext, kind: Kind = "store"): Promise<Place> {
  const place = await makePlace(t, kind);
  await place.write({ "source/a": "one", "source/d/b": "two", "source/d/e/c": "three" });
  writeFileSync(join(place.folder, "source/big"), noise(7, BIG_BYTES));
  await place.json("push", "-t", "set:v1", "source");
  return place;
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

test("mount in the background returns when the tree is there, and umount ends it and its process", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const point = mountPoint(t);
  const { version } = (await place.json("mount", "set:v1", point)) as { version: string };
  assert.match(version, /^sha256:/);
  assert.equal(await said("cat", [join(point, "d/e/c")]), "three");
  const pids = processesOf(point);
  assert.equal(pids.length, 1);
  assert.deepEqual(await place.json("umount", point), { folder: point });
  assert.ok(!isMounted(point));
  while (pids.some((pid) => existsSync(`/proc/${pid}`)))
    await new Promise((resolve) => setTimeout(resolve, 20));
});

test("a mount of awkward names and links is the same to find, sha256sum, tar, cp and rsync as what was pushed", async (t) => {
  if (!requireFuse(t)) return;
  const rsync = requirePeer(t, "rsync");
  if (rsync === undefined) return;
  const place = await makePlace(t);
  const source = join(place.folder, "source");
  mkdirSync(source);
  const items = writeAwkward(source);
  await place.json("push", "-t", "set:v1", source);
  const { folder } = await startMount(t, place, ["set:v1"]);
  const listed = (where: string): Promise<string> =>
    said(
      "sh",
      ["-c", "find . -mindepth 1 -printf '%P %y %s %m %T@ %l\\n' | sed 's/ d [0-9]* / d /' | LC_ALL=C sort"],
      { cwd: where },
    );
  assert.equal(await listed(folder), await listed(source));
  const hashed = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
  assert.equal(
    await said("sh", ["-c", hashed], { cwd: folder }),
    await said("sh", ["-c", hashed], { cwd: source }),
  );
  const differing = await ran(rsync, ["-anic", "--delete", `${folder}/`, `${source}/`]);
  assert.equal(differing.stdout.replace(/^\.d\.\.t\.+ \.\/\n$/, ""), "", "what rsync would change");
  for (const command of [
    `cp -a ${folder}/. copy`,
    `mkdir untarred; tar -C ${folder} -c . | tar -C untarred -x`,
  ]) {
    await said("sh", ["-c", command], { cwd: place.folder });
  }
  for (const copy of ["copy", "untarred"]) {
    assert.equal(folderItems(join(place.folder, copy)).size, items.size, copy);
    assert.equal(
      (await ran("diff", ["-r", "--no-dereference", source, copy], { cwd: place.folder })).exit,
      0,
      copy,
    );
  }
});

test("a mount refuses every change as a read-only file system does", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const { folder } = await startMount(t, place, ["set:v1"]);
  for (const words of [
    ["touch", "new"],
    ["rm", "a"],
    ["mkdir", "new"],
    ["mv", "a", "z"],
    ["chmod", "0600", "a"],
    ["sh", "-c", "echo x >> a"],
    ["ln", "-s", "a", "z"],
  ]) {
    const [program = "", ...rest] = words;
    const { exit, stderr } = await ran(program, rest, { cwd: folder });
    assert.notEqual(exit, 0, words.join(" "));
    assert.match(stderr, /Read-only file system/, words.join(" "));
  }
});

const PYTHON_READS = `
import hashlib, mmap, os, socket, sys, threading
path = sys.argv[1]
size = os.stat(path).st_size
def hashed(parts): return hashlib.sha256(b"".join(parts)).hexdigest()
found = {}
with open(path, "rb") as file:
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory: found["mmap"] = hashed([memory[:]])
with open(path, "rb") as file:
    fd = file.fileno()
    found["backwards"] = hashed([os.pread(fd, 65537, at) for at in range(0, size, 65537)][::1])
    parts = {}
    for at in range(size - size % 70001, -1, -70001): parts[at] = os.pread(fd, 70001, at)
    found["backwards"] = hashed([parts[at] for at in sorted(parts)])
    found["past"] = len(os.pread(fd, 100, size)) + len(os.pread(fd, 100, size + 1000000))
one, other = socket.socketpair()
taken = []
def take():
    while True:
        part = other.recv(1 << 20)
        if not part: return
        taken.append(part)
thread = threading.Thread(target=take); thread.start()
with open(path, "rb") as file:
    at = 0
    while at < size: at += os.sendfile(one.fileno(), file.fileno(), at, size - at)
one.close(); thread.join()
found["sendfile"] = hashed(taken)
found["digest"] = os.getxattr(path, "user.aetherfs.digest").decode()
found["names"] = os.listxattr(path)
found["ref"] = os.getxattr(os.path.dirname(path), "user.aetherfs.ref").decode()
import json; print(json.dumps(found))
`;

test("a file of a mount gives the same bytes mapped, backwards and by sendfile, and its digest as an attribute", async (t) => {
  if (!requireFuse(t)) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const place = await pushedPlace(t);
  const { folder } = await startMount(t, place, ["set:v1"]);
  const sha256 = hashOf(readFileSync(join(place.folder, "source/big")));
  const found = JSON.parse(await said(python, ["-I", "-c", PYTHON_READS, join(folder, "big")])) as object;
  assert.deepEqual(found, {
    ...{
      mmap: sha256,
      backwards: sha256,
      sendfile: sha256,
      past: 0,
      digest: `sha256:${sha256}`,
      ref: "set:v1",
    },
    names: ["user.aetherfs.digest", "user.aetherfs.version", "user.aetherfs.ref"],
  });
});

test("sixteen who read a mount at once, large files and small ones, each get the right bytes", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`source/many/${index}`, `${index}`.repeat(index)]),
  );
  await place.write(many);
  await place.json("push", "-t", "set:v2", "source");
  const { folder } = await startMount(t, place, ["set:v2"]);
  const command = "sha256sum big $(find . -type f | LC_ALL=C sort) | sha256sum";
  const expected = await said("sh", ["-c", command], { cwd: join(place.folder, "source") });
  const found = await Promise.all(
    Array.from({ length: 16 }, () => said("sh", ["-c", command], { cwd: folder })),
  );
  assert.deepEqual(new Set(found), new Set([expected]));
});

test("grep -r through 3,000 files of a mount finds what is in them, and nothing of what is not there", async (t) => {
  if (!requireFuse(t)) return;
  const place = await makePlace(t);
  await place.write(
    Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [
        `source/d${index % 30}/${index}`,
        `line\nneedle-${index % 1000}\n`,
      ]),
    ),
  );
  await place.json("push", "-t", "set:v1", "source");
  const { folder } = await startMount(t, place, ["set:v1"]);
  for (let round = 0; round < 2; round++) {
    const found = await said("grep", ["-rl", "^needle-77$", "."], { cwd: folder });
    assert.deepEqual(found.trim().split("\n").sort(), ["./d17/77", "./d27/1077", "./d7/2077"]);
  }
  assert.equal((await ran("cat", [join(folder, "d1/nothing")])).exit, 1);
});

test("a mount that is told to end by a signal, or whose terminal is closed, is unmounted, and ends well", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    const { folder, child, ended } = await startMount(t, place, ["set:v1"]);
    child.kill(signal);
    assert.equal(await ended, 0, signal);
    assert.ok(!isMounted(folder), signal);
  }
});

test("a mount at a link lies where the link leads, and is found, cleaned and ended by both names", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const point = mountPoint(t);
  const link = join(place.folder, "link");
  symlinkSync(point, link);
  const { child, ended } = await startMount(t, place, ["set:v1"], link);
  assert.equal(await said("cat", [join(point, "a")]), "one");
  assert.equal((await place.run(["mount", "set:v1", link])).exit, 6);
  child.kill("SIGKILL");
  await ended;
  await place.json("mount", "set:v1", link);
  assert.deepEqual(await place.json("umount", link), { folder: point });
  assert.ok(!isMounted(point));
});

test("a mount whose process was killed is gone to who reads, and the next mount, or umount, cleans it up", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const { folder, child, ended } = await startMount(t, place, ["set:v1"]);
  child.kill("SIGKILL");
  await ended;
  const { exit, stderr } = await ran("cat", [join(folder, "a")]);
  assert.equal(exit, 1);
  assert.match(stderr, /Transport endpoint is not connected/);
  const next = await startMount(t, place, ["set:v1"], folder);
  assert.equal(await said("cat", [join(folder, "a")]), "one");
  next.child.kill("SIGKILL");
  await next.ended;
  assert.deepEqual(await place.json("umount", folder), { folder });
  assert.ok(!isMounted(folder));
});

test("mount over a mount that is served, and umount of what is none, are refused", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const { folder } = await startMount(t, place, ["set:v1"]);
  const again = await place.run(["mount", "set:v1", folder]);
  assert.equal(again.exit, 6);
  assert.match(again.stderr, /^aetherfs: MOUNT_FAILED: .* is mounted at .* already/);
  const none = await place.run(["umount", place.folder]);
  assert.equal(none.exit, 6);
  assert.match(none.stderr, /MOUNT_FAILED: nothing of AetherFS is mounted/);
  const missing = await place.run(["mount", "set:nothing", mountPoint(t)]);
  assert.equal(missing.exit, 3);
  assert.match(missing.stderr, /^aetherfs: TAG_NOT_FOUND: /);
});

test("a followed tag that moves shows the new version, and what is open stays the old one", async (t) => {
  if (!requireFuse(t)) return;
  for (const kind of ["store", "hub"] as const) {
    await t.test(`of a ${kind}`, async (t) => {
      if (!requireFuse(t)) return;
      const place = await pushedPlace(t, kind);
      const { folder, stderr } = await startMount(t, place, ["--follow", "set:v1"]);
      const old = await said("sh", ["-c", "cat a d/b; ls . d; cat new 2>&1; :"], { cwd: folder });
      assert.match(old, /^onetwo/);
      // Reads the first line of a file, waits for what is told on a pipe, and reads the rest.
      writeFileSync(join(place.folder, "source/a"), "ONE MORE");
      rmSync(join(place.folder, "source/d/b"));
      writeFileSync(join(place.folder, "source/new"), "is new");
      utimesSync(join(place.folder, "source/big"), 5, 5);
      const script = "exec 3<a; cd d/e; echo ready; read go; cat <&3; cat c; cat ../b";
      const { spawn } = await import("node:child_process");
      const holder = spawn("sh", ["-c", script], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
      let heard = "";
      const closed = new Promise((resolve) => holder.on("close", resolve));
      t.after(() => holder.kill("SIGKILL"));
      await new Promise<void>((resolve) => {
        holder.stdout.setEncoding("utf8").on("data", (text: string) => {
          heard += text;
          resolve();
        });
      });
      await place.json("push", "-t", "set:v1", "source");
      while (!stderr().includes("the tag moved")) await new Promise((resolve) => setTimeout(resolve, 20));
      const seen = async (): Promise<string> =>
        said("sh", ["-c", "cat a new; ls d; stat -c %Y big"], { cwd: folder });
      assert.equal(await seen(), "ONE MOREis newe\n5\n");
      holder.stdin.end("go\n");
      await closed;
      assert.equal(heard, "ready\nonethreetwo");
      assert.equal(await seen(), "ONE MOREis newe\n5\n");
    });
  }
});

test("a large file that is opened again is kept whole, and has the right bytes, also when that copy was damaged meanwhile", async (t) => {
  if (!requireFuse(t)) return;
  const place = await pushedPlace(t);
  const source = join(place.folder, "source/big");
  const kept = join(place.folder, ".cache/aetherfs/files", hashOf(readFileSync(source)));
  const first = await startMount(t, place, ["set:v1"]);
  const same = (folder: string): Promise<string> => said("cmp", [join(folder, "big"), source]);
  while (!existsSync(kept)) await same(first.folder);
  // Open by several at once, some of them since before the copy was there.
  await Promise.all(Array.from({ length: 6 }, () => same(first.folder)));
  first.child.kill("SIGTERM");
  assert.equal(await first.ended, 0, first.stderr());
  const bytes = readFileSync(kept);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  writeFileSync(kept, bytes);
  const second = await startMount(t, place, ["set:v1"]);
  for (let round = 0; round < 4; round++) await same(second.folder);
});
