/** WebDAV, met by clients that are not ours. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { createClient, type FileStat } from "webdav";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { makeCertificate } from "../certificate.ts";
import { requirePeer } from "../peers.ts";
import { ask, openWebdavBed, type WebdavBed } from "./webdav-bed.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 120_000;
const BIG = noise(5, 20 * MiB + 123);
const NAMES = [
  "a b+c&d",
  "100%",
  "#?=;:@!$,()*~",
  "<i>'x'",
  "caf\u00e9",
  "cafe\u0301",
  "日本/x",
  "x/y/deep",
  ".hidden",
];

let bed: WebdavBed;
let scratch: string;
/** Path → hex SHA-256, of what a client sees that follows links. */
const digests = new Map<string, string>();

before(async () => {
  bed = await openWebdavBed();
  scratch = await mkdtemp(join(tmpdir(), "aetherfs-webdav-"));
  const write = (path: string, content: Uint8Array | string): void => {
    bed.push.write(path, content);
    digests.set(path, createHash("sha256").update(content).digest("hex"));
  };
  for (const name of NAMES) write(name, `content of ${name}`);
  for (let index = 0; index < 200; index++) write(`many/${index}.txt`, String(index));
  write("big.bin", BIG);
  write("empty", "");
  mkdirSync(join(bed.push.source, "empty-folder"));
  symlinkSync("a b+c&d", join(bed.push.source, "link"));
  symlinkSync("nowhere", join(bed.push.source, "dangling"));
  digests.set("link", digests.get("a b+c&d") ?? "");
  await bed.publish("set:v1");
  await bed.publish("@team/set:v1");
});

after(async () => {
  await bed.close();
  await rm(scratch, { recursive: true, force: true });
});

async function execute(
  program: string,
  words: readonly string[],
  stdin = "",
): Promise<{ exit: number; output: string }> {
  const env = { PATH: process.env["PATH"], HOME: scratch, LANG: "C.UTF-8" };
  const child = run(program, words, { env, timeout: TIMEOUT_MS, maxBuffer: 64 * MiB });
  // Some end before they have read what they are told.
  child.child.stdin?.on("error", () => undefined).end(stdin);
  try {
    const { stdout, stderr } = await child;
    return { exit: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { exit: typeof code === "number" ? code : -1, output: stdout + stderr };
  }
}

async function succeed(program: string, ...words: string[]): Promise<string> {
  const { exit, output } = await execute(program, words);
  assert.equal(exit, 0, `${words.join(" ")}: ${output}`);
  return output;
}

/** Of all files below a folder, read by another process: this one may be who serves them. */
async function digestsBelow(folder: string): Promise<Map<string, string>> {
  const { stdout } = await run("sh", ["-c", "find . -type f -exec sha256sum -z {} +"], {
    cwd: folder,
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * MiB,
  });
  const lines = stdout.split("\0").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.slice(68), line.slice(0, 64)]));
}

/** Holds what a client found to what was pushed. */
function assertSame(found: ReadonlyMap<string, string>): void {
  const wrong = [...digests.keys()].filter((path) => found.get(path) !== digests.get(path));
  const strange = [...found.keys()].filter((path) => !digests.has(path));
  assert.deepEqual({ wrong, strange }, { wrong: [], strange: [] });
}

describe("rclone", () => {
  const words = (url: string): string[] => [
    "--config",
    "",
    "--webdav-url",
    url,
    "--retries",
    "1",
    "--no-unicode-normalization",
  ];

  it("lists, checks and copies all of it, and is refused what would change something", async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (rclone === undefined) return;
    assert.equal(await succeed(rclone, ...words(bed.url), "lsf", ":webdav:"), "@team/\nset/\n");
    for (const place of ["set/v1", "@team/set/v1"]) {
      const [into, url] = [await mkdtemp(join(scratch, "copy-")), `${bed.url}/${place}`];
      await succeed(rclone, ...words(url), "copy", "--create-empty-src-dirs", ":webdav:", into);
      assert.ok(existsSync(join(into, "empty-folder")));
      assertSame(await digestsBelow(into));
      const checked = await succeed(rclone, ...words(url), "check", "--download", into, ":webdav:");
      assert.match(checked, new RegExp(`0 differences found[^]*${digests.size} matching files`));
    }
    const url = `${bed.url}/set/v1`;
    const [item] = JSON.parse(await succeed(rclone, ...words(url), "lsjson", ":webdav:big.bin")) as {
      Size: number;
    }[];
    assert.equal(item?.Size, BIG.byteLength);
    const part = await execute(rclone, [
      ...words(url),
      "cat",
      "--offset",
      "1000000",
      "--count",
      "5",
      ":webdav:big.bin",
    ]);
    assert.equal(part.exit, 0);
    for (const change of [
      ["rcat", ":webdav:new"],
      ["deletefile", ":webdav:big.bin"],
      ["mkdir", ":webdav:folder"],
      ["moveto", ":webdav:big.bin", ":webdav:moved"],
    ]) {
      const { exit, output } = await execute(rclone, [...words(url), ...change], "new");
      assert.notEqual(exit, 0, change.join(" "));
      assert.match(output, /403/, change.join(" "));
    }
  });

  it("mounts it: a folder of this machine with the same files", async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (requirePeer(t, "fusermount3") === undefined || rclone === undefined) return;
    if (!existsSync("/dev/fuse")) {
      t.skip("this machine has no /dev/fuse");
      return;
    }
    const folder = await mkdtemp(join(scratch, "mount-"));
    await succeed(
      rclone,
      ...words(`${bed.url}/set/v1`),
      "mount",
      "--daemon",
      "--read-only",
      ":webdav:",
      folder,
    );
    try {
      assertSame(await digestsBelow(folder));
      assert.equal((await succeed("ls", join(folder, "many"))).trim().split("\n").length, 200);
      assert.notEqual((await execute("touch", [join(folder, "new")])).exit, 0);
    } finally {
      await succeed("umount", folder);
    }
  });
});

