/** Archives of folders, unpacked and checked by programs that are not ours. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { requirePeer } from "../../../../test/peers.ts";
import { noise } from "../../../dataset/testing/engine.ts";
import { readFolder, temporaryFolder } from "../../../dataset/testing/folder.ts";
import type { Entry } from "../../../format/entry.ts";
import { formatDigest } from "../../../format/digest.ts";
import { openFsBed, type FsBed } from "../testing/fs-bed.ts";

const run = promisify(execFile);
const LONG = "l".repeat(200);
const SMALL_FILES = 1500;

let bed: FsBed;
let folder: ReturnType<typeof temporaryFolder>;
let version: string;
let files = 0;

before(async () => {
  bed = await openFsBed();
  folder = temporaryFolder();
  const { source } = bed.push;
  const write = (name: string, bytes: Uint8Array | string, mode = 0o644): void => {
    bed.push.write(name, bytes);
    fs.chmodSync(path.join(source, name), mode);
  };
  write("empty", "");
  write("run.sh", "#!/bin/sh\n", 0o750);
  write("tree/secret", "x".repeat(511), 0o600);
  write("tree/block", "x".repeat(512));
  write("tree/noise.bin", noise(9, 3_000_001));
  write('tree/ünï/日本 "%".txt', "names");
  write(`tree/${LONG}/${LONG}/${LONG}`, "deep");
  write(`tree/${"n".repeat(100)}`, "a name of 100 bytes");
  write("tree-neighbour", "not below tree");
  for (let index = 0; index < SMALL_FILES; index++) write(`tree/many/${index}`, `file ${index}`);
  fs.mkdirSync(path.join(source, "tree/hollow"));
  fs.mkdirSync(path.join(source, "tree/hollow-2"));
  write("tree/hollow-2.txt", "after an empty folder of nearly its name");
  fs.symlinkSync("../tree/block", path.join(source, "tree/link"));
  fs.symlinkSync(`${LONG}/ünï`, path.join(source, "tree/far"));
  fs.utimesSync(path.join(source, "tree/block"), 0, -1_000_000_000.25);
  fs.utimesSync(path.join(source, "tree/secret"), 0, 1_600_000_001);
  fs.utimesSync(path.join(source, "tree/hollow"), 0, 1_600_000_000.5);
  version = await bed.publish("set:v1");
});
after(async () => {
  folder.remove();
  await bed.close();
});

/** The archive of a folder of the version, in a file. */
async function download(kind: string, below = ""): Promise<string> {
  const { status, body } = await bed.raw(`/fs/set/v1/${below}?archive=${kind}`);
  assert.equal(status, 200);
  const file = path.join(folder.path, `${files++}.${kind}`);
  fs.writeFileSync(file, body);
  return file;
}

/** What a program unpacks into a new folder. */
async function unpack(program: string, words: (target: string) => readonly string[]): Promise<Entry[]> {
  const target = path.join(folder.path, `unpacked-${files++}`);
  fs.mkdirSync(target);
  await run(program, [...words(target)], { env: { ...process.env, LC_ALL: "C.UTF-8" } });
  return readFolder(target);
}

/** What all file systems and formats keep alike; `seconds`: times to the second. */
function shown(entries: readonly Entry[], { seconds = false } = {}): unknown[] {
  return entries.map((entry) => {
    const { mtime, ...rest } = entry;
    if (entry.kind === "symlink") return rest;
    return { ...rest, mtime: seconds ? mtime.seconds : mtime };
  });
}

/** Compares line by line: thousands of entries are no message. */
function assertSame(actual: readonly unknown[], expected: readonly unknown[], message = "the same"): void {
  const lines = (entries: readonly unknown[]): string[] =>
    entries.map((entry) => JSON.stringify(Object.entries(entry as object).sort()));
  const [left, right] = [lines(actual), new Set(lines(expected))];
  assert.deepEqual(
    left.filter((line) => !right.has(line)),
    [],
    message,
  );
  assert.equal(left.length, right.size, message);
}

function below(root: string, prefix: string): Entry[] {
  return readFolder(path.join(root, prefix));
}

