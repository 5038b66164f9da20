/** The proxy itself, in front of a server that keeps one object. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import type { Random } from "../../src/base/random.ts";
import { fractions } from "../../src/store/conformance/faulty-store.ts";
import { startFaultProxy, type Fault, type FaultProxy, type Rule } from "./fault-proxy.ts";

const CONTENT = "x".repeat(10_000);

function seeded(seed: number): Random {
  return { fraction: fractions(seed), id: () => "0".repeat(32) };
}

interface Bed {
  readonly proxy: FaultProxy;
  /** Methods of requests that came through. */
  readonly done: string[];
  readonly hosts: (string | undefined)[];
}

async function withProxy(rules: readonly Rule[], use: (bed: Bed) => Promise<void>, seed = 1): Promise<void> {
  const [done, hosts]: [string[], (string | undefined)[]] = [[], []];
  const server = createServer((incoming, outgoing) => {
    incoming.resume().on("end", () => {
      done.push(incoming.method ?? "");
      hosts.push(incoming.headers.host);
      outgoing.writeHead(200, { "content-length": CONTENT.length });
      outgoing.end(incoming.method === "HEAD" ? undefined : CONTENT);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const proxy = await startFaultProxy(`http://127.0.0.1:${address.port}`, seeded(seed), rules);
  try {
    await use({ proxy, done, hosts });
  } finally {
    await proxy.stop();
    server.closeAllConnections();
    server.close();
  }
}

/** The status and body of a request through the proxy. */
async function ask(proxy: FaultProxy, method = "GET"): Promise<{ status: number; body: string }> {
  const body = method === "PUT" ? CONTENT : null;
  const response = await fetch(`${proxy.endpoint}/bucket/key`, { method, body });
  return { status: response.status, body: await response.text() };
}

const always = (fault: Fault): Rule[] => [{ fault }];

test("a request without a rule passes as it is, with its Host, and is counted by operation and bytes", () =>
  withProxy([], async ({ proxy, done, hosts }) => {
    assert.deepEqual(await ask(proxy), { status: 200, body: CONTENT });
    await ask(proxy, "PUT");
    await ask(proxy, "HEAD");
    assert.deepEqual(done, ["GET", "PUT", "HEAD"]);
    assert.equal(hosts[0], new URL(proxy.endpoint).host);
    const operations = proxy.requests.map(({ operation }) => operation);
    assert.deepEqual(operations, ["GetObject", "PutObject", "HeadObject"]);
    const { received, sent } = proxy.bytes();
    assert.ok(received > CONTENT.length && received < CONTENT.length + 3000, `received ${received}`);
    assert.ok(sent > 2 * CONTENT.length && sent < 2 * CONTENT.length + 3000, `sent ${sent}`);
    proxy.reset();
    assert.deepEqual([proxy.requests.length, proxy.bytes()], [0, { received: 0, sent: 0 }]);
  }));

test("a status fault answers with its code, and nothing comes through", () =>
  withProxy(always({ kind: "status", status: 503, code: "SlowDown" }), async ({ proxy, done }) => {
    const { status, body } = await ask(proxy, "PUT");
    assert.equal(status, 503);
    assert.match(body, /<Code>SlowDown<\/Code>/);
    assert.deepEqual(done, []);
  }));

test("a connection that is reset before is reset, and nothing comes through", () =>
  withProxy(always({ kind: "reset before" }), async ({ proxy, done }) => {
    await assert.rejects(ask(proxy, "PUT"));
    assert.deepEqual(done, []);
  }));

for (const kind of ["answer lost", "reset after"] as const) {
  test(`a fault "${kind}" rejects at the client, and the server has done the request`, () =>
    withProxy(always({ kind }), async ({ proxy, done }) => {
      await assert.rejects(ask(proxy, "PUT"));
      while (done.length === 0) await new Promise(setImmediate);
      assert.deepEqual(done, ["PUT"]);
    }));
}

for (const fault of [
  { kind: "truncated", share: 0.5 },
  { kind: "long", bytes: 10 },
] as const) {
  test(`a body that is ${fault.kind} fails at the client`, () =>
    withProxy(always(fault), async ({ proxy }) => {
      await assert.rejects(ask(proxy));
    }));
}

test("a body that is short looks whole, and is not", () =>
  withProxy(always({ kind: "short", bytes: 10 }), async ({ proxy }) => {
    assert.equal((await ask(proxy)).body.length, CONTENT.length - 10);
  }));

test("an answer that is delayed or trickles comes whole", () =>
  withProxy(always({ kind: "trickling", pieces: 7, delayMs: 1 }), async ({ proxy }) => {
    assert.equal((await ask(proxy)).body, CONTENT);
    proxy.setRules(always({ kind: "delayed", delayMs: 1 }));
    assert.equal((await ask(proxy)).body, CONTENT);
  }));

test("a rule for the second of an operation strikes that one alone", () => {
  const fault = { kind: "status", status: 500, code: "InternalError" } as const;
  const rules = [{ operation: "GetObject", path: /key$/, nth: 2, fault }];
  return withProxy(rules, async ({ proxy }) => {
    const statuses = [];
    for (const method of ["GET", "HEAD", "GET", "GET"]) statuses.push((await ask(proxy, method)).status);
    assert.deepEqual(statuses, [200, 200, 500, 200]);
  });
});

test("a rule with a probability strikes by the seed, the same ones again", async () => {
  const rules = [
    { probability: 0.5, fault: { kind: "status", status: 500, code: "InternalError" } as const },
  ];
  const runs: string[] = [];
  for (const seed of [1, 1, 2]) {
    await withProxy(
      rules,
      async ({ proxy }) => {
        for (let turn = 0; turn < 20; turn++) await ask(proxy);
        runs.push(proxy.requests.map(({ fault }) => fault ?? "-").join(" "));
      },
      seed,
    );
  }
  assert.equal(runs[0], runs[1]);
  assert.notEqual(runs[0], runs[2]);
  assert.match(runs[0] ?? "", /- .*status|status .*-/);
});