describe("cadaver", () => {
  it("lists and gets, and is refused what would change something", async (t) => {
    const cadaver = requirePeer(t, "cadaver");
    if (cadaver === undefined) return;
    const into = join(scratch, "from-cadaver");
    writeFileSync(join(scratch, "new.txt"), "new");
    const script = [`ls many`, `cd x/y`, `get deep ${into}`, `cd ../..`, "propnames big.bin"];
    const writes = [
      `put ${join(scratch, "new.txt")}`,
      "delete big.bin",
      "mkcol f",
      "move big.bin x",
      "propset empty a b",
    ];
    const { output } = await execute(
      cadaver,
      [`${bed.url}/set/v1/`],
      [...script, ...writes, "quit", ""].join("\n"),
    );
    assert.equal(output.match(/^ {8}\d+\.txt +\d/gm)?.length, 200);
    assert.match(output, /getetag/);
    assert.equal(await succeed("cat", into), "content of x/y/deep");
    assert.equal(output.match(/403 Forbidden/g)?.length, writes.length, output.slice(-2000));
  });
});

describe("the npm client webdav", () => {
  it("lists, stats and reads whole and in part, and is refused what would change something", async () => {
    const client = createClient(`${bed.url}/set/v1`);
    const found = new Map<string, string>();
    const folders = ["/"];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for (const { filename, type } of await client.getDirectoryContents(folder)) {
        if (type === "directory") folders.push(filename);
        else {
          const content = (await client.getFileContents(filename)) as Buffer;
          found.set(filename.slice(1), createHash("sha256").update(content).digest("hex"));
        }
      }
    }
    assertSame(found);
    const stat = (await client.stat("/big.bin")) as FileStat;
    assert.deepEqual([stat.size, stat.etag], [BIG.byteLength, digests.get("big.bin")]);
    assert.equal(await client.exists("/nothing"), false);
    const pieces: Buffer[] = [];
    const range = { start: 5_000_000, end: 5_000_099 };
    const stream = client.createReadStream("/big.bin", { range });
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    await new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
    assert.ok(Buffer.concat(pieces).equals(BIG.subarray(5_000_000, 5_000_100)));
    const is403 = (error: unknown): boolean =>
      error instanceof Error && "status" in error && error.status === 403;
    await assert.rejects(client.putFileContents("/new", "new"), is403);
    await assert.rejects(client.deleteFile("/empty"), is403);
    await assert.rejects(client.createDirectory("/folder"), is403);
    await assert.rejects(client.moveFile("/empty", "/moved"), is403);
    await assert.rejects(client.lock("/empty"), is403);
    const { headers } = await ask(bed.url, "OPTIONS");
    assert.equal(headers.get("dav"), "1, 3");
  });
});

describe("by TLS", () => {
  it("rclone and curl, which hold the hub to its certificate, read the same", async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (rclone === undefined || !requirePeer(t, "openssl") || !requirePeer(t, "curl")) return;
    const { certFile, keyFile } = makeCertificate(join(scratch, "tls"));
    const url = await bed.listen({ tls: { certFile, keyFile, caFile: undefined } });
    const into = await mkdtemp(join(scratch, "tls-"));
    const words = ["--config", "", "--ca-cert", certFile, "--no-unicode-normalization"];
    await succeed(rclone, ...words, "--webdav-url", `${url}/set/v1`, "copy", ":webdav:", into);
    assertSame(await digestsBelow(into));
    const ways = [
      ["--http1.1", "1.1"],
      ["--http2", "2"],
    ] as const;
    for (const [way, version] of ways) {
      const asked = ["-sS", "--cacert", certFile, way, "--compressed", "-X", "PROPFIND", "-H", "depth: 1"];
      const told = await succeed(
        "curl",
        ...asked,
        "-w",
        "%{http_code} %{http_version}",
        `${url}/set/v1/many/`,
      );
      assert.equal(told.match(/<D:response>/g)?.length, 201);
      assert.ok(told.endsWith(`207 ${version}`), told.slice(-20));
    }
  });
});