describe("a folder as tar", () => {
  it("unpacked by GNU tar and by bsdtar, is the folder, with modes, times and links", async (t: TestContext) => {
    if (!requirePeer(t, "tar") || !requirePeer(t, "bsdtar")) return;
    const expected = shown(below(bed.push.source, ""));
    const file = await download("tar");
    for (const program of ["tar", "bsdtar"]) {
      const unpacked = await unpack(program, (target) => ["-x", "-p", "-f", file, "-C", target]);
      assertSame(shown(unpacked), expected, program);
    }
    const part = await download("tar", "tree/");
    const unpacked = await unpack("tar", (target) => ["-xpf", part, "-C", target]);
    assertSame(shown(unpacked), shown(below(bed.push.source, "tree")));
  });

  it("compressed, is the same tar", async (t: TestContext) => {
    if (!requirePeer(t, "zstd")) return;
    const [plain, packed] = [await download("tar"), await download("tar.zst")];
    await run("zstd", ["-q", "-d", packed, "-o", `${packed}.tar`]);
    assert.ok(fs.readFileSync(`${packed}.tar`).equals(fs.readFileSync(plain)));
  });

  it("pushed, is the same version", async () => {
    for (const kind of ["tar", "tar.zst"]) {
      const { digest } = await bed.push.push({ source: await download(kind) });
      assert.equal(formatDigest(digest), version);
    }
  });

  it("asked for again, has the same bytes, and need not be sent", async () => {
    for (const [kind, isExact] of [
      ["tar", true],
      ["zip", true],
      ["tar.zst", false],
    ] as const) {
      const target = `/fs/set/${version}/tree/?archive=${kind}`;
      const [one, other] = [await bed.raw(target), await bed.raw(target)];
      assert.ok(one.body.equals(other.body));
      const { etag = "" } = one.headers;
      assert.equal(etag.startsWith("W/"), !isExact);
      assert.match(one.headers["cache-control"] ?? "", /immutable/);
      assert.equal((await bed.raw(target, { "if-none-match": etag })).status, 304);
      assert.equal(
        one.headers["content-disposition"],
        `attachment; filename="set-${version.slice(7, 19)}-tree.${kind}"`,
      );
      const named = await bed.raw(`${target}&download=mine.bin`, {}, "HEAD");
      assert.equal(named.headers["content-disposition"], 'attachment; filename="mine.bin"');
      assert.deepEqual([named.status, named.body.byteLength], [200, 0]);
    }
  });

  it("asked for of a file, or without a slash, is refused, or found with it", async () => {
    assert.equal((await bed.raw("/fs/set/v1/empty?archive=tar")).status, 400);
    const led = await bed.raw("/fs/set/v1/tree?archive=tar");
    assert.deepEqual([led.status, led.headers.location], [308, "tree/?archive=tar"]);
    assert.equal((await bed.raw("/fs/set/v1/nothing/?archive=tar")).status, 404);
  });
});

describe("a folder as zip", () => {
  it("tested and unpacked by unzip, is the folder", async (t: TestContext) => {
    if (!requirePeer(t, "unzip")) return;
    const file = await download("zip");
    await run("unzip", ["-tqq", file]);
    const unpacked = await unpack("unzip", (target) => ["-qq", file, "-d", target]);
    assert.deepEqual(
      shown(unpacked, { seconds: true }),
      shown(below(bed.push.source, ""), { seconds: true }),
    );
  });

  it("unpacked by bsdtar, from a file and from a pipe, is the folder", async (t: TestContext) => {
    if (!requirePeer(t, "bsdtar")) return;
    const file = await download("zip", "tree/");
    const expected = shown(below(bed.push.source, "tree"), { seconds: true });
    const unpacked = await unpack("bsdtar", (target) => ["-x", "-p", "-f", file, "-C", target]);
    assertSame(shown(unpacked, { seconds: true }), expected);
    const piped = await unpack("sh", (target) => ["-c", 'bsdtar -xpf - -C "$1" <"$0"', file, target]);
    const contents = (entries: readonly Entry[]): unknown[] =>
      entries.flatMap((entry) => (entry.kind === "file" ? [entry.path, entry.digest] : []));
    assert.deepEqual(contents(piped), contents(unpacked));
  });

  it("tested by Python, has the checksums of its members", async (t: TestContext) => {
    if (!requirePeer(t, "python3")) return;
    const file = await download("zip");
    const script =
      "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), len(z.namelist()))";
    const { stdout } = await run("python3", ["-c", script, file]);
    assert.equal(stdout, `None ${readFolder(bed.push.source).length}\n`);
  });

  it("pushed, has the same files", async () => {
    const { digest } = await bed.push.push({ source: await download("zip") });
    const entries = await bed.push.read(digest);
    assertSame(shown(entries, { seconds: true }), shown(below(bed.push.source, ""), { seconds: true }));
  });
});
