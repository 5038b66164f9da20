/** /fs of a hub in a process of its own, met by clients that mean no good: it goes on serving others, within its memory. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import { KiB, MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { parseReference } from "../../src/format/reference.ts";
import { connect } from "../../src/sdk/index.ts";
import { startHubProcess, type HubProcess } from "./hub-process.ts";
import { exchange, requestOf } from "./raw-client.ts";

const LIMIT_MIB = 256;
/**
 * What a hub may have resident beyond its limit: code, the runtime, threads, a thousand connections, and garbage. What the clients
 * here ask for together is some 17 GiB.
 */
const BEYOND_MIB = 320;
const BIG = noise(11, 48 * MiB);
const PART_BYTES = 256 * KiB;
const SMALL = Buffer.from("the right bytes\n");
const TIMEOUT_MS = 240_000;
/** Where those come from that do not read: another client's address where the machine has one. */
const SLOW_ADDRESS = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1";

let folder: string;
let hub: HubProcess;
let port: number;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "aetherfs-hostile-"));
  const source = join(folder, "source");
  mkdirSync(join(source, "sub"), { recursive: true });
  writeFileSync(join(source, "big.bin"), BIG);
  writeFileSync(join(source, "sub/small.txt"), SMALL);
  writeFileSync(join(source, "text.csv"), "some,lines,of,text\n".repeat(100_000));
  hub = await startHubProcess({ home: folder, words: ["--memory_limit", `${LIMIT_MIB}MiB`] });
  ({ port } = hub);
  const client = connect(hub.host, { cacheDir: join(folder, "cache") });
  try {
    await client.push({ source, tags: [tagOf(parseReference("set:one"))], publisher: "test" });
  } finally {
    await client.close();
  }
});
after(async () => {
  hub.kill("SIGKILL");
  await hub.ended;
  rmSync(folder, { recursive: true, force: true });
});

/** What anybody else sees meanwhile. */
async function isRight(): Promise<void> {
  const answer = await fetch(`${hub.url}/fs/set/one/sub/small.txt`);
  assert.equal(answer.status, 200);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), SMALL);
}

