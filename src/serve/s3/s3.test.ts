/** What the S3 API answers beside objects and lists: buckets, sub-resources, refusals, hosts. */
import assert from "node:assert/strict";
import { Agent, request as send } from "node:http";
import { after, before, describe, it } from "node:test";
import { MiB } from "../../base/limits.ts";
import { ask, openS3Bed, textsOf, type S3Bed } from "./testing/s3-bed.ts";

let s3: S3Bed;
let url: string;
before(async () => {
  s3 = await openS3Bed();
  s3.bed.write("x", "of the plain dataset");
  await s3.push("a:b", "set:v1");
  url = await s3.open();
});
after(() => s3.close());

async function codeOf(path: string, method = "GET", headers: Record<string, string> = {}) {
  const answer = await ask(`${url}${path}`, { method, headers });
  return [answer.status, textsOf(answer, "Code")[0]];
}

describe("a bucket", () => {
  it("asked for by HEAD, is there with its region, or is not", async () => {
    const head = await ask(`${url}/set`, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["x-amz-bucket-region"], head.text], [200, "us-east-1", ""]);
    assert.equal((await ask(`${url}/none`, { method: "HEAD" })).status, 404);
    assert.equal((await ask(`${url}/set--none`, { method: "HEAD" })).status, 404);
  });

  it("of a name with several meanings, is the first of them that is there", async () => {
    const fresh = async (): Promise<string> => `${await s3.open()}/a--b`;
    const keys = async (): Promise<string[]> => textsOf(await ask(await fresh()), "Key");
    assert.deepEqual(await keys(), ["x"]);
    await s3.push("a--b:plain");
    assert.deepEqual(await keys(), ["plain/x"]);
    await s3.push("@a/b:scoped");
    assert.deepEqual(await keys(), ["scoped/x"]);
  });

  it("in the host's name, below a domain, is that; paths are keys", async () => {
    for (const host of ["set--v1.s3.test", "SET--V1.S3.TEST:9000"]) {
      assert.equal((await ask(`${url}/x`, { headers: { host } })).text, "of the plain dataset");
      assert.deepEqual(textsOf(await ask(`${url}/`, { headers: { host } }), "Key"), ["x"]);
    }
    for (const host of ["s3.test", ".s3.test", "xs3.test"]) {
      assert.ok((await ask(`${url}/`, { headers: { host } })).text.includes("ListAllMyBucketsResult"), host);
    }
  });
});

describe("a sub-resource", () => {
  it("of a bucket that nobody can have set, has the answer of a new bucket", async () => {
    for (const [name, element] of [
      ["location", "LocationConstraint"],
      ["versioning", "VersioningConfiguration"],
      ["acl", "AccessControlPolicy"],
      ["uploads", "ListMultipartUploadsResult"],
      ["logging", "BucketLoggingStatus"],
      ["requestPayment", "RequestPaymentConfiguration"],
    ] as const) {
      const answer = await ask(`${url}/set?${name}`);
      assert.equal(answer.status, 200, name);
      assert.match(
        answer.text,
        new RegExp(`^<\\?xml[^>]+>\n<${element} xmlns="http://s3.amazonaws.com/doc/`),
        name,
      );
    }
    for (const [name, code] of [
      ["policy", "NoSuchBucketPolicy"],
      ["tagging", "NoSuchTagSet"],
      ["cors", "NoSuchCORSConfiguration"],
      ["lifecycle", "NoSuchLifecycleConfiguration"],
      ["website", "NoSuchWebsiteConfiguration"],
      ["encryption", "ServerSideEncryptionConfigurationNotFoundError"],
      ["replication", "ReplicationConfigurationNotFoundError"],
      ["object-lock", "ObjectLockConfigurationNotFoundError"],
      ["publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"],
    ] as const) {
      assert.deepEqual(await codeOf(`/set?${name}`), [404, code]);
    }
    assert.deepEqual(await codeOf("/none?acl"), [404, "NoSuchBucket"]);
  });

  it("of an object, too, and of one that is not there, NoSuchKey", async () => {
    assert.match((await ask(`${url}/set/v1/x?tagging`)).text, /<TagSet><\/TagSet>/);
    assert.match((await ask(`${url}/set/v1/x?acl`)).text, /<Permission>READ</);
    assert.deepEqual(await codeOf("/set/v1/x?retention"), [404, "NoSuchObjectLockConfiguration"]);
    assert.deepEqual(await codeOf("/set/v1/x?uploadId=1"), [404, "NoSuchUpload"]);
    assert.deepEqual(await codeOf("/set/v1/none?acl"), [404, "NoSuchKey"]);
  });
});

describe("a request that would change something", () => {
  it("is refused with AccessDenied, and its connection answers the next one", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { hostname, port } = new URL(url);
    const ports = new Set<number | undefined>();
    try {
      for (const [method, path, body] of [
        ["PUT", "/set/v1/new", Buffer.alloc(3 * MiB)],
        ["PUT", "/new", Buffer.alloc(0)],
        ["DELETE", "/set/v1/x", Buffer.alloc(0)],
        ["POST", "/set?delete", Buffer.from("<Delete/>")],
        ["POST", "/set/v1/x?uploads", Buffer.alloc(0)],
        [
          "PUT",
          "/set/v1/chunked",
          Buffer.from("3;chunk-signature=00\r\nabc\r\n0;chunk-signature=00\r\n\r\n"),
        ],
      ] as const) {
        const status = await new Promise((resolve, reject) => {
          const request = send({ agent, hostname, port, method, path }, (response) => {
            ports.add(response.socket.localPort);
            response.resume().on("end", () => {
              resolve(response.statusCode);
            });
          });
          request.on("error", reject).end(body);
        });
        assert.equal(status, 403, `${method} ${path}`);
      }
    } finally {
      agent.destroy();
    }
    assert.equal(ports.size, 1);
    assert.deepEqual(await codeOf("/set/v1/x", "PUT"), [403, "AccessDenied"]);
  });

  it("by a method that S3 has not, is refused with MethodNotAllowed", async () => {
    assert.deepEqual(await codeOf("/set/v1/x", "PATCH"), [405, "MethodNotAllowed"]);
    assert.equal((await ask(`${url}/set`, { method: "PATCH" })).headers.allow, "GET, HEAD");
    assert.deepEqual(await codeOf("/set/v1/x?select&select-type=2", "POST"), [501, "NotImplemented"]);
  });

  it("asked about by a browser for a page of elsewhere, is allowed to none", async () => {
    assert.deepEqual(await codeOf("/set/v1/x", "OPTIONS"), [400, "BadRequest"]);
    const headers = { origin: "https://a.test", "access-control-request-method": "GET" };
    assert.deepEqual(await codeOf("/set/v1/x", "OPTIONS", headers), [403, "AccessForbidden"]);
  });
});

describe("a target that is malformed", () => {
  it("is refused with InvalidURI", async () => {
    const many = Array.from({ length: 100 }, (_, index) => `a${index}=1`).join("&");
    for (const path of ["/set/%ff", "/set/%", "/set?prefix=%c3", "/set/a#b", `/set?${many}`]) {
      assert.deepEqual(await codeOf(path), [400, "InvalidURI"], path);
    }
  });

  it("whatever it is, is answered with a status of the client's", async () => {
    for (const path of [
      "//",
      "/set//",
      "/set/v1/%00",
      "/..",
      "/set/..",
      `/${"a".repeat(2000)}`,
      "/%2f",
      "/set%2fv1",
    ]) {
      const { status } = await ask(`${url}${path}`);
      assert.ok(status === 200 || (status >= 400 && status < 500), `${path}: ${status}`);
    }
  });
});
