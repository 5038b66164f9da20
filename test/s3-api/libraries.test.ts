/** The S3 API of a hub, read by libraries that are not ours, in this process. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { request, type IncomingMessage } from "node:http";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { GetObjectCommand, HeadObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { Client, type BucketItem } from "minio";
import { BIG_BYTES, filesOf, KEY, startS3Hub, type S3Hub } from "./s3-hub.ts";

let hub: S3Hub;
let files: Record<string, string>;
before(async () => {
  hub = await startS3Hub(["--s3_domain", "s3.test"]);
  files = filesOf(hub.source);
});
after(() => hub.close());

async function digestOf(stream: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of stream) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}

/** The body of an answer with 200 to a URL whose host's name leads here. */
async function fetchAs(host: string, url: string, port: string, method = "GET"): Promise<string> {
  const { pathname, search } = new URL(url);
  const place = { hostname: "127.0.0.1", port, path: `${pathname}${search}`, method, headers: { host } };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(place, resolve).on("error", reject).end();
  });
  const body = (await buffer(response)).toString();
  assert.equal(response.statusCode, 200, body);
  return body;
}

describe("minio's client", () => {
  const connect = (): Client => {
    const { hostname: endPoint, port } = new URL(hub.urls[0] ?? "");
    return new Client({
      endPoint,
      port: Number(port),
      useSSL: false,
      accessKey: KEY.id,
      secretKey: KEY.secret,
    });
  };

  it("lists, describes and reads every file", async () => {
    const client = connect();
    assert.deepEqual((await client.listBuckets()).map(({ name }) => name).sort(), ["set", "team--set"]);
    assert.equal(await client.bucketExists("team--set--v1"), true);
    assert.equal(await client.bucketExists("none"), false);
    const found: Record<string, string> = {};
    for await (const item of client.listObjectsV2("set", "v1/", true) as AsyncIterable<BucketItem>) {
      const name = item.name ?? "";
      if (name.endsWith("/")) continue;
      found[name.slice("v1/".length)] = await digestOf(await client.getObject("set", name));
    }
    assert.deepEqual(found, files);
    const stat = await client.statObject("set", "v1/x-y");
    assert.deepEqual(
      [stat.size, stat.etag, stat.lastModified.toISOString()],
      [14, `${files["x-y"] ?? ""}-1`, "2017-07-14T02:40:00.000Z"],
    );
    const part = await client.getPartialObject("set", "v1/x-y", 3, 4);
    assert.equal((await buffer(part)).toString(), "tent");
    await assert.rejects(client.getObject("set", "v1/none"), { code: "NoSuchKey" });
    await assert.rejects(client.putObject("set", "v1/new", "x"), { code: "AccessDenied" });
  });

  it("signs URLs that are answered", async () => {
    const url = await connect().presignedGetObject("set", "v1/ünï/日本", 60);
    assert.equal(await (await fetch(url)).text(), "content of ünï/日本");
  });
});

describe("the AWS SDK for JavaScript", () => {
  const connect = (endpoint: string, forcePathStyle = true): S3Client =>
    new S3Client({
      endpoint,
      forcePathStyle,
      region: "us-east-1",
      credentials: { accessKeyId: KEY.id, secretAccessKey: KEY.secret },
    });

  it("pages through a version and reads every file, at every place", async () => {
    for (const url of hub.urls) {
      const client = connect(url);
      try {
        const found: Record<string, string> = {};
        const Bucket = "set--v2";
        for await (const { Contents = [] } of paginateListObjectsV2({ client, pageSize: 4 }, { Bucket })) {
          for (const { Key = "" } of Contents.filter((each) => each.Key?.endsWith("/") === false)) {
            const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
            assert.ok(Body !== undefined && "transformToWebStream" in Body);
            found[Key] = await digestOf(Body.transformToWebStream());
          }
        }
        assert.deepEqual(found, files);
      } finally {
        client.destroy();
      }
    }
  });

  it("reads many ranges of a file at a time", async () => {
    const client = connect(hub.urls[1] ?? "");
    try {
      const content = fs.readFileSync(path.join(hub.source, "big.bin"));
      const reads = Array.from({ length: 40 }, async (_, index) => {
        const start = (index * 524_309) % (BIG_BYTES - 100_000);
        const Range = `bytes=${start}-${start + 99_999}`;
        const { Body } = await client.send(new GetObjectCommand({ Bucket: "set", Key: "v1/big.bin", Range }));
        const got = Buffer.from((await Body?.transformToByteArray()) ?? []);
        assert.ok(got.equals(content.subarray(start, start + 100_000)), Range);
      });
      await Promise.all(reads);
    } finally {
      client.destroy();
    }
  });

  it("finds a bucket in the host's name, on the port of its own", async () => {
    const url = new URL(hub.urls[0] ?? "");
    // 127.0.0.1 has no names below it; the SDK leaves those of localhost to the resolver.
    url.hostname = "localhost";
    const signed = await getSignedUrl(
      connect(url.origin, false),
      new GetObjectCommand({ Bucket: "set--v1", Key: "x-y" }),
    );
    const { host, pathname } = new URL(signed);
    assert.deepEqual([host, pathname], [`set--v1.localhost:${url.port}`, "/x-y"]);
    const answer = await fetchAs(host, signed, url.port);
    assert.equal(answer, "content of x-y");
  });

  it("finds a bucket in the host's name below a domain, on the hub's port", async () => {
    const { port } = new URL(hub.urls[1] ?? "");
    const signed = await getSignedUrl(
      connect(`http://s3.test:${port}`, false),
      new HeadObjectCommand({ Bucket: "set--v1", Key: "x-y" }),
    );
    const { host } = new URL(signed);
    assert.equal(host, `set--v1.s3.test:${port}`);
    assert.equal(await fetchAs(host, signed, port, "HEAD"), "");
  });
});