function checkMemory(): void {
  if (process.platform !== "linux") return;
  const [, kib = "0"] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${hub.pid}/status`, "utf8")) ?? [];
  const peak = Number(kib) / 1024;
  assert.ok(peak > 0 && peak <= LIMIT_MIB + BEYOND_MIB, `the hub had ${peak.toFixed(0)} MiB`);
}

describe("/fs, asked by raw bytes", { timeout: TIMEOUT_MS }, () => {
  it("for what lies outside of a version, has nothing", async () => {
    for (const path of [
      ...["../../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "sub/../../x", "..%2f..%2fetc%2fpasswd"],
      ...["sub//small.txt", "/sub/small.txt"],
      ...["sub\\small.txt", "sub%5csmall.txt", "..\\..\\etc", "sub/small.txt%00", "%00", "sub/small.txt/"],
      ...["%", "%2", "%zz", "%ff", "%c0%ae%c0%ae/", "%ed%a0%80", "sub/small.txt;v=1", "SUB/small.txt"],
      ...["x".repeat(5000), "sub/small.txt#a", "\xff\xfe", "~root", "sub%252fsmall.txt"],
    ]) {
      const { status, text } = await exchange(port, requestOf(`GET /fs/set/one/${path} HTTP/1.1`));
      assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
      assert.ok(!text.includes("root:"), path);
    }
    // Some clients write names with a colon like this. RFC 3986 §5.2.4
    for (const path of ["./sub/small.txt", "sub/./small.txt"]) {
      const { status } = await exchange(port, requestOf(`GET /fs/set/one/${path} HTTP/1.1`));
      assert.equal(status, 200, path);
    }
    await isRight();
  });

  it("for a target in absolute form, answers as for its path", async () => {
    for (const target of [
      "http://hub/fs/set/one/sub/small.txt",
      "HTTP://a:b@other:1/fs/set/one/sub/small.txt?x",
    ]) {
      const { status, text } = await exchange(port, requestOf(`GET ${target} HTTP/1.1`));
      assert.equal(status, 200, target);
      assert.ok(text.endsWith(`\r\n\r\n${SMALL.toString()}`));
    }
    for (const target of ["*", "hub:80", "ftp://hub/fs/", "http:/fs/", "fs/set/one/"]) {
      assert.equal((await exchange(port, requestOf(`GET ${target} HTTP/1.1`))).status, 400, target);
    }
  });

  it("in ways by which proxies are deceived, refuses, and answers nothing behind", async () => {
    const second = "GET /fs/set/one/sub/small.txt HTTP/1.1\r\nhost: hub\r\n\r\n";
    const body = `0\r\n\r\n${second}`;
    for (const head of [
      `content-length: ${body.length}\r\ntransfer-encoding: chunked`,
      "content-length: 5\r\ncontent-length: 6",
      `content-length: ${body.length}\r\ncontent-length: ${body.length}`,
      "host: other\r\ncontent-length: 0",
      "Host: hub\r\ncontent-length: 0",
      "content-length: 5, 6",
      "content-length: +5",
      "content-length: 0x5",
      "content-length: 5 5",
      "content-length: -1",
      "transfer-encoding: chunked, identity",
      "transfer-encoding: xchunked",
      "transfer-encoding : chunked",
      "transfer-encoding:\x0bchunked",
      "x: y\r\n folded: z",
      "x\x00y: z",
      "x: a\x00b",
      "x: a\nb",
      "no colon",
      ": no name",
    ]) {
      const { status, answers, text } = await exchange(
        port,
        `POST /fs/ HTTP/1.1\r\nhost: hub\r\n${head}\r\n\r\n${body}`,
      );
      assert.deepEqual([status, answers], [400, 1], JSON.stringify(head));
      assert.ok(!text.includes(SMALL.toString()));
    }
    for (const line of ["GET /fs/ HTTP/9.9", "GET /fs/ a HTTP/1.1", "G\x00T /fs/ HTTP/1.1"]) {
      const { status } = await exchange(port, requestOf(line));
      assert.ok(status === 400 || status === 505, `${JSON.stringify(line)}: ${status}`);
    }
    await isRight();
  });

  it("with too much of a header, refuses it; for thousands of ranges, sends the whole once", async () => {
    const large = await exchange(port, requestOf("GET /fs/ HTTP/1.1", [`x: ${"y".repeat(100_000)}`]));
    assert.equal(large.status, 431);
    const target = await exchange(port, requestOf(`GET /fs/${"a/".repeat(30_000)} HTTP/1.1`));
    assert.ok(target.status === 431 || target.status === 414);
    const ranges = Array.from({ length: 3000 }, (_, index) => `${2 * index}-${2 * index}`).join();
    const many = await fetch(`${hub.url}/fs/set/one/text.csv`, { headers: { range: `bytes=${ranges}` } });
    assert.equal(many.status, 200);
    assert.equal((await many.arrayBuffer()).byteLength, 1_900_000);
    const overlapping = Array.from({ length: 60 }, () => "0-").join();
    const once = await fetch(`${hub.url}/fs/set/one/text.csv`, {
      headers: { range: `bytes=${overlapping}` },
    });
    assert.equal((await once.arrayBuffer()).byteLength, 1_900_000);
    await isRight();
  });

  it("for anything at all, never fails, and serves others meanwhile", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyRequest(), { minLength: 1, maxLength: 8 }), async (requests) => {
        await Promise.all(
          requests.map(async ([verb, where, what, headers]) => {
            const target = `${where}${what}`;
            const sent = requestOf(`${verb} ${target} HTTP/1.1`, headers);
            const { status } = await exchange(port, Buffer.from(`${sent}${verb === "POST" ? "body" : ""}`));
            assert.ok(status >= 200 && status < 500, `${status} for ${JSON.stringify(sent)}`);
          }),
        );
      }),
      { numRuns: 150 },
    );
    await isRight();
    assert.deepEqual(
      hub.log.filter(({ level }) => level === "error"),
      [],
    );
    checkMemory();
  });

  it("for much at once on one connection, answers in order", async () => {
    const starts = Array.from({ length: 40 }, (_, index) => (index * 7919) % 40_000_000);
    const asked = starts.map((start, index) => {
      const last = index === starts.length - 1 ? "connection: close\r\n" : "";
      return `GET /fs/set/one/big.bin HTTP/1.1\r\nhost: hub\r\nrange: bytes=${start}-${start + 99}\r\n${last}\r\n`;
    });
    const { text } = await exchange(port, asked.join(""));
    const bodies = text.split(/HTTP\/1\.1 206 [^]*?\r\n\r\n/).slice(1);
    const expected = starts.map((start) => Buffer.from(BIG.subarray(start, start + 100)).toString("latin1"));
    assert.deepEqual(bodies, expected);
  });

  it("with a body that nobody wants, refuses it, and takes the next request", async () => {
    const body = Buffer.alloc(4 * MiB, "GET /fs/set/one/sub/small.txt HTTP/1.1\r\nhost: hub\r\n\r\n");
    const head = `POST /fs/set/one/x HTTP/1.1\r\nhost: hub\r\ncontent-length: ${body.byteLength}\r\n\r\n`;
    const next = requestOf("GET /fs/set/one/sub/small.txt HTTP/1.1");
    const { status, answers, text } = await exchange(
      port,
      Buffer.concat([Buffer.from(head), body, Buffer.from(next)]),
    );
    assert.deepEqual([status, answers], [405, 2]);
    assert.ok(text.endsWith(SMALL.toString()));
  });
});

describe(
  "/fs, with a thousand idle clients, many that do not read, and two hundred busy ones",
  { timeout: TIMEOUT_MS },
  () => {
    it("serves every busy one rightly, within its memory", async () => {
      const sockets: net.Socket[] = [];
      const open = (text: string, localAddress = "127.0.0.1"): net.Socket => {
        const socket = net.connect({ port, host: "127.0.0.1", localAddress });
        socket.on("error", () => undefined);
        if (text !== "") socket.write(text);
        sockets.push(socket);
        return socket;
      };
      try {
        const get = (path: string, ...headers: string[]): string =>
          [`GET /fs/set/one/${path} HTTP/1.1`, "host: hub", ...headers, "", ""].join("\r\n");
        const kept = Array.from({ length: 1000 }, (_, index) =>
          open(index % 2 === 0 ? get("sub/small.txt") : get("").slice(0, -2)),
        );
        for (const socket of kept) socket.resume();
        for (let index = 0; index < 60; index++) {
          for (const asked of [
            get("big.bin"),
            get("?archive=tar"),
            get("?archive=zip"),
            get("?archive=tar.zst"),
            get("text.csv", "accept-encoding: gzip, identity;q=0"),
            get("big.bin", "range: bytes=0-30000000,31000000-47000000"),
          ]) {
            open(asked, SLOW_ADDRESS).pause();
          }
        }
        const busy = Array.from({ length: 200 }, async (_, client) => {
          for (let round = 0; round < 4; round++) {
            const start = (client * 104_729 + round * 7_919_777) % (BIG.byteLength - PART_BYTES);
            const bytes = await part(start);
            assert.equal(digest(bytes), digest(BIG.subarray(start, start + PART_BYTES)), String(start));
          }
        });
        for (let round = 0; round < 10; round++) await isRight();
        await Promise.all(busy);
        checkMemory();
      } finally {
        for (const socket of sockets) socket.destroy();
      }
      const underWay = /^aetherfs_requests_under_way\{interface="fs"\} (\d+)$/m;
      const deadline = AbortSignal.timeout(60_000);
      while (underWay.exec(await (await fetch(`${hub.url}/metrics`)).text())?.[1] !== "0") {
        await systemClock.sleep(20, deadline);
      }
      await isRight();
      assert.deepEqual(
        hub.log.filter(({ level }) => level === "error"),
        [],
      );
    });

    it("that read a little now and then, gives each what it reads, and others theirs", async () => {
      const readers = Array.from({ length: 20 }, (_, index) => new SlowReader(port, index * 1_000_003));
      try {
        for (let round = 0; round < 20; round++) {
          await Promise.all(readers.map((reader) => reader.readSome()));
          await isRight();
        }
        for (const reader of readers) reader.check();
        checkMemory();
      } finally {
        for (const reader of readers) reader.end();
      }
    });
  },
);

const PIECES =
  "fs set one sub small.txt text.csv .. . %2e %2f % %ff %00 @ @a latest sha256: @sha256:0 \\ a%20b é * ~ api".split(
    " ",
  );
const WORDS = "archive limit after download tar zip %zz 1 -1 = &".split(" ");
const NAMES = (
  "range if-range if-match if-none-match if-modified-since if-unmodified-since accept accept-encoding " +
  "want-repr-digest content-length expect te upgrade x"
).split(" ");
const VALUES = [
  ...["*", "bytes=0-", "bytes=-1", "bytes=5-1", '"x"', "W/", "gzip;q=9", "identity;q=0", "0", "100-continue"],
  ...["Sun, 06 Nov 1994 08:49:37 GMT", "h2c", "application/json;q=1,text/html;q=", ",,,", ";;q=;"],
];

/** Method, path, query and headers of a request, seldom of a sensible one. */
function anyRequest(): fc.Arbitrary<[string, string, string, string[]]> {
  const piece = fc.constantFrom(...PIECES, "", "x".repeat(300), `sha256:${"0".repeat(64)}`);
  const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join("/")}`);
  const word = fc.constantFrom(...WORDS, "");
  const query = fc.array(word, { maxLength: 6 }).map((words) => `?${words.join("=")}`);
  const text = fc.string({ maxLength: 40 }).map((any) => any.replace(/[^\x20-\x7e]/g, ""));
  const value = fc.oneof(fc.constantFrom(...VALUES), text);
  const header = fc.tuple(fc.constantFrom(...NAMES), value).map((pair) => pair.join(": "));
  const method = fc.constantFrom("GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "PROPFIND");
  return fc.tuple(method, path, query, fc.array(header, { maxLength: 5 }));
}

