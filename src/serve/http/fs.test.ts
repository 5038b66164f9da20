/** Files under /fs, met over HTTP/1.1 by fetch and by curl. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { requirePeer } from "../../../test/peers.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { digestOf } from "../../format/digest.ts";
import { openFsBed, type FsBed } from "./testing/fs-bed.ts";

const run = promisify(execFile);
const BIG = noise(7, 900_000);
const DATE = "Mon, 03 Feb 2020 04:05:06 GMT";

let bed: FsBed;
let version: string;

before(async () => {
  bed = await openFsBed();
  const { push } = bed;
  push.write("big.bin", BIG);
  push.write("empty.txt", "");
  push.write("index.html", "<script>alert(1)</script>");
  push.write("notes/hello.txt", "hello world");
  push.write('notes/d\u00fc "x".txt', "awkward");
  await run("ln", ["-s", "hello.txt", `${push.source}/notes/near`]);
  await run("ln", ["-s", "../notes", `${push.source}/notes/loop`]);
  await run("ln", ["-s", "/etc/hostname", `${push.source}/out`]);
  await run("ln", ["-s", "self", `${push.source}/self`]);
  await run("touch", ["-d", "2020-02-03T04:05:06.5Z", `${push.source}/notes/hello.txt`]);
  version = await bed.publish("set:v1");
  await bed.publish("@team/set:v1");
});

after(async () => {
  await bed.close();
});

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  return bed.ask(path, headers, method);
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

  it("asked for in several parts, gives them in one body, what overlaps as one part; in too many, comes whole", async () => {
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
    const one = await ask("/fs/set/v1/big.bin", { range: "bytes=5-9, 8-20, 21-21" });
    assert.deepEqual([one.status, one.headers.get("content-range")], [206, "bytes 5-21/900000"]);
    assert.ok((await bytesOf(one)).equals(BIG.subarray(5, 22)));
    const many = Array.from({ length: 65 }, (_, index) => `${2 * index}-${2 * index}`).join();
    for (const range of [`bytes=${many}`, "bytes=5-1", "lines=0-9", "bytes=a-b", "bytes=-"]) {
      const whole = await ask("/fs/set/v1/big.bin", { range });
      assert.equal(whole.status, 200, range);
      await whole.body?.cancel();
    }
  });

  it("asked for under conditions, is sent only when they hold", async () => {
    const etag = `"${digestOf(Buffer.from("hello world"))}"`;
    const date = DATE;
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
      [{ range: "bytes=0-3", "if-range": `W/${etag}` }, 200],
      [{ range: "bytes=0-3", "if-range": date }, 200],
      [{ range: "bytes=0-3", "if-match": '"x"' }, 412],
      [{ range: "bytes=90-", "if-none-match": etag }, 304],
      [{ range: "bytes=0-3", "if-range": '"x"' }, 200],
      [{ range: "bytes=0-3", "if-range": before }, 200],
    ] as const) {
      const answer = await ask("/fs/set/v1/notes/hello.txt", headers);
      assert.equal(answer.status, status, JSON.stringify(headers));
      assert.equal(answer.headers.get("etag"), etag);
      await answer.arrayBuffer();
    }
    const byDigest = { range: "bytes=0-3", "if-range": date };
    const part = await ask(`/fs/set/${version}/notes/hello.txt`, byDigest);
    assert.equal(part.status, 206, "what a digest names has no other content of that date");
    await part.arrayBuffer();
  });

  it("asked for in any way, tells its digest; by HEAD, all that GET tells", async () => {
    const digest = `sha-256=:${Buffer.from(digestOf(BIG), "hex").toString("base64")}:`;
    for (const headers of [{}, { range: "bytes=5-9" }, { range: "bytes=5-9,100-109" }]) {
      const answer = await bed.raw("/fs/set/v1/big.bin", headers);
      assert.equal(answer.headers["repr-digest"], digest);
    }
    for (const path of ["big.bin", "notes/hello.txt", "empty.txt", "?archive=tar", ""]) {
      for (const headers of [
        {},
        { "accept-encoding": "gzip" },
        { "if-none-match": "*" },
        { "if-match": '"x"' },
      ]) {
        const [get, head] = [
          await bed.raw(`/fs/set/v1/${path}`, headers),
          await bed.raw(`/fs/set/v1/${path}`, headers, "HEAD"),
        ];
        for (const { headers: told } of [get, head]) {
          delete told.date;
          delete told["transfer-encoding"];
        }
        assert.deepEqual([head.status, head.headers], [get.status, get.headers], path);
        assert.equal(head.body.byteLength, 0);
      }
    }
  });

  it("asked for to be saved, says under which name", async () => {
    for (const [path, disposition] of [
      ["notes/hello.txt?download", 'attachment; filename="hello.txt"'],
      ["notes/hello.txt?download=other.txt", 'attachment; filename="other.txt"'],
      [
        "notes/hello.txt?download=a%2Fb%0d%0ax%22%5c%25",
        `attachment; filename="a_b__x___"; filename*=UTF-8''a_b__x%22_%25`,
      ],
      [
        "notes/d%C3%BC%20%22x%22.txt?download",
        `attachment; filename="d_ _x_.txt"; filename*=UTF-8''d%C3%BC%20%22x%22.txt`,
      ],
      [
        "notes/hello.txt?download=%ff'()*%F0%9F%98%80",
        `attachment; filename="_'()*_"; filename*=UTF-8''%EF%BF%BD%27%28%29%2A%F0%9F%98%80`,
      ],
    ] as const) {
      const { headers } = await bed.raw(`/fs/set/v1/${path}`);
      assert.equal(headers["content-disposition"], disposition);
    }
    assert.equal((await bed.raw("/fs/set/v1/notes/hello.txt")).headers["content-disposition"], undefined);
  });

  it("asked what may be done with it, says so", async () => {
    const answer = await bed.raw("/fs/set/v1/big.bin", { origin: "https://other.example" }, "OPTIONS");
    assert.deepEqual([answer.status, answer.headers.allow], [204, "GET, HEAD, OPTIONS"]);
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
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
    assert.deepEqual([put.status, put.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
  });

  it("of a version that another dataset has, is not there", async () => {
    bed.push.write("secret.txt", "of one dataset only");
    const secret = await bed.publish("secret:v1");
    assert.equal((await ask(`/fs/secret/${secret}/secret.txt`)).status, 200);
    const other = await ask(`/fs/set/${secret}/secret.txt`);
    assert.deepEqual(await codeOf(other), [404, "VERSION_NOT_FOUND"]);
  });

  it("that is small and was lost, is an error's status and no half answer", async () => {
    const lost = await openFsBed();
    try {
      lost.push.write("a", "a".repeat(1000));
      lost.push.write("b", BIG.subarray(0, 100_000));
      await lost.publish("set:v1");
      const { blocks } = lost.push.engine.store;
      for await (const { digest } of blocks.list()) await blocks.remove(digest);
      assert.deepEqual(await codeOf(await lost.ask("/fs/set/v1/a")), [500, "OBJECT_MISSING"]);
      const part = await lost.ask("/fs/set/v1/b", { range: "bytes=10-19" });
      assert.deepEqual(await codeOf(part), [500, "OBJECT_MISSING"]);
    } finally {
      await lost.close();
    }
  });

  it("read by curl in parts and resumed, is the same", async (t) => {
    if (!requirePeer(t, "curl")) return;
    const { stdout } = await run(
      "curl",
      ["-sS", "-f", "-C", "1000", "--path-as-is", `${bed.url}/fs/set/v1/big.bin`],
      { encoding: "buffer", maxBuffer: 2 * BIG.byteLength },
    );
    assert.ok(stdout.equals(BIG.subarray(1000)));
    const climb = await run("curl", ["-sS", "--path-as-is", `${bed.url}/fs/set/v1/../../x`]);
    assert.match(climb.stdout, /PATH_INVALID/);
    const here = `${bed.url}/fs/./set/v1/./notes/./hello.txt`;
    assert.equal((await run("curl", ["-sS", "--path-as-is", here])).stdout, "hello world");
  });
});
