import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { openSessions } from "../../dataset/ingest/hub-sessions.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { fileVersion, plainFrame } from "../../dataset/testing/hub-frames.ts";
import { BED_TAG, openPushBed, type PushBed } from "../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../dataset/workers/pool.ts";
import type { ReceivedFrame } from "../../dataset/ingest/sessions.ts";
import type { Digest } from "../../format/digest.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { PutFramesRequestSchema } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import type { BlockInfo } from "../../store/block-store.ts";
import { BODY_BYTES_MAX } from "../frame-message.ts";
import { sendProblem } from "../http-handler.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import { answerLimitsOf, Answers } from "../answers.ts";
import type { Services } from "../services.ts";
import { createBulk } from "./bulk.ts";

const REQUEST_MS_MAX = 30_000;

/** Everybody but "nobody" may read; datasets with "secret" in their name nobody. */
const ACCESS: Access = {
  identify: async ({ who }) => {
    await Promise.resolve();
    if (who === "nobody") throw new AetherError("UNAUTHENTICATED", "nobody");
    return { name: "test" };
  },
  check: async (_identity, _action, dataset) => {
    await Promise.resolve();
    if (dataset.includes("secret")) throw new AetherError("ACCESS_DENIED", "secret");
  },
};

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

let pool: WorkerPool;
let bed: PushBed;
let services: Services;
let server: http.Server;
const problems: unknown[] = [];

