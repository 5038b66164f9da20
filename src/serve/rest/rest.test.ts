/** The transcoder, over a service that tells what it was asked. The examples of all operations: test/rest.test.ts. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { BlockAPI } from "../../gen/aetherfs/block/v1/api_pb.ts";
import { DatasetAPI } from "../../gen/aetherfs/dataset/v1/api_pb.ts";
import { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import { rpcService } from "../../rpc/rpc-service.ts";
import { sendProblem, type HttpResponse } from "../http-handler.ts";
import { createRest } from "./rest.ts";

let asked: unknown;
const aborted = Promise.withResolvers<string>();

const catalog = rpcService(CatalogAPI, {
  listDatasets: async (request) => {
    asked = request;
    return { names: ["a", "@b/c"], nextPageToken: "t" };
  },
  resolve: async (request) => {
    asked = request;
    if (request.tag === "none") throw new AetherError("TAG_NOT_FOUND", "no tag", { data: { tag: "none" } });
    if (request.tag === "crash") throw new Error("secret insides");
    return { name: request.name, digest: request.digest, tag: request.tag, entry: { number: 2n ** 60n } };
  },
  setTag: async (request) => {
    asked = request;
    return { moved: true };
  },
  rollback: async (request) => {
    asked = request;
    return {};
  },
  async *watchEvents(request, { signal }) {
    asked = request;
    if (request.name === "none") throw new AetherError("DATASET_NOT_FOUND", "no dataset");
    for (let sequence = request.sequence; sequence < 4n; sequence++) yield { sequence, tag: "t" };
    if (request.name === "broken") throw new AetherError("STORE_UNAVAILABLE", "gone");
    if (request.untilNow) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        aborted.resolve("aborted");
        resolve();
      });
    });
  },
});

const block = rpcService(BlockAPI, {
  lookup: async ({ signature }) => {
    if (signature !== "s=") throw new AetherError("PATH_NOT_FOUND", "no block");
    return {};
  },
  async *download({ offset, size }) {
    for (let index = 0n; index < size; index++) yield { part: Buffer.from(String(offset + index)) };
  },
  upload: async (parts, { requestHeader }) => {
    let bytes = 0;
    for await (const { part } of parts) bytes += part.byteLength;
    return { signature: `${requestHeader.get("x-afs-block-signature") ?? ""} ${bytes}` };
  },
});

const dataset = rpcService(DatasetAPI, {
  lookup: async (request) => {
    asked = request;
    return { dataset: { blocks: ["x"] } };
  },
});

let server: Server;
let base = "";
before(async () => {
  const rest = createRest([catalog, block, dataset], { clock: systemClock, version: "1.2.3" });
  server = createServer((request, response) => {
    rest(request, response as HttpResponse).catch((error: unknown) => {
      sendProblem(response, error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});

async function ask(
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${base}${path}`, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

function json(method: string, body: string, type = "application/json"): RequestInit {
  return { method, body, headers: { "content-type": type } };
}

function fields(names: readonly string[]): unknown[] {
  return names.map((name) => (asked as Record<string, unknown>)[name]);
}

describe("REST", () => {
  it("of a query, reads fields under both of their names, and answers in camelCase", async () => {
    const { status, body } = await ask("/api/v1/catalog?pageSize=7&page_token=x");
    assert.deepEqual([status, body], [200, { names: ["a", "@b/c"], nextPageToken: "t" }]);
    assert.deepEqual(fields(["pageSize", "pageToken"]), [7, "x"]);
  });

  it("of a path, reads plain and scoped names, also with an encoded slash, and int64 as text", async () => {
    for (const name of ["maxmind", "@acme/maxmind", "@acme%2Fmaxmind"]) {
      const { body } = await ask(`/api/v1/catalog/${name}/tags/v1%2B`);
      assert.deepEqual([body["name"], body["tag"]], [decodeURIComponent(name), "v1+"]);
      assert.equal((body["entry"] as Record<string, unknown>)["number"], "1152921504606846976");
    }
    await ask("/api/v1/catalog/@a/b/versions/sha256:00");
    assert.deepEqual(fields(["name", "digest", "tag"]), ["@a/b", "sha256:00", ""]);
    await ask("/api/v1/datasets/@a/b/tags/c");
    const { tag } = asked as { tag: { name: string; version: string } };
    assert.deepEqual([tag.name, tag.version], ["@a/b", "c"]);
  });

  it("of a body, reads its fields; the path says the rest", async () => {
    const body = { name: "ignored", fromTag: "latest", annotations: { message: "ä", labels: { a: "b" } } };
    const answer = await ask("/api/v1/catalog/a/tags/b", json("PUT", JSON.stringify(body)));
    assert.deepEqual([answer.status, answer.body["moved"]], [200, true]);
    assert.deepEqual(fields(["name", "tag", "fromTag"]), ["a", "b", "latest"]);
    assert.equal((await ask("/api/v1/catalog/a/tags/b:rollback", json("POST", ""))).status, 200);
    assert.deepEqual(fields(["name", "tag"]), ["a", "b"]);
  });

  it("of what does not fit, says so with a problem", async () => {
    const put = (body: string, type?: string) => ask("/api/v1/catalog/a/tags/b", json("PUT", body, type));
    for (const answer of [
      await ask("/api/v1/catalog?pageSize=many"),
      await ask("/api/v1/catalog?none=1"),
      await ask("/api/v1/catalog?pageSize=1&pageSize=2"),
      await ask("/api/v1/catalog/a/events?untilNow=perhaps"),
      await put("{"),
      await put("[]"),
      await put('{"none":1}'),
      await put('{"annotations":{"labels":{"a":1}}}'),
      await ask("/api/v1/catalog/%zz/tags/b"),
      await ask("/api/v1/catalog/a/tags/b?fromTag=x", json("PUT", "{}")),
    ]) {
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
      assert.match(String(answer.body["code"]), /^(ARGUMENT|PATH)_INVALID$/);
    }
    assert.equal((await put(JSON.stringify({ name: "x".repeat(2 ** 20) }))).status, 413);
  });

  it("of a body in another form, answers 415 and tells the one that it takes", async () => {
    const tags = "/api/v1/catalog/a/tags/b";
    const gzip = { "content-type": "application/json", "content-encoding": "gzip" };
    for (const [path, init, taken] of [
      [tags, json("PUT", "a=b", "application/x-www-form-urlencoded"), "application/json"],
      [tags, { ...json("PUT", "x"), headers: gzip }, "application/json"],
      ["/api/v1/blocks", json("POST", "{}"), "application/octet-stream"],
    ] as const) {
      const response = await fetch(`${base}${path}`, init);
      assert.deepEqual([response.status, response.headers.get("accept")], [415, taken]);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      await response.body?.cancel();
    }
  });

  it("of a method that fails, tells the table's code, and of insides nothing", async () => {
    const none = await ask("/api/v1/catalog/a/tags/none");
    assert.equal(none.status, 404);
    assert.deepEqual([none.body["code"], none.body["data"]], ["TAG_NOT_FOUND", { tag: "none" }]);
    const crash = await ask("/api/v1/catalog/a/tags/crash");
    assert.equal(crash.status, 500);
    assert.doesNotMatch(JSON.stringify(crash.body), /secret/);
  });

  it("of a path without that method, tells which it has; of no path, that there is none", async () => {
    const response = await fetch(`${base}/api/v1/catalog/a/tags/b`, { method: "PATCH" });
    await response.body?.cancel();
    assert.equal(response.status, 405);
    assert.deepEqual(response.headers.get("allow")?.split(", ").sort(), ["GET", "HEAD", "PUT"]);
    assert.equal((await ask("/api/v9/nothing")).status, 404);
    const head = await fetch(`${base}/api/v1/catalog`, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const events = await fetch(`${base}/api/v1/catalog/a/events`, { method: "HEAD" });
    assert.deepEqual([events.status, events.headers.get("allow")], [405, "GET"]);
  });

  it("of a stream, answers with lines, or with events that can be resumed", async () => {
    const lines = await (await fetch(`${base}/api/v1/catalog/a/events?sequence=2&untilNow=true`)).text();
    assert.deepEqual(
      lines
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { sequence: string }).sequence),
      ["2", "3"],
    );
    const headers = { accept: "text/event-stream", "last-event-id": "2" };
    const response = await fetch(`${base}/api/v1/catalog/a/events?sequence=1&untilNow=true`, { headers });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const list = await fetch(`${base}/api/v1/catalog`, { headers });
    assert.equal(list.status, 200, "a list has nothing to resume");
    await list.body?.cancel();
    assert.match(await response.text(), /^id: 3\ndata: \{"sequence":"3",.*\}\n\n$/);
  });

  it("of a stream that fails, answers with the problem, or ends with it", async () => {
    assert.equal((await ask("/api/v1/catalog/none/events")).status, 404);
    const text = await (await fetch(`${base}/api/v1/catalog/broken/events?sequence=3`)).text();
    const [first = "", last = ""] = text.trim().split("\n");
    assert.equal((JSON.parse(first) as { sequence: string }).sequence, "3");
    assert.equal((JSON.parse(last) as { error: { code: string } }).error.code, "STORE_UNAVAILABLE");
  });

  it("of a stream whose client goes away, ends the method", async () => {
    const controller = new AbortController();
    const response = await fetch(`${base}/api/v1/catalog/a/events?sequence=3`, { signal: controller.signal });
    const reader = response.body?.getReader();
    assert.match(Buffer.from((await reader?.read())?.value ?? []).toString(), /"sequence":"3"/);
    controller.abort();
    assert.equal(await aborted.promise, "aborted");
  });

  it("of bytes, sends and takes them as they are", async () => {
    const response = await fetch(`${base}/api/v1/blocks/s%3D?offset=8&size=4`);
    assert.equal(response.headers.get("content-type"), "application/octet-stream");
    assert.equal(await response.text(), "891011");
    assert.equal((await fetch(`${base}/api/v1/blocks/s=`, { method: "HEAD" })).status, 200);
    assert.equal((await fetch(`${base}/api/v1/blocks/t=`, { method: "HEAD" })).status, 404);
    const headers = {
      "content-type": "application/octet-stream",
      "Grpc-Metadata-x-afs-block-signature": "sig",
    };
    const { body } = await ask("/api/v1/blocks", { method: "POST", headers, body: Buffer.alloc(100_000) });
    assert.equal(body["signature"], "sig 100000");
  });
});
