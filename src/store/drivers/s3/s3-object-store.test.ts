import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { makeCertificate } from "../../../../test/certificate.ts";
import { requirePeer } from "../../../../test/peers.ts";
import { systemClock } from "../../../base/clock.ts";
import { MiB } from "../../../base/limits.ts";
import { systemRandom } from "../../../base/random.ts";
import { digestOf } from "../../../format/digest.ts";
import { encodeStore } from "../../../format/record.ts";
import { failsWith } from "../../conformance/block-store-suite.ts";
import type { Store } from "../../dataset-store.ts";
import { blockKey, EVERYTHING, leaseKey, STORE_KEY } from "../../keys.ts";
import type { ObjectInfo, ObjectStore } from "../../object-store.ts";
import { openStore } from "../all.ts";
import { openS3, type S3Objects } from "./s3-object-store.ts";
import type { S3Settings } from "./s3-settings.ts";
import { sendError, TinyS3, type SeenRequest, type TinyS3Options } from "./testing/tiny-s3.ts";

const KEY = leaseKey("0".repeat(32));
const SECRETS = { accessKeyId: "AK", secretAccessKey: "very-secret", sessionToken: "token-of-a-session" };

/** Runs the work with a store on a server that misbehaves so. */
async function onServer(
  options: TinyS3Options,
  work: (store: ObjectStore, server: TinyS3) => Promise<void>,
  settings: S3Settings = {},
): Promise<void> {
  await TinyS3.run(options, async (server) => {
    const store = await openOn(server, settings);
    try {
      await work(store, server);
    } finally {
      await store.close();
    }
  });
}

function openOn(server: TinyS3, settings: S3Settings): Promise<S3Objects> {
  const { endpoint } = server;
  return openS3("s3://bucket/some/prefix", {
    settings: { endpoint, region: "r", credentials: SECRETS, ...settings },
    clock: systemClock,
    random: systemRandom,
  });
}

/** As commands open it that are going to write. */
function openStoreOn({ endpoint }: TinyS3, settings: S3Settings = {}): Promise<Store> {
  const s3 = { endpoint, region: "r", credentials: SECRETS, ...settings };
  const options = { create: true, clock: systemClock, random: systemRandom, s3 };
  return openStore("s3://bucket/some/prefix", options);
}

const read = { bytesMax: 1000 };
const isPut = ({ method }: SeenRequest): boolean => method === "PUT";

