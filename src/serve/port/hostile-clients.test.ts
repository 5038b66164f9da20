/** Clients that mean no good, or cannot do better: each is bounded, and others are served. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG, type LogFacts } from "../../base/log.ts";
import type { HttpHandler } from "../http-handler.ts";
import type { Port } from "./one-port.ts";
import { echo, raw, withPort } from "./testing/port-bed.ts";

/** When a limit does not hold, a test waits for it no longer than this. */
const TIMEOUT_MS = 60_000;

/** Sends without an end, as fast as it is taken. */
const endless: HttpHandler = async (_request, response) => {
  response.writeHead(200, { "content-type": "text/plain" });
  const gone = closed(response);
  const piece = Buffer.alloc(64 * KiB);
  for (let isOpen = true; isOpen;) {
    const written = new Promise<boolean>((resolve) => {
      response.write(piece, (error) => {
        resolve(error === null || error === undefined);
      });
    });
    isOpen = await Promise.race([written, gone.then(() => false)]);
  }
};

async function isServed(port: Port): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port.port}/others`, { headers: { connection: "close" } });
  assert.equal(await answer.text(), "GET /others 1.1 0\n");
}

/** Resolves when what it is given has closed. */
function closed(emitter: { once: (name: "close", done: () => void) => unknown }): Promise<void> {
  return new Promise((resolve) => emitter.once("close", resolve));
}

describe("a port, met by a client by HTTP/1.1", { timeout: TIMEOUT_MS }, () => {
  it("that closes its half after asking, gives it the whole answer", async () => {
    await withPort({}, async (port) => {
      const socket = net.connect({ port: port.port, host: "127.0.0.1", allowHalfOpen: true });
      socket.end("GET /half HTTP/1.1\r\nhost: a\r\n\r\n");
      let answer = "";
      socket.on("data", (bytes) => {
        answer += bytes.toString();
        if (answer.includes("GET /half")) socket.destroy();
      });
      await closed(socket);
      assert.match(answer, /200 OK[^]*GET \/half 1\.1 0/);
    });
  });

  it("that asks much ahead, works on one request at a time, and ends it beyond the limit", async () => {
    let atOnce = 0;
    let most = 0;
    const http: HttpHandler = async (request, response) => {
      most = Math.max(most, ++atOnce);
      await systemClock.sleep(2);
      atOnce--;
      response.end(request.url);
    };
    await withPort({ http, limits: { pipelinedMax: 8 } }, async (port) => {
      const ask = (count: number): string[] =>
        Array.from({ length: count }, (_, index) => {
          const last = index === count - 1 ? "connection: close\r\n" : "";
          return `GET /${index} HTTP/1.1\r\nhost: a\r\n${last}\r\n`;
        });
      const good = await raw(port, [ask(8).join("")]);
      assert.equal(good.match(/200 OK/g)?.length, 8);
      assert.equal(most, 1);
      const bad = await raw(port, [ask(500).join("")]);
      assert.ok((bad.match(/200 OK/g)?.length ?? 0) < 500);
    });
  });

  it("that does not read, ends it after a while", async () => {
    await withPort({ http: endless, limits: { stallMs: 100 } }, async (port) => {
      const socket = net.connect(port.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.pause();
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      while (port.load().exchanges === 0) await systemClock.sleep(5);
      while (port.load().exchanges > 0) await systemClock.sleep(5);
      socket.destroy();
    });
  });

  it("that waits for an answer which takes long, does not end it", async () => {
    const http: HttpHandler = async (_request, response) => {
      await systemClock.sleep(150);
      response.end("late");
    };
    await withPort({ http, limits: { stallMs: 20, idleMs: 20, sweepMs: 5 } }, async (port) => {
      assert.equal(await (await fetch(`http://127.0.0.1:${port.port}/`)).text(), "late");
    });
  });

  it("one too many, refuses it, and takes others when there is room again", async () => {
    await withPort({ limits: { connectionsMax: 2 } }, async (port) => {
      const connect = (): net.Socket => net.connect(port.port, "127.0.0.1").on("error", () => undefined);
      const first = [connect(), connect()];
      while (port.load().connections < 2) await systemClock.sleep(5);
      await closed(connect().resume());
      for (const socket of first) socket.destroy();
      while (port.load().connections > 0) await systemClock.sleep(5);
      await isServed(port);
    });
  });

  it("that is idle while the port closes, ends it at once", async () => {
    await withPort({}, async (port) => {
      const socket = net.connect(port.port, "127.0.0.1");
      const answered = new Promise((resolve) => socket.once("data", resolve));
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      await answered;
      const ended = closed(socket.resume());
      await port.close({ graceMs: 3_600_000 });
      await ended;
    });
  });
});