before(async () => {
  pool = new WorkerPool(2);
  bed = await openPushBed(pool);
  const sessions = openSessions(bed.engine, { log: SILENT_LOG });
  const stopping = new AbortController().signal;
  services = {
    engine: bed.engine,
    tree: openStoreTree(bed.engine),
    answers: new Answers(answerLimitsOf(bed.engine.memoryBytes), bed.engine.clock),
    sessions,
    access: ACCESS,
    log: SILENT_LOG,
    stopping,
  };
  const bulk = createBulk(services);
  server = http.createServer((request, response) => {
    bulk(request, response).catch((error: unknown) => {
      problems.push(error);
      sendProblem(response, error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

after(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await services.sessions.close();
  await bed.close();
  await pool.close();
});

function ask(
  path: string,
  options: { method?: string; headers?: http.OutgoingHttpHeaders; body?: Uint8Array } = {},
): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  const { method = "GET", headers = {}, body } = options;
  const signal = AbortSignal.timeout(REQUEST_MS_MAX);
  return new Promise((resolve, reject) => {
    const request = http.request({ port, path, method, headers, agent: false, signal }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers: its } = response;
        resolve({ status, headers: its, body: Buffer.concat(parts) });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function blocks(): Promise<BlockInfo[]> {
  const all: BlockInfo[] = [];
  for await (const block of bed.store.blocks.list()) all.push(block);
  return all;
}

function codeIn({ body }: Answer): unknown {
  return (JSON.parse(body.toString()) as Record<string, unknown>)["code"];
}

describe("blocks over HTTP", () => {
  let block: Digest;
  let bytes: Buffer;
  let path: string;

  before(async () => {
    bed.write("file", noise(1, 3 * MiB));
    await bed.push();
    const [first] = await blocks();
    assert.ok(first !== undefined);
    block = first.digest;
    bytes = Buffer.from(await bed.store.blocks.read(block));
    path = `/bulk/v1/blocks/${block}?dataset=test`;
    await bed.push({ tags: [{ ...BED_TAG, name: parseDatasetName("@other/set") }] });
  });

  it("whole, has its bytes, a tag and leave to be kept", async () => {
    const { status, headers, body } = await ask(path);
    assert.equal(status, 200);
    assert.deepEqual(body, bytes);
    assert.equal(headers.etag, `"${block}"`);
    assert.equal(headers["content-length"], String(bytes.byteLength));
    assert.match(headers["cache-control"] ?? "", /immutable/);
    assert.equal(headers["accept-ranges"], "bytes");
  });

  it("in ranges, has just those bytes", async () => {
    const size = bytes.byteLength;
    const ranges: readonly (readonly [string, number, number])[] = [
      ["bytes=0-0", 0, 1],
      ["bytes=5-99", 5, 100],
      [`bytes=${MiB - 1}-${2 * MiB}`, MiB - 1, 2 * MiB + 1],
      [`bytes=${size - 3}-`, size - 3, size],
      ["bytes=-7", size - 7, size],
      [`bytes=-${size + 100}`, 0, size],
      [`bytes=10-${size + 100}`, 10, size],
    ];
    for (const [range, start, end] of ranges) {
      const { status, headers, body } = await ask(path, { headers: { range } });
      assert.equal(status, 206, range);
      assert.equal(headers["content-range"], `bytes ${start}-${end - 1}/${size}`);
      assert.deepEqual(body, bytes.subarray(start, end));
    }
  });

  it("in ranges that lie outside, answers 416 and says the size", async () => {
    for (const range of [`bytes=${bytes.byteLength}-`, "bytes=999999999-", "bytes=-0"]) {
      const answer = await ask(path, { headers: { range } });
      assert.equal(answer.status, 416, range);
      assert.equal(answer.headers["content-range"], `bytes */${bytes.byteLength}`);
      assert.equal(codeIn(answer), "RANGE_INVALID");
    }
  });

  it("in ranges that are malformed or several, or under another tag, is whole", async () => {
    const wholes: readonly http.OutgoingHttpHeaders[] = [
      { range: "bytes=5-4" },
      { range: "bytes=a-b" },
      { range: "lines=1-2" },
      { range: "bytes=0-1,5-6" },
      { range: "bytes=0-1", "if-range": '"other"' },
    ];
    for (const headers of wholes) {
      const { status, body } = await ask(path, { headers });
      assert.equal(status, 200);
      assert.equal(body.byteLength, bytes.byteLength);
    }
    const same = { range: "bytes=0-1", "if-range": `"${block}"` };
    assert.equal((await ask(path, { headers: same })).status, 206);
  });

  it("asked for by HEAD, or by who has it, comes without its bytes", async () => {
    const head = await ask(path, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"]], [200, String(bytes.byteLength)]);
    for (const tag of [`"${block}"`, `"x", W/"${block}"`, "*"]) {
      assert.equal((await ask(path, { headers: { "if-none-match": tag } })).status, 304);
    }
  });

  it("that is not there, is another domain's, or is asked for by who may not, is refused", async () => {
    assert.equal((await blocks()).length, 2, "the other domain has a block of its own");
    const cases: readonly (readonly [string, number, string])[] = [
      [`/bulk/v1/blocks/${"0".repeat(64)}?dataset=test`, 404, "PATH_NOT_FOUND"],
      [`/bulk/v1/blocks/${block}?dataset=@other/set`, 404, "PATH_NOT_FOUND"],
      [`/bulk/v1/blocks/${block}?dataset=none`, 404, "DATASET_NOT_FOUND"],
      [`/bulk/v1/blocks/${block}?dataset=secret`, 403, "ACCESS_DENIED"],
      [`/bulk/v1/blocks/${block}`, 400, "REFERENCE_INVALID"],
      [`/bulk/v1/blocks/..%2f..%2fetc?dataset=test`, 400, "PATH_INVALID"],
      [`/bulk/v1/blocks/${block.toUpperCase()}?dataset=test`, 400, "PATH_INVALID"],
      [`/bulk/v1/other`, 404, "PATH_NOT_FOUND"],
    ];
    for (const [url, status, code] of cases) {
      const answer = await ask(url);
      assert.deepEqual([answer.status, codeIn(answer)], [status, code], url);
    }
    assert.equal((await ask(path, { headers: { who: "nobody" } })).status, 401);
    const posted = await ask(path, { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"]);
  });

  it("whose reader goes away, is not read on", async () => {
    const { port } = server.address() as AddressInfo;
    const before = problems.length;
    await new Promise<void>((resolve, reject) => {
      const request = http.get({ port, path, agent: false }, (response) => {
        response.once("data", () => {
          request.destroy();
          resolve();
        });
      });
      request.on("error", reject);
    });
    assert.equal((await ask(path)).status, 200);
    assert.ok(problems.length <= before + 1);
  });
});

describe("frames over HTTP", () => {
  const TYPE = { "content-type": "application/protobuf" };
  const chunks = [noise(11, 9 * KiB), noise(12, 12 * KiB)] as const;

  function bodyOf(session: string, sequence: number, frames: readonly ReceivedFrame[]): Uint8Array {
    const messages = frames.map(({ codec, digests, lengths, stored, base }) => ({
      codec,
      digests: new Uint8Array(digests),
      lengths: lengths.map(BigInt),
      stored: new Uint8Array(stored),
      ...(base && {
        base: {
          digests: new Uint8Array(base.digests),
          offset: BigInt(base.offset),
          bytes: BigInt(base.bytes),
        },
      }),
    }));
    const request = { session, sequence: BigInt(sequence), frames: messages };
    return toBinary(PutFramesRequestSchema, create(PutFramesRequestSchema, request));
  }

  const post = (body: Uint8Array, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> => {
    const length = { "content-length": body.byteLength };
    return ask("/bulk/v1/frames", { method: "POST", headers: { ...TYPE, ...length, ...headers }, body });
  };

  async function publish(session: string): Promise<Digest> {
    const { root, inlinePages } = fileVersion(chunks);
    const rest = { base: undefined, tags: [BED_TAG], publisher: "", message: "", labels: {} };
    return (await services.sessions.use(session).publish({ root, inlinePages, ...rest }, {})).version;
  }

  const begin = async (): Promise<string> =>
    (await services.sessions.begin({ tags: [BED_TAG], publisher: "test" }, {})).id;

  it("in bodies of known and of unknown length, again and again, are taken once each and can be read", async () => {
    const session = await begin();
    const first = bodyOf(session, 0, [plainFrame(chunks[0])]);
    assert.equal((await post(first)).status, 204);
    assert.equal((await post(first)).status, 204);
    const second = bodyOf(session, 1, [plainFrame(chunks[1])]);
    const chunked = { ...TYPE, "transfer-encoding": "chunked" };
    const answer = await ask("/bulk/v1/frames", { method: "POST", headers: chunked, body: second });
    assert.equal(answer.status, 204);
    await bed.read(await publish(session));
  });

  it("with another digest, nothing is published", async () => {
    const session = await begin();
    const wrong = { ...plainFrame(chunks[0]), digests: new Uint8Array(32) };
    await post(bodyOf(session, 0, [wrong]));
    const answer = await post(bodyOf(session, 1, [plainFrame(chunks[1])]));
    assert.equal(codeIn(answer), "OBJECT_CORRUPT");
    await assert.rejects(publish(session), { code: "OBJECT_CORRUPT" });
    await services.sessions.use(session).abort();
  });

  it("of a session that is not there, or with a body left out, are refused", async () => {
    const lost = await post(bodyOf("0".repeat(32), 0, []));
    assert.deepEqual([lost.status, codeIn(lost)], [409, "SESSION_LOST"]);
    const session = await begin();
    const gap = await post(bodyOf(session, 3, []));
    assert.deepEqual([gap.status, codeIn(gap)], [400, "ARGUMENT_INVALID"]);
    await services.sessions.use(session).abort();
  });

  it("in bodies that are malformed, too long, of another type or of nobody, are refused", async () => {
    const cases: readonly (readonly [Promise<Answer>, number])[] = [
      [post(noise(3, 500)), 400],
      [post(Buffer.of(), { "content-type": "text/plain" }), 400],
      [post(Buffer.of(), { "content-encoding": "gzip" }), 400],
      [post(Buffer.of(), { who: "nobody" }), 401],
      [ask("/bulk/v1/frames", { method: "PUT" }), 405],
    ];
    for (const [answer, status] of cases) assert.equal((await answer).status, status);
    const long = { ...TYPE, "content-length": BODY_BYTES_MAX + 1 };
    const refused = ask("/bulk/v1/frames", {
      method: "POST",
      headers: long,
      body: Buffer.alloc(BODY_BYTES_MAX + 1),
    });
    const outcome = await refused.then(codeIn, (error: unknown) => (error as NodeJS.ErrnoException).code);
    assert.ok(["LIMIT_EXCEEDED", "EPIPE", "ECONNRESET"].includes(String(outcome)), String(outcome));
  });

  it("in a body that is cut off, are not taken, and the session goes on", async () => {
    const session = await begin();
    const body = bodyOf(session, 0, [plainFrame(chunks[0])]);
    const { port } = server.address() as AddressInfo;
    await new Promise<void>((resolve) => {
      const headers = { ...TYPE, "content-length": body.byteLength };
      const options = { port, path: "/bulk/v1/frames", method: "POST", headers, agent: false };
      const request = http.request(options);
      request.on("error", () => undefined);
      request.on("close", resolve);
      request.write(body.subarray(0, 1000), () => request.destroy());
    });
    assert.equal((await post(body)).status, 204);
    assert.equal((await post(bodyOf(session, 1, [plainFrame(chunks[1])]))).status, 204);
    await bed.read(await publish(session));
  });
});
