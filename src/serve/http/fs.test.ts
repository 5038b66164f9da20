/** /fs, met over HTTP/1.1 by fetch and by curl. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { requirePeer } from "../../../test/peers.ts";
import { OPEN_ACCESS, type Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { openPushBed, type PushBed } from "../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../dataset/workers/pool.ts";
import { digestOf } from "../../format/digest.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { sendProblem } from "../http-handler.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import type { Services } from "../services.ts";
import { createFs } from "./fs.ts";

const run = promisify(execFile);
const BIG = noise(7, 900_000);
const AWKWARD = 'a b%2F"<i>&?#:é';

let pool: WorkerPool;
let bed: PushBed;
let server: Server | undefined;
let url: string;
let version: string;

before(async () => {
  pool = new WorkerPool(2);
  bed = await openPushBed(pool);
  bed.write("big.bin", BIG);
  bed.write("empty.txt", "");
  bed.write("index.html", "<script>alert(1)</script>");
  bed.write("notes/hello.txt", "hello world");
  bed.write(`notes/${AWKWARD}/x`, "awkward");
  await run("ln", ["-s", "hello.txt", `${bed.source}/notes/near`]);
  await run("ln", ["-s", "../notes", `${bed.source}/notes/loop`]);
  await run("ln", ["-s", "/etc/hostname", `${bed.source}/out`]);
  await run("ln", ["-s", "self", `${bed.source}/self`]);
  await run("touch", ["-d", "2020-02-03T04:05:06.5Z", `${bed.source}/notes/hello.txt`]);
  const scoped = { name: parseDatasetName("@team/set"), tag: parseTag("v1") };
  const name = parseDatasetName("set");
  version = `sha256:${(await bed.push({ tags: [{ name, tag: parseTag("v1") }] })).digest}`;
  await bed.push({ tags: [scoped] });
  ({ server, url } = await listen(OPEN_ACCESS));
});

after(async () => {
  server?.closeAllConnections();
  server?.close();
  await pool.close();
  await bed.close();
});

async function listen(access: Access): Promise<{ server: Server; url: string }> {
  const sessions = undefined as unknown as Services["sessions"];
  const stopping = new AbortController().signal;
  const handler = createFs({
    engine: bed.engine,
    tree: openStoreTree(bed.engine),
    sessions,
    access,
    log: SILENT_LOG,
    stopping,
  });
  const made = createServer((request, response) => {
    handler(request, response).catch((error: unknown) => {
      sendProblem(response, error);
    });
  });
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  const address = made.address();
  assert.ok(address !== null && typeof address === "object");
  return { server: made, url: `http://127.0.0.1:${address.port}` };
}

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  return fetch(`${url}${path}`, { headers, method, redirect: "manual" });
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

async function codeOf(response: Response): Promise<[number, unknown]> {
  return [response.status, ((await response.json()) as { code: unknown }).code];
}

describe("a file under /fs", () => {
  it("asked for by tag, comes whole, with its SHA-256 as ETag, to be asked for again", async () => {
    const answer = await ask("/fs/set/v1/big.bin");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("etag"), `"${digestOf(BIG)}"`);
    assert.equal(answer.headers.get("content-length"), String(BIG.byteLength));
    assert.equal(answer.headers.get("cache-control"), "no-cache");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.ok((await bytesOf(answer)).equals(BIG));
  });

  it("asked for by digest or in a scope, is the same, by digest for ever", async () => {
    const forever = await ask(`/fs/@team/set/${version}/notes/hello.txt`);
    assert.match(forever.headers.get("cache-control") ?? "", /immutable/);
    assert.equal(forever.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(forever.headers.get("last-modified"), "Mon, 03 Feb 2020 04:05:06 GMT");
    assert.equal(await forever.text(), "hello world");
    assert.equal(await (await ask("/fs/%40team/set/v1/notes/hello.txt")).text(), "hello world");
  });

  it("asked for by HEAD, tells all but the bytes; an empty one has none", async () => {
    const head = await ask("/fs/set/v1/big.bin", { range: "bytes=0-1" }, "HEAD");
    assert.deepEqual([head.status, head.headers.get("content-length")], [200, String(BIG.byteLength)]);
    const empty = await ask("/fs/set/v1/empty.txt");
    assert.deepEqual([empty.status, await empty.text()], [200, ""]);
    assert.equal((await ask("/fs/set/v1/empty.txt", { range: "bytes=0-" })).status, 416);
  });

  it("asked for in part, gives exactly that part", async () => {
    const size = BIG.byteLength;
    for (const [range, start, end] of [
      ["bytes=0-0", 0, 1],
      ["bytes=70000-700000", 70_000, 700_001],
      ["bytes=-5", size - 5, size],
      [`bytes=${size - 1}-`, size - 1, size],
      [`bytes=5-${size + 100}`, 5, size],
    ] as const) {
      const answer = await ask("/fs/set/v1/big.bin", { range });
      assert.equal(answer.status, 206, range);
      assert.equal(answer.headers.get("content-range"), `bytes ${start}-${end - 1}/${size}`);
      assert.ok((await bytesOf(answer)).equals(BIG.subarray(start, end)), range);
    }
    const outside = await ask("/fs/set/v1/big.bin", { range: `bytes=${size}-` });
    assert.equal(outside.headers.get("content-range"), `bytes */${size}`);
    assert.deepEqual(await codeOf(outside), [416, "RANGE_INVALID"]);
  });

  it("asked for in several parts, gives them in one body; in too many, or overlapping ones, comes whole", async () => {
    const answer = await ask("/fs/set/v1/big.bin", { range: "bytes=5-9, 899990-, 100-100" });
    assert.equal(answer.status, 206);
    const type = answer.headers.get("content-type") ?? "";
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(type)?.[1] ?? "";
    const body = await bytesOf(answer);
    assert.equal(String(body.byteLength), answer.headers.get("content-length"));
    const parts = body.toString("latin1").split(`\r\n--${boundary}`).slice(1);
    assert.equal(parts.pop(), "--\r\n");
    const expected = [
      [5, 10],
      [899_990, 900_000],
      [100, 101],
    ] as const;
    assert.deepEqual(
      parts,
      expected.map(([start, end]) => {
        const head = `\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes ${start}-${end - 1}/900000\r\n\r\n`;
        return head + Buffer.from(BIG.subarray(start, end)).toString("latin1");
      }),
    );
    const many = Array.from({ length: 50 }, (_, index) => `${2 * index}-${2 * index}`).join();
    for (const range of [
      `bytes=${many}`,
      "bytes=0-9,5-20",
      "bytes=5-1",
      "lines=0-9",
      "bytes=a-b",
      "bytes=-",
    ]) {
      const whole = await ask("/fs/set/v1/big.bin", { range });
      assert.equal(whole.status, 200, range);
      await whole.body?.cancel();
    }
  });

  it("asked for under conditions, is sent only when they hold", async () => {
    const etag = `"${digestOf(Buffer.from("hello world"))}"`;
    const date = "Mon, 03 Feb 2020 04:05:06 GMT";
    const before = "Mon, 03 Feb 2020 04:05:05 GMT";
    for (const [headers, status] of [
      [{ "if-none-match": etag }, 304],
      [{ "if-none-match": `"x", W/${etag}` }, 304],
      [{ "if-none-match": '"x"', "if-modified-since": date }, 200],
      [{ "if-modified-since": date }, 304],
      [{ "if-modified-since": before }, 200],
      [{ "if-match": '"x"' }, 412],
      [{ "if-match": "*" }, 200],
      [{ "if-unmodified-since": before }, 412],
      [{ range: "bytes=0-3", "if-range": etag }, 206],
      [{ range: "bytes=0-3", "if-range": date }, 206],
      [{ range: "bytes=0-3", "if-range": '"x"' }, 200],
      [{ range: "bytes=0-3", "if-range": before }, 200],
    ] as const) {
      const answer = await ask("/fs/set/v1/notes/hello.txt", headers);
      assert.equal(answer.status, status, JSON.stringify(headers));
      assert.equal(answer.headers.get("etag"), etag);
      await answer.arrayBuffer();
    }
  });

  it("that a browser would run, is shut in", async () => {
    const answer = await ask("/fs/set/v1/index.html");
    assert.equal(answer.headers.get("content-security-policy"), "sandbox");
    await answer.arrayBuffer();
  });

  it("behind a link of its version is found; behind one that leads out, or to itself, is not", async () => {
    assert.equal(await (await ask("/fs/set/v1/notes/near")).text(), "hello world");
    assert.equal(await (await ask("/fs/set/v1/notes/loop/loop/near")).text(), "hello world");
    for (const path of ["out", "self", "out/x", "notes/near/x"]) {
      assert.deepEqual(await codeOf(await ask(`/fs/set/v1/${path}`)), [404, "PATH_NOT_FOUND"], path);
    }
  });

  it("that is not there, or is named wrongly, is answered with the problem", async () => {
    for (const [path, status, code] of [
      ["/fs/set/v1/nothing", 404, "PATH_NOT_FOUND"],
      ["/fs/set/v1/big.bin/", 404, "PATH_NOT_FOUND"],
      ["/fs/set/v2/", 404, "TAG_NOT_FOUND"],
      ["/fs/sett/v1/", 404, "DATASET_NOT_FOUND"],
      ["/fs/sett/", 404, "DATASET_NOT_FOUND"],
      [`/fs/set/sha256:${"0".repeat(64)}/`, 404, "VERSION_NOT_FOUND"],
      ["/fs/set/sha256:00/", 400, "REFERENCE_INVALID"],
      ["/fs/SET/v1/x", 400, "REFERENCE_INVALID"],
      ["/fs/set/v1/a%2Fb", 400, "PATH_INVALID"],
      ["/fs/set/v1/%ff", 400, "PATH_INVALID"],
      ["/fs/set/v1/a//b", 400, "PATH_INVALID"],
      ["/fs/set/v1/%00", 400, "PATH_INVALID"],
    ] as const) {
      assert.deepEqual(await codeOf(await ask(path)), [status, code], path);
    }
    const put = await ask("/fs/set/v1/x", {}, "PUT");
    assert.deepEqual([put.status, put.headers.get("allow")], [405, "GET, HEAD"]);
  });

  it("of a version that another dataset has, is not there", async () => {
    bed.write("secret.txt", "of one dataset only");
    const tags = [{ name: parseDatasetName("secret"), tag: parseTag("v1") }];
    const secret = `sha256:${(await bed.push({ tags })).digest}`;
    assert.equal((await ask(`/fs/secret/${secret}/secret.txt`)).status, 200);
    const other = await ask(`/fs/set/${secret}/secret.txt`);
    assert.deepEqual(await codeOf(other), [404, "VERSION_NOT_FOUND"]);
  });

  it("read by curl in parts and resumed, is the same", async (t) => {
    if (!requirePeer(t, "curl")) return;
    const { stdout } = await run(
      "curl",
      ["-sS", "-f", "-C", "1000", "--path-as-is", `${url}/fs/set/v1/big.bin`],
      { encoding: "buffer", maxBuffer: 2 * BIG.byteLength },
    );
    assert.ok(stdout.equals(BIG.subarray(1000)));
    const climb = await run("curl", ["-sS", "--path-as-is", `${url}/fs/set/v1/../../x`]);
    assert.match(climb.stdout, /PATH_INVALID/);
  });
});

describe("a list under /fs", () => {
  it("asked for as JSON, has every item with its facts", async () => {
    const accept = "application/json";
    const folder = await ask("/fs/set/v1/notes/", { accept });
    assert.equal(folder.headers.get("content-type"), accept);
    const { version: said, entries } = (await folder.json()) as { version: string; entries: object[] };
    assert.equal(said, version);
    const hello = entries.find((entry) => "name" in entry && entry.name === "hello.txt");
    const digest = `sha256:${digestOf(Buffer.from("hello world"))}`;
    const mtime = "2020-02-03T04:05:06.500000000Z";
    assert.deepEqual(hello, { name: "hello.txt", kind: "file", mode: 0o644, mtime, size: 11, digest });
    assert.equal(entries.length, 4);
    const tags = (await (await ask("/fs/set/", { accept })).json()) as {
      tags: { tag: string; version: string }[];
    };
    assert.deepEqual([tags.tags[0]?.tag, tags.tags[0]?.version], ["v1", version]);
    const all = (await (await ask("/fs/", { accept })).json()) as { datasets: object[] };
    assert.deepEqual(all.datasets.slice(0, 2), [{ name: "@team/set" }, { name: "secret" }]);
  });

  it("asked for by a browser, links to every item, whatever its name, and runs nothing", async () => {
    const folder = await ask("/fs/set/v1/notes/", { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
    assert.match(folder.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const html = await folder.text();
    assert.ok(!html.includes("<i>"), "names are escaped");
    const links = Array.from(html.matchAll(/href="([^"]*)"/g), ([, link = ""]) => link);
    const base = `${url}/fs/set/v1/notes/`;
    const below = links.map((link) => new URL(link, base).href).filter((link) => link.includes("a%20b"));
    assert.equal(below.length, 1);
    assert.equal(await (await fetch(`${below[0] ?? ""}x`)).text(), "awkward");
    const top = await (await ask("/fs/")).text();
    assert.match(top, /href="\.\/%40team\/set\/"/);
  });

  it("asked for without its slash, is found with it; asked for again by its ETag, is not sent", async () => {
    for (const [path, location] of [
      ["/fs", "/fs/"],
      ["/fs/@team/set", "/fs/@team/set/"],
      ["/fs/set/v1?a=b", "/fs/set/v1/?a=b"],
      ["/fs/set/v1/notes", "/fs/set/v1/notes/"],
      [`/fs/set/${version}`, `/fs/set/${version}/`],
    ] as const) {
      const answer = await ask(path);
      assert.equal(answer.status, 308, path);
      const led = new URL(answer.headers.get("location") ?? "", `${url}${path}`);
      assert.equal(decodeURIComponent(led.href), `${url}${location}`);
    }
    const first = await ask("/fs/set/v1/");
    await first.arrayBuffer();
    const etag = first.headers.get("etag") ?? "";
    assert.equal((await ask("/fs/set/v1/", { "if-none-match": etag })).status, 304);
    assert.equal((await ask("/fs/set/v1/", {}, "HEAD")).status, 200);
  });

  it("of what nobody may read, is refused; datasets that may not be listed are left out", async () => {
    const closed: Access = {
      identify: (headers) => OPEN_ACCESS.identify(headers),
      check: async (_identity, _action, dataset) => {
        if (dataset !== "set") throw new AetherError("ACCESS_DENIED", `not for you`);
      },
    };
    const other = await listen(closed);
    try {
      const refused = await fetch(`${other.url}/fs/@team/set/v1/big.bin`);
      assert.deepEqual(await codeOf(refused), [403, "ACCESS_DENIED"]);
      const accept = { accept: "application/json" };
      const all = await (await fetch(`${other.url}/fs/`, { headers: accept })).json();
      assert.deepEqual(all, { datasets: [{ name: "set" }] });
    } finally {
      other.server.closeAllConnections();
      other.server.close();
    }
  });
});
