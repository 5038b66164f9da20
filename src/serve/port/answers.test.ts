/** Answers to clients that do not read, beside those of others, over a port as a hub has it. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { request as ask } from "node:http";
import { describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { Answers, answerLimitsOf, type AnswerLimits } from "../answers.ts";
import { Body } from "../body.ts";
import type { HttpHandler } from "../http-handler.ts";
import type { Port } from "./one-port.ts";
import { withPort } from "./testing/port-bed.ts";

const TIMEOUT_MS = 60_000;
const STREAM_BYTES = 32 * MiB;
const PIECE_BYTES = 64 * KiB;
/** For a client that is another one to the hub. */
const OTHER_ADDRESS = "127.0.0.2";

interface Bed {
  readonly port: Port;
  /** Answers that are sent piece by piece now, and those of them that were broken off. */
  readonly load: { streams: number; brokenOff: number };
}

/** A port that answers /small with one piece, and all else with STREAM_BYTES. */
async function withAnswers(limits: Partial<AnswerLimits>, work: (bed: Bed) => Promise<void>): Promise<void> {
  const answers = new Answers({ ...answerLimitsOf(64 * MiB), ...limits }, systemClock);
  const load = { streams: 0, brokenOff: 0 };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const piece = Buffer.alloc(PIECE_BYTES, "x");
    let sent = 0;
    load.streams++;
    try {
      for (; sent < STREAM_BYTES; sent += PIECE_BYTES) yield piece;
    } finally {
      load.streams--;
      if (sent < STREAM_BYTES) load.brokenOff++;
    }
  }
  const http: HttpHandler = (request, response) =>
    answers.run(request, response, async (answer) => {
      if (request.url === "/small") {
        response.end("small");
        return;
      }
      await answer.stream();
      response.writeHead(200);
      await new Body(response).send(answer.sent(pieces()));
    });
  await withPort({ http }, (port) => work({ port, load }));
}

interface Got {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly bytes: number;
}

