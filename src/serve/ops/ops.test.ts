/** What watches over a hub, met over HTTP. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import http2 from "node:http2";
import { describe, it } from "node:test";
import { OPEN_ACCESS } from "../../auth/access.ts";
import { systemClock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { testEngine } from "../../dataset/testing/engine.ts";
import { openStore } from "../../store/drivers/all.ts";
import { sendProblem, type HttpHandler } from "../http-handler.ts";
import { answerLimitsOf, Answers } from "../answers.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import type { Services } from "../services.ts";
import { createOps, type Ops } from "./ops.ts";

interface Bed {
  readonly ops: Ops;
  readonly services: Services;
  readonly stop: AbortController;
}

async function withBed(work: (bed: Bed) => Promise<void>): Promise<void> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  const engine = testEngine(store);
  const stop = new AbortController();
  const sessions = undefined as unknown as Services["sessions"];
  const services = {
    engine,
    sessions,
    tree: openStoreTree(engine),
    answers: new Answers(answerLimitsOf(engine.memoryBytes), engine.clock),
    access: OPEN_ACCESS,
    log: SILENT_LOG,
    stopping: stop.signal,
  };
  try {
    await work({ ops: createOps(services), services, stop });
  } finally {
    await engine.pool.close();
    await store.close();
  }
}

/** Status and text of one request. */
async function ask(handler: HttpHandler, method = "GET"): Promise<[number, string]> {
  const server = createServer((request, response) => {
    handler(request, response).catch((error: unknown) => {
      sendProblem(response, error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const answer = await fetch(`http://127.0.0.1:${address.port}/x`, { method });
    return [answer.status, await answer.text()];
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe("what watches over a hub", () => {
  it("asked while all is well, says so; other methods are refused", async () => {
    await withBed(async ({ ops }) => {
      assert.deepEqual(await ask(ops.healthz), [200, "ok\n"]);
      assert.deepEqual(await ask(ops.readyz), [200, "ready\n"]);
      assert.deepEqual(await ask(ops.healthz, "HEAD"), [200, ""]);
      assert.equal((await ask(ops.healthz, "POST"))[0], 405);
    });
  });

  it("asked while the hub stops, says that it lives and is not ready", async () => {
    await withBed(async ({ ops, stop }) => {
      stop.abort();
      assert.equal((await ask(ops.healthz))[0], 200);
      const [status, text] = await ask(ops.readyz);
      assert.deepEqual([status, (JSON.parse(text) as { code: string }).code], [503, "HUB_UNAVAILABLE"]);
    });
  });

  it("asked while the store fails, or hangs, says that the hub is not ready", async () => {
    await withBed(async ({ services }) => {
      const { engine } = services;
      const withNames = (
        listDatasets: (typeof engine.store.datasets)["listDatasets"],
        sleep = engine.clock.sleep,
      ): Ops =>
        createOps({
          ...services,
          engine: {
            ...engine,
            clock: { ...engine.clock, sleep },
            store: {
              ...engine.store,
              datasets: Object.assign(Object.create(engine.store.datasets) as typeof engine.store.datasets, {
                listDatasets,
              }),
            },
          },
        });
      const failing = withNames(() => {
        throw new AetherError("STORE_UNAVAILABLE", "gone");
      });
      assert.equal((await ask(failing.readyz))[0], 503);
      const hanging = withNames(
        async function* () {
          await new Promise(() => undefined);
          yield* [];
        },
        async () => undefined,
      );
      assert.match((await ask(hanging.readyz))[1], /did not answer within/);
    });
  });

  it("counts requests by interface, method and status, and shows the port and the process", async () => {
    await withBed(async ({ ops }) => {
      const counted = ops.meter.http("fs", async (_request, response) => {
        response.writeHead(404);
        response.end();
      });
      await ask(counted);
      await ask(counted);
      ops.meter.showPort(() => ({ connections: 3, receivedBytes: 40, sentBytes: 50 }));
      ops.meter.showScrub(() => ({ bytes: 9, rounds: 1, faults: 2, quarantined: 1 }));
      await ask(ops.metrics);
      const [, text] = await ask(ops.metrics);
      assert.match(text, /^aetherfs_requests_total\{interface="fs",method="GET",status="404"\} 2$/m);
      assert.match(text, /^aetherfs_request_seconds_count\{interface="fs",method="GET"\} 2$/m);
      assert.match(text, /^aetherfs_requests_under_way\{interface="fs"\} 0$/m);
      assert.match(text, /^aetherfs_connections 3$/m);
      assert.match(text, /^aetherfs_sent_bytes_total 50$/m);
      assert.match(text, /^aetherfs_scrub_faults_total 2$/m);
      assert.match(text, /^aetherfs_worker_threads 2$/m);
      assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
      assert.match(text, /^process_resident_memory_bytes /m);
    });
  });

  it("counts calls of gRPC; what is no method shares one line", async () => {
    await withBed(async ({ ops }) => {
      const server = http2.createServer();
      server.on("stream", (stream, headers) => {
        const status = headers[":path"] === "/a.B/C" ? "5" : "12";
        const answer = ops.meter.grpc((one) => {
          one.respond({ ":status": 200, "grpc-status": status }, { endStream: true });
        });
        answer(stream as http2.ServerHttp2Stream, headers);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const session = http2.connect(`http://127.0.0.1:${address.port}`);
      try {
        for (const path of ["/a.B/C", "/x/1", "/x/2"]) {
          await session.request({ ":path": path, ":method": "POST" }).toArray();
        }
      } finally {
        session.destroy();
        server.close();
      }
      const [, text] = await ask(ops.metrics);
      assert.match(text, /^aetherfs_requests_total\{interface="grpc",method="\/a.B\/C",status="5"\} 1$/m);
      assert.match(text, /^aetherfs_requests_total\{interface="grpc",method="other",status="12"\} 2$/m);
    });
  });
});