describe("a store in S3", () => {
  it("opened for reading, writes nothing", () =>
    onServer({}, async (store, server) => {
      assert.equal(await store.get(KEY, read), undefined);
      assert.deepEqual(new Set(server.requests.map(({ method }) => method)), new Set(["GET"]));
    }));

  it("opened for writing, tries conditions with one request, on the store's record, which stays as it is", () =>
    TinyS3.run({}, async (server) => {
      const key = `some/prefix/${STORE_KEY}`;
      await (await openStoreOn(server)).close();
      const made = server.objects.get(key);
      assert.equal(server.count("PUT"), 2, "one to make the store, one to try");
      await (await openStoreOn(server)).close();
      assert.equal(server.count("PUT"), 3);
      assert.deepEqual([...server.objects], [[key, made]]);
    }));

  it("without a record, tries conditions on an object that it removes, each kind once", () =>
    TinyS3.run({}, async (server) => {
      const store = await openOn(server, {});
      const first = await store.replace(KEY, Buffer.from("a"), undefined);
      const second = await store.replace(KEY, Buffer.from("b"), first);
      await store.replace(KEY, Buffer.from("c"), second);
      await store.close();
      assert.equal(server.count("PUT"), 6);
      assert.deepEqual([...server.objects.keys()], [`some/prefix/${KEY}`]);
    }));

  const given = (name: string, status: number): TinyS3Options => ({
    misbehave: (request, response) => {
      if (!isPut(request) || request.headers[name] === undefined) return false;
      if (status === 501) sendError(response, 501, "NotImplemented");
      else response.writeHead(200, { etag: '"0"' }).end();
      return true;
    },
  });
  const refusal = { code: "FEATURE_UNSUPPORTED", message: /--storage_s3_single_writer/ };

  for (const [what, options] of [
    ["has no conditions", given("if-none-match", 501)],
    ["ignores If-None-Match", given("if-none-match", 200)],
  ] as const) {
    it(`on a server that ${what}, refuses to be opened for writing and to create, and names the way out`, () =>
      onServer(options, async (store, server) => {
        await assert.rejects(store.create(KEY, Buffer.from("x")), refusal);
        await assert.rejects(openStoreOn(server), refusal);
        const record = Buffer.from(encodeStore({ id: "0".repeat(32) }));
        server.objects.set(`some/prefix/${STORE_KEY}`, record);
        await assert.rejects(openStoreOn(server), refusal);
        const single = await openStoreOn(server, { singleWriter: true });
        assert.equal(single.blocks.features.shared, false);
        await single.close();
      }));
  }

  it("on a server that ignores If-Match, refuses to replace", () =>
    onServer(given("if-match", 200), async (store, server) => {
      const first = await store.replace(KEY, Buffer.from("a"), undefined);
      await assert.rejects(store.replace(KEY, Buffer.from("b"), first), refusal);
      assert.deepEqual(server.objects.get(`some/prefix/${KEY}`), Buffer.from("a"));
    }));

  it("as the single writer, sends no conditions, and still tells what is there", () =>
    onServer(
      {
        misbehave: ({ headers }) =>
          headers["if-match"] !== undefined || headers["if-none-match"] !== undefined,
      },
      async (store) => {
        const creations = ["a", "b"].map((text) => store.create(KEY, Buffer.from(text)));
        assert.deepEqual(await Promise.all(creations), [true, false]);
        const found = await store.getRevised(KEY, read);
        assert.equal(Buffer.from(found?.value ?? []).toString(), "a");
        await store.replace(KEY, Buffer.from("c"), found?.revision);
        await failsWith(store.replace(KEY, Buffer.from("d"), found?.revision), "OBJECT_CONFLICT");
        await failsWith(store.replace(KEY, Buffer.from("d"), undefined), "OBJECT_CONFLICT");
      },
      { singleWriter: true },
    ));

  for (const matchForm of ["quoted", "bare"] as const) {
    it(`on a server that wants ETags ${matchForm}, replaces what is current and nothing else`, () =>
      onServer({ matchForm }, async (store) => {
        const first = await store.replace(KEY, Buffer.from("a"), undefined);
        const second = await store.replace(KEY, Buffer.from("b"), first);
        await failsWith(store.replace(KEY, Buffer.from("c"), first), "OBJECT_CONFLICT");
        const third = await store.replace(KEY, Buffer.from("c"), second);
        assert.deepEqual(await store.getRevised(KEY, read), { value: Buffer.from("c"), revision: third });
      }));
  }

  it("tells the server a block's digest, and the bytes of records", () =>
    onServer({}, async (store, server) => {
      const parts = [Buffer.alloc(2 * MiB, "x"), Buffer.from("end")];
      const digest = digestOf(Buffer.concat(parts));
      await store.add(blockKey(digest), parts);
      const put = server.requests.at(-1);
      assert.equal(put?.headers["x-amz-content-sha256"], digest);
      assert.equal(put.headers["content-length"], String(2 * MiB + 3));
      assert.deepEqual(server.objects.get(`some/prefix/${blockKey(digest)}`), Buffer.concat(parts));
      await store.add(blockKey(digest), parts);
      assert.equal(server.count("HEAD"), 1, "one that is there is looked at");
    }));

  it("gives the server's time of what it lists, and hides what is temporary", () =>
    onServer({}, async (store, server) => {
      for (const name of [KEY, "aetherfs/v1/tmp/x"])
        server.objects.set(`some/prefix/${name}`, Buffer.from("abc"));
      const found: ObjectInfo[] = [];
      for await (const info of store.list(EVERYTHING)) found.push(info);
      assert.deepEqual(found, [{ key: KEY, bytes: 3, modifiedMs: Date.parse("2026-11-28T04:00:00Z") }]);
    }));
});

/** Answers reads of KEY with this, whatever was asked for. */
function answering(status: number, headers: Record<string, string>, body: string): TinyS3Options {
  return {
    misbehave: ({ method }, response) => {
      if (method !== "GET") return false;
      response.writeHead(status, headers).end(body, () => {
        if (Number(headers["content-length"]) > body.length) response.destroy();
      });
      return true;
    },
  };
}

