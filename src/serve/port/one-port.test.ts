/** One port, met by clients that are not ours, and by raw bytes. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../base/clock.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { makeCertificate } from "../../../test/certificate.ts";
import { requirePeer } from "../../../test/peers.ts";
import type { HttpHandler } from "../http-handler.ts";
import { refuse } from "../request-body.ts";
import type { PortTls } from "./certificates.ts";
import { openPort } from "./one-port.ts";
import { echo, raw, withPort } from "./testing/port-bed.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "aetherfs-port-"));
after(() => {
  rmSync(folder, { recursive: true });
});

async function curl(...words: string[]): Promise<string> {
  return (await run("curl", ["-sS", "--max-time", "20", ...words])).stdout;
}

function certify(name: string, serial: number): PortTls {
  return { caFile: undefined, ...makeCertificate(join(folder, name), serial), reloadMs: 20 };
}

describe("one port", () => {
  it("met by curl, answers HTTP/1.1, an upgrade to HTTP/2, and HTTP/2 by prior knowledge", async (t) => {
    if (!requirePeer(t, "curl")) return;
    await withPort({}, async ({ port }) => {
      const url = `http://127.0.0.1:${port}/a?b`;
      assert.equal(await curl(url, "--next", "--http1.1", url), "GET /a?b 1.1 0\n".repeat(2));
      assert.equal(await curl("--http2", url), "GET /a?b 1.1 0\n");
      const body = join(folder, "body");
      writeFileSync(body, "x".repeat(300_000));
      const posted = await curl("--http2-prior-knowledge", "--data-binary", `@${body}`, url);
      assert.equal(posted, "POST /a?b 2.0 300000\n");
    });
  });

  it("met by h2load, answers every request of many connections and streams", async (t) => {
    if (!requirePeer(t, "h2load")) return;
    await withPort({}, async ({ port }) => {
      const url = `http://127.0.0.1:${port}/`;
      const { stdout } = await run("h2load", ["-n", "2000", "-c", "20", "-m", "20", url]);
      assert.match(stdout, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    });
  });

  it("passes streams of application/grpc on, and gRPC-Web to HTTP", async () => {
    await withPort({}, async ({ port }) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      try {
        const ask = async (type: string): Promise<string> => {
          const stream = session.request({ ":method": "POST", ":path": "/s/M", "content-type": type });
          stream.end();
          return (await stream.setEncoding("utf8").toArray()).join("");
        };
        assert.equal(await ask("application/grpc+proto"), "grpc");
        assert.equal(await ask("application/grpc-web+proto"), "POST /s/M 2.0 0\n");
      } finally {
        session.destroy();
      }
    });
  });

  it("given a preface or a request byte by byte, answers", async () => {
    await withPort({ limits: { idleMs: 300, sweepMs: 50 } }, async (port) => {
      const request = "GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
      assert.match(await raw(port, Array.from(request), 1), /200 OK[^]*GET \/slow 1\.1 0/);
      const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
      const answer = await raw(port, [...Array.from(preface), "\0\0\0\x04\0\0\0\0\0"], 1);
      assert.equal(answer.charCodeAt(3), 4, "a SETTINGS frame");
    });
  });

  it("given pipelined requests, answers all in order", async () => {
    await withPort({}, async (port) => {
      const one = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
      const answer = await raw(port, [one("/1") + one("/2") + one("/3", "connection: close\r\n")]);
      assert.deepEqual(answer.match(/GET \/\d/g), ["GET /1", "GET /2", "GET /3"]);
    });
  });

  it("given nothing, half a preface, or headers that never end, closes the connection", async () => {
    await withPort({ limits: { helloMs: 50, headerMs: 50, sweepMs: 10 } }, async (port) => {
      assert.equal(await raw(port, []), "");
      assert.equal(await raw(port, ["PR"]), "");
      assert.match(await raw(port, ["GET / HTTP/1.1\r\nhost: a\r\n"]), /^HTTP\/1\.1 408 /);
    });
  });

  it("given a target in absolute form, takes the path and the host from there", async () => {
    const http: HttpHandler = async ({ url = "", headers: { host = "" } }, response) => {
      const text = `${url} of ${host}`;
      response.writeHead(200, { "content-length": text.length });
      response.end(text);
    };
    await withPort({ http }, async (port) => {
      for (const [target, expected] of [
        ["http://set.example:80/a?b", "/a?b of set.example:80"],
        ["HTTP://user@set.example?b", "/?b of set.example"],
        ["/a?b", "/a?b of other.example"],
      ]) {
        const head = `GET ${target} HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n`;
        assert.equal((await raw(port, [head])).trimEnd().split("\r\n").at(-1), expected);
      }
    });
  });

  it("asked whether a body may come, says so once it is read, and not when the request is refused", async () => {
    const http: HttpHandler = (request, response) =>
      request.method === "POST" ? echo().http(request, response) : refuse(request, response, new Error());
    await withPort({ http }, async (port) => {
      const head = "/ HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n";
      const socket = net.connect(port.port, "127.0.0.1");
      socket.write(`POST ${head}connection: close\r\n\r\n`);
      let taken = "";
      socket.on("data", (bytes) => {
        if (taken === "") socket.write("abc");
        taken += bytes.toString();
      });
      await new Promise((resolve) => socket.once("close", resolve));
      assert.match(taken, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*POST \/ 1\.1 3\n/);
      assert.match(await raw(port, [`PUT ${head}\r\n`]), /^HTTP\/1\.1 500 /);
    });
  });

  it("refusing a body that is on its way, answers at once, and takes the rest", async () => {
    const http: HttpHandler = (request, response) => refuse(request, response, new Error());
    await withPort({ http }, async ({ port }) => {
      const socket = net.connect(port, "127.0.0.1");
      const answered = Promise.withResolvers<string>();
      socket.on("data", (bytes) => {
        answered.resolve(bytes.toString());
      });
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\nbegun");
      assert.match(await answered.promise, /^HTTP\/1\.1 500 [^]*connection: close/);
      socket.write("x".repeat(4_999_995));
      await closed;
    });
  });

  it("given a body that stops coming, closes the connection", async () => {
    await withPort({ limits: { stallMs: 100 } }, async (port) => {
      const begun = ["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n", "x"];
      assert.equal(await raw(port, begun), "");
    });
  });

  it("given headers over the limit or bytes that are no protocol, refuses these and serves others", async () => {
    await withPort({ limits: { headerBytesMax: 2048, idleMs: 300, sweepMs: 50 } }, async (port) => {
      const long = `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(4000)}\r\n\r\n`;
      assert.match(await raw(port, [long]), /^HTTP\/1\.1 431 /);
      assert.match(await raw(port, ["\0\0\0\0\r\n\r\n"]), /^HTTP\/1\.1 400 /);
      assert.equal(await raw(port, ["\x16\x03\x01"]), "", "TLS where there is none");
      await raw(port, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\xff\xff\xff\x09\x09\x09\x09\x09\x09"]);
      assert.match(await raw(port, ["GET /ok HTTP/1.0\r\n\r\n"]), /GET \/ok 1\.0/);
    });
  });

  it("of a handler that fails, answers with the problem, and with nothing of the insides", async () => {
    await withPort({}, async ({ port }) => {
      const known = await fetch(`http://127.0.0.1:${port}/fail`);
      assert.equal(known.status, 404);
      assert.equal(known.headers.get("content-type"), "application/problem+json");
      assert.equal(((await known.json()) as { code: string }).code, "TAG_NOT_FOUND");
      const crash = await fetch(`http://127.0.0.1:${port}/crash`);
      assert.equal(crash.status, 500);
      assert.doesNotMatch(await crash.text(), /secret/);
    });
  });

  it("that closes, finishes what is under way, and takes nothing new", async () => {
    const { http, release, waiting } = echo();
    await withPort({ http }, async (port) => {
      const url = `http://127.0.0.1:${port.port}/wait`;
      const answer = fetch(url).then((response) => response.text());
      await waiting;
      const closed = port.close({ graceMs: 60_000 });
      await assert.rejects(fetch(url));
      release();
      assert.equal(await answer, "GET /wait 1.1 0\n");
      await closed;
    });
  });

  it("that closes while somebody never ends, breaks off after the grace time", async () => {
    const { http, waiting } = echo();
    await withPort({ http }, async (port) => {
      const answer = fetch(`http://127.0.0.1:${port.port}/wait`);
      const broken = assert.rejects(answer);
      await waiting;
      await port.close({ graceMs: 20 });
      await broken;
    });
  });

  it("that is taken, says so", async () => {
    await withPort({}, async ({ port }) => {
      const second = openPort({
        ...{ host: "127.0.0.1", port, tls: undefined, http: echo().http, grpc: () => undefined },
        ...{ log: SILENT_LOG, clock: systemClock },
      });
      await assert.rejects(second, { code: "CONFIG_INVALID", message: /listens there already/ });
    });
  });

  it("that is shared, is answered by each of those who listen there, and by the rest when one has left", async (t) => {
    if (process.platform !== "linux") {
      t.skip("ports are shared on Linux");
      return;
    }
    const named =
      (name: string): HttpHandler =>
      async (_request, response) => {
        response.end(name);
      };
    await withPort({ http: named("first"), isShared: true }, async ({ port }) => {
      const meet = async (): Promise<Set<string>> => {
        const names = new Set<string>();
        for (let connection = 0; connection < 60; connection++) {
          const url = `http://127.0.0.1:${port}/`;
          names.add(await (await fetch(url, { headers: { connection: "close" } })).text());
        }
        return names;
      };
      await withPort({ http: named("second"), isShared: true, port }, async () => {
        assert.deepEqual(await meet(), new Set(["first", "second"]));
      });
      assert.deepEqual(await meet(), new Set(["first"]));
      await assert.rejects(
        withPort({ port }, async () => undefined),
        { code: "CONFIG_INVALID" },
      );
    });
  });
});

describe("one port with TLS", () => {
  it("met by curl, speaks HTTP/1.1 and HTTP/2, and refuses what is not encrypted", async (t) => {
    if (!requirePeer(t, "curl") || !requirePeer(t, "openssl")) return;
    const files = certify("first", 1);
    await withPort({ tls: files }, async ({ port }) => {
      const trust = ["--cacert", files.certFile ?? ""];
      assert.equal(await curl(...trust, "--http1.1", `https://localhost:${port}/`), "GET / 1.1 0\n");
      assert.equal(await curl(...trust, "--http2", `https://localhost:${port}/`), "GET / 2.0 0\n");
      assert.match(await curl("-i", `http://localhost:${port}/`), /400[^]*speaks TLS/);
      const plain = curl("--http2-prior-knowledge", `http://localhost:${port}/`);
      await assert.rejects(plain);
    });
  });

  it("whose files change, shows the new certificate to new connections and keeps the old ones", async (t) => {
    if (!requirePeer(t, "openssl")) return;
    const files = certify("used", 100);
    const next = certify("next", 200);
    await withPort({ tls: files }, async ({ port }) => {
      const session = http2.connect(`https://localhost:${port}`, { rejectUnauthorized: false });
      const ask = async (): Promise<string> =>
        (await session.request({ ":path": "/" }).setEncoding("utf8").toArray()).join("");
      try {
        assert.equal(await ask(), "GET / 2.0 0\n");
        for (const file of ["certFile", "keyFile"] as const) renameSync(next[file] ?? "", files[file] ?? "");
        while ((await serialOf(port)) !== "C8") await systemClock.sleep(10);
        writeFileSync(files.certFile ?? "", "half a certif");
        assert.equal(await serialOf(port), "C8", "files that do not fit change nothing");
        assert.equal(await ask(), "GET / 2.0 0\n");
      } finally {
        session.destroy();
      }
    });
  });

  it("with authorities, lets only clients in that they certify", async (t) => {
    if (!requirePeer(t, "curl") || !requirePeer(t, "openssl")) return;
    const server = certify("mutual", 3);
    const client = certify("client", 4);
    await withPort({ tls: { ...server, caFile: client.certFile } }, async ({ port }) => {
      const words = ["--cacert", server.certFile ?? "", `https://localhost:${port}/`];
      const own = ["--cert", client.certFile ?? "", "--key", client.keyFile ?? ""];
      assert.equal(await curl(...own, ...words), "GET / 2.0 0\n");
      await assert.rejects(curl(...words));
    });
  });
});

function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}
