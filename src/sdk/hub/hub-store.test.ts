import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { digestOf } from "../../format/digest.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { HubConnection } from "./hub-connection.ts";
import { hubStore } from "./hub-store.ts";

const BLOCK = digestOf(Buffer.from("a block"));
const BLOCK_BYTES = 1000;
const HEADER_RANGE = `bytes=0-${HEADER_BYTES - 1}`;
/** More than a client has connections for. */
const READS = 40;

test("how long a block is, a hub is asked and answers while reads of all that it may have under way take long", async (t) => {
  const slow: ServerResponse[] = [];
  const server = createServer(({ headers }, response) => {
    const bytes = headers.range === HEADER_RANGE ? HEADER_BYTES : BLOCK_BYTES - HEADER_BYTES;
    const range = `bytes ${bytes === HEADER_BYTES ? 0 : HEADER_BYTES}-${BLOCK_BYTES - 1}/${BLOCK_BYTES}`;
    response.writeHead(206, { "content-length": bytes, "content-range": range });
    if (bytes === HEADER_BYTES) response.end(Buffer.alloc(bytes));
    else {
      response.write(Buffer.alloc(1));
      slow.push(response);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const parts = { clock: systemClock, random: systemRandom };
  const hub = new HubConnection({ address, tls: undefined, waitMs: 0, ...parts });
  t.after(() => hub.close());
  const { blocks } = hubStore(hub, parseDatasetName("set"));
  const leaving = new AbortController();
  const range = { start: HEADER_BYTES, end: BLOCK_BYTES };
  const reads = Array.from({ length: READS }, () => blocks.read(BLOCK, range, { signal: leaving.signal }));
  const all = Promise.allSettled(reads);
  while (slow.length === 0) await new Promise(setImmediate);
  for (let turn = 0; turn < 3; turn++) assert.equal(await blocks.stat(BLOCK), BLOCK_BYTES);
  leaving.abort();
  assert.ok((await all).every(({ status }) => status === "rejected"));
  assert.ok(slow.length < READS, `${slow.length} reads under way`);
});