describe("a read from a misbehaving server", () => {
  const range = { start: 2, end: 6 };
  const cases: readonly (readonly [string, TinyS3Options, string])[] = [
    [
      "cut off",
      answering(206, { "content-length": "4", "content-range": "bytes 2-5/9" }, "ab"),
      "STORE_UNAVAILABLE",
    ],
    ["of another range", answering(206, { "content-range": "bytes 0-3/9" }, "abcd"), "STORE_UNAVAILABLE"],
    ["of the whole object", answering(200, { "content-length": "9" }, "abcdefghi"), "STORE_UNAVAILABLE"],
    ["of too many bytes", answering(206, { "content-range": "bytes 2-5/9" }, "abcdefg"), "STORE_UNAVAILABLE"],
    ["of a shorter object", answering(206, { "content-range": "bytes 2-3/4" }, "ab"), "RANGE_INVALID"],
    ["that is no S3", answering(200, { "content-type": "text/html" }, "<html>"), "STORE_UNAVAILABLE"],
  ];
  for (const [what, options, code] of cases) {
    it(`${what}, is ${code}`, () =>
      onServer(options, async (store) => {
        await failsWith(store.getRange(KEY, range), code);
      }));
  }

  it("of an object that is longer than allowed, is OBJECT_INVALID, whether its length is told or not", () =>
    onServer(answering(200, { "content-length": "2000" }, "x".repeat(2000)), async (store) => {
      await failsWith(store.get(KEY, read), "OBJECT_INVALID");
      await onServer(
        answering(200, { "transfer-encoding": "chunked" }, "x".repeat(2000)),
        async (chunked) => {
          await failsWith(chunked.get(KEY, read), "OBJECT_INVALID");
        },
      );
    }));

  it("that stops in the middle, ends with STORE_UNAVAILABLE, and so does one that never begins", async () => {
    const timeouts = { connectMs: 1000, idleMs: 200, requestMs: 60_000 };
    const stall: TinyS3Options = {
      misbehave: ({ headers }, response) => {
        if (headers.range !== undefined)
          response.writeHead(206, { "content-range": "bytes 2-5/9" }).write("ab");
        return true;
      },
    };
    const work = async (store: ObjectStore): Promise<void> => {
      await failsWith(store.getRange(KEY, range), "STORE_UNAVAILABLE");
      await failsWith(store.get(KEY, read), "STORE_UNAVAILABLE");
    };
    await onServer(stall, work, { timeouts });
    await onServer(stall, work, { timeouts: { connectMs: 1000, idleMs: 60_000, requestMs: 200 } });
  });

  it("that is late, is asked for again, and the first answer is taken", async () => {
    let stalled = 0;
    const misbehave: TinyS3Options["misbehave"] = ({ headers }) => {
      if (headers.range !== "bytes=2-5" || stalled > 0) return false;
      stalled++;
      return true;
    };
    await onServer({ misbehave }, async (store, server) => {
      server.objects.set(`some/prefix/${KEY}`, Buffer.from("abcdefghi"));
      for (let index = 0; index < 25; index++) await store.getRange(KEY, { start: 0, end: 3 });
      assert.equal(Buffer.from((await store.getRange(KEY, range)) ?? []).toString(), "cdef");
      assert.equal(stalled, 1);
    });
  });
});

describe("a large block", () => {
  const block = Buffer.alloc(70 * MiB, "0123456789");
  const key = blockKey(digestOf(block));

  it("is sent in parts, and read in pieces", () =>
    onServer({}, async (store, server) => {
      await store.add(key, [block.subarray(0, 40 * MiB + 1), block.subarray(40 * MiB + 1)]);
      assert.equal(server.uploads.size, 0);
      assert.ok(server.objects.get(`some/prefix/${key}`)?.equals(block));
      const range = { start: 5, end: 30 * MiB };
      const found = await store.getRange(key, range);
      assert.ok(block.subarray(range.start, range.end).equals(found ?? Buffer.alloc(0)));
      await failsWith(store.getRange(key, { start: 60 * MiB, end: 71 * MiB }), "RANGE_INVALID");
    }));

  it("of which a part fails, is thrown away", () =>
    onServer(
      {
        misbehave: ({ query }, response) => {
          if (query.get("partNumber") !== "2") return false;
          sendError(response, 503, "SlowDown");
          return true;
        },
      },
      async (store, server) => {
        await failsWith(store.add(key, [block]), "STORE_UNAVAILABLE");
        assert.deepEqual([server.uploads.size, server.objects.size], [0, 0]);
      },
    ));
});

describe("the way to a server", () => {
  it("leaves no secret in an error, however it is shown", () =>
    onServer(
      {
        misbehave: (_, response) => {
          sendError(response, 403, "SignatureDoesNotMatch");
          return true;
        },
      },
      async (store) => {
        const error: unknown = await store.get(KEY, read).catch((caught: unknown) => caught);
        assert.match(String(error), /STORE|the secret is not that of the access key/);
        const shown = inspect(error, { depth: Infinity, showHidden: true });
        for (const secret of [SECRETS.secretAccessKey, SECRETS.sessionToken])
          assert.ok(!shown.includes(secret));
      },
    ));

  it("has the bucket in the path when the endpoint is not AWS's", async () => {
    const hosts: string[] = [];
    const misbehave: TinyS3Options["misbehave"] = ({ headers, key }) => {
      hosts.push(`${headers.host?.replace(/:\d+$/, "") ?? ""} ${key.slice(0, 11)}`);
      return false;
    };
    await onServer({ misbehave }, async (store) => {
      await store.get(KEY, read);
    });
    assert.deepEqual(hosts, ["127.0.0.1 some/prefix"]);
  });

  it("over TLS, trusts the authority of its file, also when that is another one later", async (t) => {
    if (!requirePeer(t, "openssl")) return;
    const folder = mkdtempSync(join(tmpdir(), "aetherfs-s3-"));
    try {
      const caFile = join(folder, "ca.crt");
      for (const name of ["a", "b"]) makeCertificate(join(folder, name));
      const tlsOf = (name: string) => ({
        cert: readFileSync(join(folder, `${name}.crt`)),
        key: readFileSync(join(folder, `${name}.key`)),
      });
      copyFileSync(join(folder, "a.crt"), caFile);
      await TinyS3.run({ tls: tlsOf("b") }, async (server) => {
        const store = await openOn(server, { tls: { caFile, reloadMs: 0 } });
        await failsWith(store.get(KEY, read), "CONFIG_INVALID");
        copyFileSync(join(folder, "b.crt"), caFile);
        assert.equal(await store.get(KEY, read), undefined);
        await store.close();
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