describe("a port, met by a client by HTTP/2", { timeout: TIMEOUT_MS }, () => {
  async function withSession(
    port: Port,
    work: (session: http2.ClientHttp2Session) => Promise<void>,
  ): Promise<void> {
    const session = http2.connect(`http://127.0.0.1:${port.port}`);
    session.on("error", () => undefined);
    try {
      await work(session);
    } finally {
      session.destroy();
    }
  }

  /** A stream that fails is a result too. */
  function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Promise<string> {
    const stream = session.request({ ":path": "/", ...headers });
    return new Promise((resolve) => {
      let text = "";
      stream.setEncoding("utf8").on("data", (part: string) => (text += part));
      stream.on("error", () => undefined);
      stream.once("close", () => {
        resolve(text);
      });
    });
  }

  it("that breaks its streams off as fast as it opens them, ends the session", async () => {
    await withPort({ http: endless, limits: { resetBurst: 50, resetsPerSecond: 1 } }, async (port) => {
      await withSession(port, async (session) => {
        const gone = closed(session);
        while (!session.destroyed && !session.closed) {
          const stream = session.request({ ":path": "/" });
          stream.on("error", () => undefined);
          stream.close(http2.constants.NGHTTP2_CANCEL);
          await systemClock.sleep(1);
        }
        await gone;
      });
    });
  });

  it("that names two hosts, refuses", async () => {
    await withPort({}, async (port) => {
      await withSession(port, async (session) => {
        const authority = `127.0.0.1:${port.port}`;
        assert.match(await ask(session, { host: "other", ":authority": authority }), /ARGUMENT_INVALID/);
        assert.equal(await ask(session, { host: authority, ":authority": authority }), "GET / 2.0 0\n");
        assert.equal(await ask(session, {}), "GET / 2.0 0\n");
      });
    });
  });

  it("that does not read one stream, ends that stream, and serves the others", async () => {
    const http: HttpHandler = (request, response) =>
      request.url === "/endless" ? endless(request, response) : echo().http(request, response);
    await withPort({ http, limits: { stallMs: 100 } }, async (port) => {
      await withSession(port, async (session) => {
        const stalled = session.request({ ":path": "/endless" });
        stalled.on("error", () => undefined);
        stalled.pause();
        assert.equal(await ask(session, { ":path": "/a" }), "GET /a 2.0 0\n");
        await closed(stalled);
        assert.equal(await ask(session, { ":path": "/b" }), "GET /b 2.0 0\n");
      });
    });
  });

  it("that stops sending a body, ends that stream", async () => {
    await withPort({ limits: { stallMs: 50 } }, async (port) => {
      await withSession(port, async (session) => {
        const stream = session.request({ ":path": "/", ":method": "POST" });
        stream.on("error", () => undefined);
        stream.write("x");
        await closed(stream);
      });
    });
  });

  it("that sends too many headers, or too large ones, refuses these streams only", async () => {
    await withPort({ limits: { headersMax: 20, headerBytesMax: 4 * KiB } }, async (port) => {
      await withSession(port, async (session) => {
        const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`x-${index}`, "y"]));
        assert.ok(!(await ask(session, many)).includes("GET"));
        assert.equal(await ask(session, { ":path": "/ok" }), "GET /ok 2.0 0\n");
      });
      await withSession(port, async (session) => {
        assert.ok(!(await ask(session, { big: "z".repeat(16 * KiB) })).includes("GET"));
      });
      await isServed(port);
    });
  });

  it("that asks for nothing, ends the session, also while it sends pings", async () => {
    await withPort({ limits: { idleMs: 60, sweepMs: 10 } }, async (port) => {
      await withSession(port, async (session) => {
        const gone = closed(session);
        while (!session.destroyed && !session.closed) {
          session.ping(() => undefined);
          await systemClock.sleep(5);
        }
        await gone;
      });
    });
  });

  it("that sends without being read, holds it back at the window", async () => {
    const http: HttpHandler = async (request) => {
      await new Promise((resolve) => request.once("close", resolve));
    };
    const limits = { streamWindowBytes: 128 * KiB, sessionWindowBytes: 256 * KiB };
    await withPort({ http, limits }, async (port) => {
      await withSession(port, async (session) => {
        const stream = session.request({ ":path": "/", ":method": "POST" });
        stream.on("error", () => undefined);
        let sent = 0;
        for (let piece = 0; piece < 64; piece++)
          stream.write(Buffer.alloc(64 * KiB), () => (sent += 64 * KiB));
        await systemClock.sleep(200);
        assert.ok(sent < MiB, `${sent} bytes were taken`);
        stream.close();
      });
    });
  });

  it("with a request under way while the port closes, tells it to go, answers, and takes nothing new", async () => {
    const { http, release, waiting } = echo();
    await withPort({ http }, async (port) => {
      await withSession(port, async (session) => {
        const goaway = new Promise((resolve) => session.once("goaway", resolve));
        const answer = ask(session, { ":path": "/wait" });
        await waiting;
        const ended = port.close({ graceMs: 60_000 });
        await goaway;
        release();
        assert.equal(await answer, "GET /wait 2.0 0\n");
        await ended;
      });
    });
  });
});

describe("a client that goes in the middle of its body", { timeout: TIMEOUT_MS }, () => {
  it("is no error of the hub's", async () => {
    const told: string[] = [];
    const failed = Promise.withResolvers<undefined>();
    const log = {
      ...SILENT_LOG,
      error: (_facts: LogFacts, message: string) => void told.push(message),
      debug: (_facts: LogFacts, message: string) => {
        if (message === "a client has gone") failed.resolve(undefined);
      },
    };
    await withPort({ log }, async (port) => {
      const socket = net.connect(port.port, "127.0.0.1");
      socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx");
      while (port.load().exchanges === 0) await systemClock.sleep(5);
      socket.destroy();
      await failed.promise;
      assert.deepEqual(told, []);
      await isServed(port);
    });
  });
});
