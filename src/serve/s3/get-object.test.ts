/** Objects as S3 answers them: by AWS's SDK, and by what the tests of S3 servers (ceph/s3-tests) expect of reading. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import { GetObjectAttributesCommand, GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { noise } from "../../dataset/testing/engine.ts";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { ask, BED_KEYS, openS3Bed, textsOf, type S3Bed } from "./testing/s3-bed.ts";

const BIG = noise(5, 900_000);
const TEXT = "testcontent";
const CHECKSUM = Buffer.from(digestBytes(digestOf(Buffer.from(TEXT)))).toString("base64");
const ETAG = `"${digestOf(Buffer.from(TEXT))}-1"`;
const CHANGED = "Mon, 03 Feb 2020 04:05:06 GMT";

let s3: S3Bed;
let url: string;
let client: S3Client;
let digest: string;
before(async () => {
  s3 = await openS3Bed();
  const { bed } = s3;
  bed.write("text.txt", TEXT);
  bed.write("sub/big.bin", BIG);
  bed.write("empty", "");
  bed.write("page.html", "<script>alert(1)</script>");
  bed.write("old", "");
  fs.mkdirSync(`${bed.source}/nothing`);
  fs.symlinkSync("text.txt", `${bed.source}/link`);
  fs.symlinkSync("nowhere", `${bed.source}/dangling`);
  fs.utimesSync(`${bed.source}/text.txt`, 1_580_702_706.5, 1_580_702_706.5);
  execFileSync("touch", ["-d", "1965-01-02T03:04:05Z", `${bed.source}/old`]);
  fs.utimesSync(`${bed.source}/empty`, 4_102_444_800, 4_102_444_800);
  digest = await s3.push("set:v1");
  url = await s3.open();
  client = s3.client(await s3.open({ keys: BED_KEYS }));
});
after(() => s3.close());

describe("an object", () => {
  it("asked for by tag or digest, or in the bucket of its version, comes whole with what S3 says of it", async () => {
    for (const place of ["set/v1", `set/sha256:${digest}`, "set--v1"]) {
      const answer = await ask(`${url}/${place}/text.txt`);
      assert.deepEqual([answer.status, answer.text], [200, TEXT], place);
      const { headers } = answer;
      assert.equal(headers.etag, ETAG);
      assert.equal(headers["last-modified"], CHANGED);
      assert.equal(headers["content-length"], "11");
      assert.equal(headers["content-type"], "text/plain; charset=utf-8");
      assert.equal(headers["accept-ranges"], "bytes");
      assert.equal(headers["x-amz-meta-mtime"], "1580702706.500000000");
      assert.equal(Number(headers["x-amz-meta-mode"]) >> 12, 8);
      assert.equal(headers["x-amz-checksum-sha256"], undefined);
      assert.match(String(headers["x-amz-request-id"]), /^[0-9A-F]{16}$/);
    }
  });

  it("asked for by HEAD, is the same without its content", async () => {
    const [got, head] = [
      await ask(`${url}/set/v1/text.txt`),
      await ask(`${url}/set/v1/text.txt`, { method: "HEAD" }),
    ];
    assert.deepEqual([head.status, head.text], [200, ""]);
    for (const name of ["etag", "content-length", "last-modified", "content-type"]) {
      assert.equal(head.headers[name], got.headers[name], name);
    }
  });

  it("of many chunks, is read whole and held to its checksum by the SDK", async () => {
    const input = { Bucket: "set", Key: "v1/sub/big.bin", ChecksumMode: "ENABLED" } as const;
    const answer = await client.send(new GetObjectCommand(input));
    assert.equal(answer.ChecksumSHA256, Buffer.from(digestBytes(digestOf(BIG))).toString("base64"));
    assert.ok(Buffer.from((await answer.Body?.transformToByteArray()) ?? []).equals(BIG));
  });

  it("that a link leads to, is that file; a link that leads nowhere is none", async () => {
    assert.equal((await ask(`${url}/set/v1/link`)).text, TEXT);
    assert.equal((await ask(`${url}/set/v1/dangling`)).status, 404);
  });

  it("of a directory, ends with a slash and is empty, whether it is listed or not", async () => {
    for (const key of ["set/v1/nothing/", "set/v1/sub/", "set/v1/", "set--v1/sub/"]) {
      const answer = await ask(`${url}/${key}`);
      assert.deepEqual([answer.status, answer.text], [200, ""], key);
      assert.equal(answer.headers["content-type"], "application/x-directory");
    }
  });

  it("of a directory, has an ETag that is no other's, the same in lists", async () => {
    const etag = `${digestOf(Buffer.from("v1/nothing/"))}-1`;
    assert.equal((await ask(`${url}/set/v1/nothing/`)).headers.etag, `"${etag}"`);
    const listed = await ask(`${url}/set?prefix=v1/nothing/`);
    assert.deepEqual(textsOf(listed, "ETag"), [`&quot;${etag}&quot;`]);
  });

  it("changed before 1970 or after now, has a time that clients can read", async () => {
    assert.equal((await ask(`${url}/set/v1/old`)).headers["last-modified"], "Thu, 01 Jan 1970 00:00:00 GMT");
    const listed = await ask(`${url}/set?prefix=v1/empty`);
    assert.deepEqual(textsOf(listed, "LastModified"), ["1970-01-01T00:00:00.000Z"], "the same each time");
    const headers = { "if-modified-since": new Date().toUTCString() };
    const { headers: future, status } = await ask(`${url}/set/v1/empty`, { headers });
    assert.deepEqual([future["last-modified"], status], ["Thu, 01 Jan 1970 00:00:00 GMT", 200]);
  });

  it("that is not there, is refused with NoSuchKey and its key; by HEAD, without a body", async () => {
    const keys = [
      "v1/none",
      "none/text.txt",
      "v1",
      "v1/sub",
      "v1/text.txt/",
      "v1/a//b",
      "v1/../x",
      "V1/x",
      "v1//",
    ];
    for (const key of [...keys, `sha256:${"0".repeat(64)}/text.txt`, "sha256:0/text.txt"]) {
      const answer = await ask(`${url}/set/${key}`);
      assert.deepEqual([answer.status, textsOf(answer, "Code")], [404, ["NoSuchKey"]], key);
      assert.deepEqual(textsOf(answer, "Key"), [key]);
      assert.deepEqual(textsOf(answer, "RequestId"), [answer.headers["x-amz-request-id"]]);
    }
    const head = await ask(`${url}/set/v1/none`, { method: "HEAD" });
    assert.deepEqual([head.status, head.text], [404, ""]);
    for (const key of ["v1/x", "x", "v1//"]) {
      assert.deepEqual(textsOf(await ask(`${url}/none/${key}`), "Code"), ["NoSuchBucket"]);
    }
  });

  it("asked for by a version, is there under the one that all have", async () => {
    assert.equal((await ask(`${url}/set/v1/text.txt?versionId=null`)).text, TEXT);
    const answer = await ask(`${url}/set/v1/text.txt?versionId=x`);
    assert.deepEqual([answer.status, textsOf(answer, "Code")], [404, ["NoSuchVersion"]]);
  });
});

describe("a range of an object", () => {
  const get = (range: string, method = "GET", key = "text.txt") =>
    ask(`${url}/set/v1/${key}`, { method, headers: { range, "x-amz-checksum-mode": "ENABLED" } });

  it("that lies in it, comes alone, without the checksum of the whole", async () => {
    for (const [range, text, place] of [
      ["bytes=4-7", "cont", "4-7"],
      ["bytes=4-", "content", "4-10"],
      ["bytes=-7", "content", "4-10"],
      ["bytes=9-100", "nt", "9-10"],
    ] as const) {
      const answer = await get(range);
      assert.deepEqual([answer.status, answer.text], [206, text], range);
      assert.equal(answer.headers["content-range"], `bytes ${place}/11`);
      assert.equal(answer.headers["x-amz-checksum-sha256"], undefined);
    }
    const whole = await get("bytes=0-");
    assert.deepEqual([whole.status, whole.headers["x-amz-checksum-sha256"]], [206, CHECKSUM]);
  });

  it("asked for by HEAD, has the range's length", async () => {
    const answer = await get("bytes=4-7", "HEAD");
    assert.deepEqual([answer.status, answer.headers["content-length"]], [206, "4"]);
  });

  it("that is malformed, or one of several, is the whole", async () => {
    for (const range of ["bytes=5-4", "bytes=a-b", "bytes", "items=0-1", "bytes=0-1,3-4"]) {
      const answer = await get(range);
      assert.deepEqual([answer.status, answer.text], [200, TEXT], range);
    }
  });

  it("that lies outside, is refused with InvalidRange and the size", async () => {
    for (const [key, size] of [
      ["text.txt", "11"],
      ["empty", "0"],
    ] as const) {
      const answer = await get("bytes=40-50", "GET", key);
      assert.deepEqual([answer.status, textsOf(answer, "Code")], [416, ["InvalidRange"]]);
      assert.deepEqual(textsOf(answer, "ActualObjectSize"), [size]);
      assert.deepEqual(textsOf(answer, "RangeRequested"), ["bytes=40-50"]);
    }
  });

  it("that is a part of an upload, is the whole as the first, and there is no second", async () => {
    const first = await ask(`${url}/set/v1/text.txt?partNumber=1`);
    assert.deepEqual(
      [first.status, first.text, first.headers["content-range"]],
      [206, TEXT, "bytes 0-10/11"],
    );
    for (const [query, status, code] of [
      ["partNumber=2", 416, "InvalidPartNumber"],
      ["partNumber=0", 400, "InvalidArgument"],
      ["partNumber=10001", 400, "InvalidArgument"],
      ["partNumber=x", 400, "InvalidArgument"],
    ] as const) {
      const answer = await ask(`${url}/set/v1/text.txt?${query}`);
      assert.deepEqual([answer.status, textsOf(answer, "Code")], [status, [code]], query);
    }
    const both = await ask(`${url}/set/v1/text.txt?partNumber=1`, { headers: { range: "bytes=0-1" } });
    assert.equal(both.status, 400);
  });
});

describe("a condition on an object", () => {
  const before = "Sat, 29 Oct 1994 19:43:31 GMT";
  const later = "Sat, 29 Oct 2044 19:43:31 GMT";
  for (const [title, headers, status] of [
    ["If-Match of its ETag", { "if-match": ETAG }, 200],
    ["If-Match of its ETag without quotes", { "if-match": ETAG.slice(1, -1) }, 200],
    ["If-Match of anything", { "if-match": "*" }, 200],
    ["If-Match of another", { "if-match": '"ABCORZ"' }, 412],
    ["If-None-Match of its ETag", { "if-none-match": ETAG }, 304],
    ["If-None-Match of another", { "if-none-match": "ABCORZ" }, 200],
    ["If-Modified-Since before it changed", { "if-modified-since": before }, 200],
    ["If-Modified-Since when it changed", { "if-modified-since": CHANGED }, 304],
    ["If-Unmodified-Since before it changed", { "if-unmodified-since": before }, 412],
    ["If-Unmodified-Since after it changed", { "if-unmodified-since": later }, 200],
    [
      "If-Match that holds before a date that does not",
      { "if-match": ETAG, "if-unmodified-since": before },
      200,
    ],
    [
      "If-None-Match that holds not before a date that does",
      { "if-none-match": ETAG, "if-modified-since": before },
      304,
    ],
  ] as const) {
    it(`${title}, leads to ${status}`, async () => {
      const answer = await ask(`${url}/set/v1/text.txt`, { headers });
      assert.equal(answer.status, status);
      if (status === 412) {
        assert.deepEqual(textsOf(answer, "Code"), ["PreconditionFailed"]);
        assert.match(textsOf(answer, "Condition").join(), /^If-/);
      } else {
        assert.equal(answer.headers.etag, ETAG);
        assert.equal(answer.text, status === 200 ? TEXT : "");
      }
    });
  }
});

describe("headers of an answer that the query names", () => {
  it("in a signed request, are those of the answer, whatever their characters", async () => {
    const input = {
      Bucket: "set",
      Key: "v1/text.txt",
      ResponseCacheControl: "no-cache",
      ResponseContentDisposition: 'attachment; filename="ä日.txt"',
      ResponseContentEncoding: "aaa",
      ResponseContentLanguage: "esperanto",
      ResponseContentType: "foo/bar",
      ResponseExpires: new Date(1_580_702_706_000),
    };
    const { headers } = await ask(await getSignedUrl(client, new GetObjectCommand(input)));
    assert.equal(headers["cache-control"], "no-cache");
    const disposition = Buffer.from(String(headers["content-disposition"]), "latin1").toString();
    assert.equal(disposition, 'attachment; filename="ä日.txt"');
    assert.equal(headers["content-encoding"], "aaa");
    assert.equal(headers["content-language"], "esperanto");
    assert.equal(headers["content-type"], "foo/bar");
    assert.equal(headers.expires, CHANGED);
  });

  it("in a request that nobody signed, are refused with InvalidRequest", async () => {
    const answer = await ask(`${url}/set/v1/text.txt?response-content-type=text/html`);
    assert.deepEqual([answer.status, textsOf(answer, "Code")], [400, ["InvalidRequest"]]);
  });

  it("with a line end in one, are refused with InvalidArgument", async () => {
    const input = { Bucket: "set", Key: "v1/text.txt", ResponseContentType: "a\r\nx: y" };
    const answer = await ask(await getSignedUrl(client, new GetObjectCommand(input)));
    assert.deepEqual([answer.status, textsOf(answer, "Code")], [400, ["InvalidArgument"]]);
  });

  it("that make a browser run content, keep it from acting as this origin", async () => {
    const input = { Bucket: "set", Key: "v1/text.txt", ResponseContentType: "text/html" };
    for (const signed of [
      await getSignedUrl(client, new GetObjectCommand(input)),
      `${url}/set/v1/page.html`,
    ]) {
      const { headers } = await ask(signed);
      const isSigned = signed.includes("X-Amz-Signature");
      assert.equal(headers["cross-origin-resource-policy"], isSigned ? "cross-origin" : "same-origin");
      assert.match(String(headers["content-security-policy"]), /sandbox/);
      assert.equal(headers["x-content-type-options"], "nosniff");
    }
  });
});

describe("GetObjectAttributes", () => {
  it("has those that are asked for, and no parts", async () => {
    const input = { Bucket: "set", Key: "v1/text.txt" };
    const ObjectAttributes = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"] as const;
    const answer = await client.send(
      new GetObjectAttributesCommand({ ...input, ObjectAttributes: [...ObjectAttributes] }),
    );
    assert.equal(answer.ETag, ETAG.slice(1, -1));
    assert.deepEqual(answer.Checksum, { ChecksumSHA256: CHECKSUM, ChecksumType: "FULL_OBJECT" });
    assert.deepEqual(
      [answer.ObjectSize, answer.StorageClass, answer.ObjectParts],
      [11, "STANDARD", undefined],
    );
    const size = await client.send(
      new GetObjectAttributesCommand({ ...input, ObjectAttributes: ["ObjectSize"] }),
    );
    assert.deepEqual([size.ObjectSize, size.ETag], [11, undefined]);
  });

  it("of none, or of one that there is not, is refused with InvalidArgument", async () => {
    for (const headers of [{}, { "x-amz-object-attributes": "constructor" }]) {
      const answer = await ask(`${url}/set/v1/text.txt?attributes`, { headers });
      assert.deepEqual([answer.status, textsOf(answer, "Code")], [400, ["InvalidArgument"]]);
    }
  });
});
