/** /fs of a whole hub, read by clients that are not ours. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { connect as connectTcp } from "node:net";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { readFolder, temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { connect } from "../../src/sdk/index.ts";
import { requirePeer } from "../peers.ts";
import { openHub, type TestHub } from "./test-hub.ts";

const run = promisify(execFile);
const BIG_BYTES = 24 * MiB + 12_345;
const NAMES = [
  "a b",
  "%2F%",
  'quote"<i>&amp;',
  "#?&=+;:@",
  "ünï/日本",
  ".hidden",
  "x/y/z/deep",
  "empty-file",
];

let hub: TestHub;
let folder: ReturnType<typeof temporaryFolder>;
let source: string;
before(async () => {
  folder = temporaryFolder();
  source = path.join(folder.path, "source");
  for (const name of NAMES) {
    const file = path.join(source, "names", name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, name === "empty-file" ? "" : `content of ${name}`);
  }
  fs.writeFileSync(path.join(source, "big.bin"), noise(3, BIG_BYTES));
  fs.writeFileSync(path.join(source, "text.txt"), "many of the same lines\n".repeat(300_000));
  hub = await openHub();
  const client = connect(hub.host, { cacheDir: path.join(folder.path, "cache") });
  try {
    await hub.push(client, source, ["set:one"]);
  } finally {
    await client.close();
  }
});
after(async () => {
  await hub.close();
  folder.remove();
});

/** What curl writes for a path below the version. */
async function curl(file: string, ...words: string[]): Promise<Buffer> {
  const url = `${hub.url}/fs/set/one/${file}`;
  const options = { encoding: "buffer", maxBuffer: 2 * BIG_BYTES } as const;
  return (await run("curl", ["-sS", "-f", "--max-time", "60", ...words, url], options)).stdout;
}

describe("/fs of a hub", () => {
  it("read by curl over HTTP/1.1 and HTTP/2, whole and in parts, has the files' bytes", async (t) => {
    if (!requirePeer(t, "curl")) return;
    for (const file of ["big.bin", "text.txt"]) {
      const content = fs.readFileSync(path.join(source, file));
      for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
        assert.ok((await curl(file, version)).equals(content), `${file} ${version}`);
        const part = await curl(file, version, "-r", "1000003-5000001");
        assert.ok(part.equals(content.subarray(1_000_003, 5_000_002)), `${file} ${version}`);
      }
    }
  });

  it("read by curl over HTTP/2 as an archive, compressed, or under a condition, is what HTTP/1.1 gives", async (t) => {
    if (!requirePeer(t, "curl")) return;
    const h2 = "--http2-prior-knowledge";
    for (const target of ["?archive=tar", "?archive=zip"]) {
      assert.ok((await curl(target, h2)).equals(await curl(target, "--http1.1")), target);
    }
    const text = fs.readFileSync(path.join(source, "text.txt"));
    assert.ok((await curl("text.txt", h2, "--compressed")).equals(text));
    const head = (await curl("text.txt", h2, "-I", "-H", "accept-encoding: br")).toString();
    assert.match(head, /^HTTP\/2 200 \r\n[^]*content-encoding: br\r\n/);
    const etag = /^etag: (.*)\r$/m.exec(head)?.[1] ?? "";
    const again = await curl(
      "text.txt",
      h2,
      "-i",
      "-H",
      "accept-encoding: br",
      "-H",
      `if-none-match: ${etag}`,
    );
    assert.match(again.toString(), /^HTTP\/2 304 \r\n[^]*\r\n\r\n$/);
  });

  it("copied by rclone, which reads the lists, is the tree that was pushed", async (t) => {
    if (!requirePeer(t, "rclone")) return;
    const copy = path.join(folder.path, "copy");
    const words = ["copy", "--config", "/dev/null", "--http-url", `${hub.url}/fs/set/one/`, ":http:", copy];
    await run("rclone", words, { env: { PATH: process.env["PATH"], HOME: folder.path } });
    const files = (root: string): string[] =>
      readFolder(root).flatMap((entry) => (entry.kind === "file" ? [`${entry.path} ${entry.digest}`] : []));
    assert.deepEqual(files(copy), files(source));
  });

  it("asked by h2load for many ranges on many streams, answers all", async (t) => {
    if (!requirePeer(t, "h2load")) return;
    const words = ["-n", "600", "-c", "6", "-m", "10", "-H", "range: bytes=100-70099"];
    const { stdout } = await run("h2load", [...words, `${hub.url}/fs/set/one/big.bin`]);
    assert.match(stdout, /600 succeeded, 0 failed/);
    assert.match(stdout, /status codes: 600 2xx/);
  });

  it("asked by clients that go in the middle, stops reading for them, and serves others", async (t) => {
    if (!requirePeer(t, "curl")) return;
    const targets = ["big.bin", "?archive=tar", "?archive=zip", "?archive=tar.zst"];
    const sockets = Array.from({ length: 20 }, () => connectTcp(Number(new URL(hub.url).port), "127.0.0.1"));
    for (const [index, socket] of sockets.entries()) {
      socket.on("error", () => undefined);
      const target = targets[index % targets.length] ?? "";
      socket.write(`GET /fs/set/one/${target} HTTP/1.1\r\nhost: a\r\n\r\n`);
    }
    const begun = sockets.map(
      (socket) => new Promise<unknown>((resolve) => socket.once("data", () => resolve(socket.pause()))),
    );
    await Promise.all(begun);
    for (const socket of sockets) socket.destroy();
    const underWay = /^aetherfs_requests_under_way\{interface="fs"\} (\d+)$/m;
    const figures = async (): Promise<string> => await (await fetch(`${hub.url}/metrics`)).text();
    const deadline = AbortSignal.timeout(30_000);
    while (underWay.exec(await figures())?.[1] !== "0") await systemClock.sleep(20, deadline);
    const aborted = /^aetherfs_requests_total\{interface="fs",method="GET",status="aborted"\} (\d+)$/m;
    assert.equal(aborted.exec(await figures())?.[1], "20");
    assert.equal((await curl("big.bin")).byteLength, BIG_BYTES);
  });
});