function get(port: Port, path: string, localAddress = "127.0.0.1"): Promise<Got> {
  return new Promise((resolve, reject) => {
    const to = { host: "127.0.0.1", port: port.port, path, localAddress, agent: false };
    const asked = ask(to, (answer) => {
      let bytes = 0;
      answer.on("data", (part: Buffer) => (bytes += part.byteLength));
      answer.on("error", reject);
      const { statusCode: status = 0, headers } = answer;
      answer.on("end", () => {
        resolve({ status, retryAfter: headers["retry-after"], bytes });
      });
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Asks for streams, and takes nothing of them; returns what ends it. */
function stallOverHttp1(port: Port, count: number, localAddress: string): () => void {
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect({ port: port.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => undefined);
    socket.pause();
    socket.write("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n");
    return socket;
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

function stallOverHttp2(port: Port, count: number, localAddress: string): () => void {
  const url = `http://127.0.0.1:${port.port}`;
  const session = http2.connect(url, {
    createConnection: () => net.connect({ port: port.port, host: "127.0.0.1", localAddress }),
  });
  session.on("error", () => undefined);
  for (let index = 0; index < count; index++) {
    const stream = session.request({ ":path": "/stream" });
    stream.on("error", () => undefined);
    stream.pause();
  }
  return () => {
    session.destroy();
  };
}

const WAYS = { "HTTP/1.1": stallOverHttp1, "HTTP/2": stallOverHttp2 } as const;
const PATIENT = { streamsMax: 8, idleMs: 3_600_000 };

for (const [way, stall] of Object.entries(WAYS)) {
  describe(`answers to many who do not read, by ${way},`, { timeout: TIMEOUT_MS }, () => {
    it("leave room for other clients", async (t) => {
      if (process.platform !== "linux") {
        t.skip("the machine has one loopback address");
        return;
      }
      await withAnswers(PATIENT, async ({ port, load }) => {
        const end = stall(port, 50, OTHER_ADDRESS);
        while (load.streams < 6) await systemClock.sleep(5);
        const all = await Promise.all([get(port, "/stream"), get(port, "/small"), get(port, "/stream")]);
        assert.deepEqual(
          all.map(({ bytes }) => bytes),
          [STREAM_BYTES, 5, STREAM_BYTES],
        );
        assert.deepEqual(load, { streams: 6, brokenOff: 0 });
        end();
      });
    });

    it("are ended when the same client asks for more and reads it; what is small waits for none of them", async () => {
      await withAnswers({ streamsMax: 8, idleMs: 100 }, async ({ port, load }) => {
        const end = stall(port, 6, "127.0.0.1");
        while (load.streams < 6) await systemClock.sleep(5);
        assert.equal((await get(port, "/small")).bytes, 5);
        assert.equal(load.brokenOff, 0);
        assert.equal((await get(port, "/stream")).bytes, STREAM_BYTES);
        assert.notEqual(load.brokenOff, 0);
        end();
      });
    });

    it("wait in bounded number: the next is refused, and told when to come again", async () => {
      await withAnswers({ ...PATIENT, waitersMax: 4 }, async ({ port, load }) => {
        const end = stall(port, 9, "127.0.0.1");
        while (load.streams < 6) await systemClock.sleep(5);
        const more = Array.from({ length: 5 }, () => get(port, "/stream"));
        const refused = await Promise.any(
          more.map(async (got) => {
            assert.equal((await got).status, 503);
            return got;
          }),
        );
        assert.deepEqual([refused.status, refused.retryAfter], [503, "5"]);
        assert.equal((await get(port, "/small")).bytes, 5);
        end();
        await Promise.all(more);
        assert.equal((await get(port, "/stream")).bytes, STREAM_BYTES);
      });
    });
  });
}

for (const [way, stall] of Object.entries(WAYS)) {
  describe(`when a client has gone, by ${way},`, { timeout: TIMEOUT_MS }, () => {
    for (const kind of ["wanted", "inTurns"] as const) {
      it(`pieces of which nothing was sent yet are asked for no more (${kind})`, async () => {
        const answers = new Answers(answerLimitsOf(64 * MiB), systemClock);
        let made = 0;
        async function* endless(): AsyncGenerator<number> {
          for (;;) {
            await immediate();
            yield made++;
          }
        }
        const ended = Promise.withResolvers<unknown>();
        const http: HttpHandler = (request, response) =>
          answers
            .run(request, response, async (answer) => {
              for await (const piece of answer[kind](endless())) assert.equal(piece, made - 1);
            })
            .catch(ended.resolve);
        await withPort({ http }, async (port) => {
          const end = stall(port, 1, "127.0.0.1");
          while (made < 3) await systemClock.sleep(5);
          end();
          assert.equal(codeOf(await ended.promise), "CANCELLED");
        });
      });
    }
  });
}

describe("pieces that cost processor time", () => {
  it("of many answers, are made a few in a turn of the event loop", async () => {
    const answers = new Answers(answerLimitsOf(64 * MiB), systemClock);
    let made = 0;
    async function* pieces(): AsyncGenerator<string> {
      for (let index = 0; index < 20; index++) {
        made++;
        yield "";
      }
    }
    const http: HttpHandler = (request, response) =>
      answers.run(request, response, async (answer) => {
        const all = Array.from({ length: 100 }, async () => {
          for await (const piece of answer.inTurns(pieces())) assert.equal(piece, "");
        });
        let most = 0;
        for (let isOver = false as boolean; !isOver;) {
          const before = made;
          isOver = await Promise.race([Promise.all(all).then(() => true), immediate().then(() => false)]);
          most = Math.max(most, made - before);
        }
        response.end(`${made} ${most <= 4}`);
      });
    await withPort({ http }, async (port) => {
      assert.equal(await (await fetch(`http://127.0.0.1:${port.port}/`)).text(), "2000 true");
    });
  });
});

function immediate(): Promise<unknown> {
  return new Promise(setImmediate);
}