/** Part of the large file. A client that was slow to ask finds its connection closed, and opens another. RFC 9110 §9.2.2 */
async function part(start: number): Promise<Uint8Array> {
  const headers = { range: `bytes=${start}-${start + PART_BYTES - 1}` };
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await fetch(`${hub.url}/fs/set/one/big.bin`, { headers });
      // Whoever shares the address of those that do not read may be asked to come again.
      if (answer.status === 503 && SLOW_ADDRESS === "127.0.0.1") throw new Error("busy");
      assert.equal(answer.status, 206);
      return new Uint8Array(await answer.arrayBuffer());
    } catch (error) {
      if (error instanceof assert.AssertionError || attempt === 5) throw error;
    }
  }
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Asks for a large range, and takes one piece of it at a time. */
class SlowReader {
  readonly #socket: net.Socket;
  readonly #start: number;
  readonly #parts: Buffer[] = [];

  constructor(port: number, start: number) {
    this.#start = start;
    this.#socket = net.connect(port, "127.0.0.1");
    this.#socket.on("error", () => undefined);
    this.#socket.pause();
    this.#socket.write(`GET /fs/set/one/big.bin HTTP/1.1\r\nhost: hub\r\nrange: bytes=${start}-\r\n\r\n`);
  }

  async readSome(): Promise<void> {
    let part: unknown = this.#socket.read();
    while (part === null) {
      await new Promise((resolve) => this.#socket.once("readable", resolve));
      part = this.#socket.read();
    }
    this.#parts.push(part as Buffer);
  }

  check(): void {
    const all = Buffer.concat(this.#parts);
    const body = all.subarray(all.indexOf("\r\n\r\n") + 4);
    assert.ok(body.byteLength > 0);
    assert.ok(body.equals(BIG.subarray(this.#start, this.#start + body.byteLength)));
  }

  end(): void {
    this.#socket.destroy();
  }
}
