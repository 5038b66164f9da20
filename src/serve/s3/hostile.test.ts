/** Requests that no client sends. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, it } from "node:test";
import fc from "fast-check";
import { MiB } from "../../base/limits.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { encodeRfc3986 } from "./sig-v4.ts";
import { ask, BED_KEY, BED_KEYS, openS3Bed, type S3Bed } from "./testing/s3-bed.ts";

const PARAMETERS = [
  ...[
    "prefix",
    "delimiter",
    "max-keys",
    "continuation-token",
    "list-type",
    "marker",
    "versionId",
    "partNumber",
  ],
  ...["response-content-type", "acl", "uploads", "versions", "attributes", "encoding-type", "AWSAccessKeyId"],
  ...["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"].map(
    (each) => `X-Amz-${each}`,
  ),
];
const VALUES = [
  ...["", "0", "1", "99999999999", "-1", "AWS4-HMAC-SHA256", "20200101T000000Z", "/", "2"],
  `${BED_KEY.id}/20200101/r/s3/aws4_request`,
];
const SEGMENTS = ["set", "a--b", "v1", "x", "", "..", "%", "%00", "%ff", `sha256:${"0".repeat(64)}`];
const HEADERS = [
  ...["range", "if-match", "if-none-match", "if-modified-since", "if-range", "authorization", "x-amz-date"],
  ...["x-amz-content-sha256", "x-amz-object-attributes", "x-amz-checksum-mode"],
];
const HEADER_VALUES = [
  "bytes=0-0",
  "bytes=-",
  '"',
  "*",
  "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
];

/** More than a connection takes that nobody reads from. */
const BIG_BYTES = 24 * MiB;

let s3: S3Bed;
before(async () => {
  s3 = await openS3Bed();
  s3.bed.write("x", "content");
  s3.bed.write("big", noise(3, BIG_BYTES));
  await s3.push("set:v1");
});
after(() => s3.close());

it("requests of one that does not read, beyond what a hub has under way, are told to slow down; others are answered", async () => {
  const origin = await s3.open({ limits: { streamsMax: 1, waitersMax: 1, idleMs: 500 } });
  const { hostname, port } = new URL(origin);
  const stalled = connect(Number(port), hostname).on("error", () => undefined);
  stalled.pause();
  stalled.write("GET /set/v1/big HTTP/1.1\r\nhost: a\r\n\r\n");
  const more = Array.from({ length: 5 }, () => ask(`${origin}/set/v1/big`));
  const { headers, text } = await Promise.any(
    more.map(async (asked) => {
      assert.equal((await asked).status, 503);
      return asked;
    }),
  );
  assert.match(text, /<Code>SlowDown<\/Code>/);
  assert.equal(headers["retry-after"], "5");
  assert.equal((await ask(`${origin}/set/v1/x`)).text, "content");
  stalled.destroy();
  assert.ok((await Promise.all(more)).some(({ body }) => body.byteLength === BIG_BYTES));
});

it("a request of any path, query and headers is answered with a status below 500, by everybody and by keys", async () => {
  const origins = [await s3.open(), await s3.open({ keys: BED_KEYS })];
  const value = fc.oneof(fc.constantFrom(...VALUES), fc.string({ unit: "binary", maxLength: 20 }));
  const pair = fc
    .tuple(fc.constantFrom(...PARAMETERS), value)
    .map((each) => each.map(encodeRfc3986).join("="));
  const segment = fc.oneof(fc.constantFrom(...SEGMENTS), value.map(encodeRfc3986));
  const printable = fc.string({ maxLength: 30 }).map((each) => each.replace(/[^ -~]/g, ""));
  const header = fc.tuple(
    fc.constantFrom(...HEADERS),
    fc.oneof(fc.constantFrom(...HEADER_VALUES), printable),
  );
  const property = fc.asyncProperty(
    fc.array(segment, { maxLength: 5 }),
    fc.array(pair, { maxLength: 6 }),
    fc.array(header, { maxLength: 4 }),
    async (segments, pairs, headers) => {
      const target = `/${segments.join("/")}?${pairs.join("&")}`;
      for (const origin of origins) {
        const { status, text } = await ask(`${origin}${target}`, { headers: Object.fromEntries(headers) });
        assert.ok(status < 500, `${target}: ${text}`);
      }
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

it("a body of any XML, however deep, is answered as if it were none", async () => {
  const origins = [await s3.open(), await s3.open({ keys: BED_KEYS })];
  const name = fc.constantFrom(
    "Delete",
    "Object",
    "Key",
    "Quiet",
    "SelectObjectContentRequest",
    "a:b",
    "!ENTITY",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom("&a;", "<![CDATA[", "&#0;", "-->"),
  );
  const node = fc
    .tuple(name, text, fc.nat(500))
    .map(([each, inner, depth]) => `${`<${each}>`.repeat(depth)}${inner}${`</${each}>`.repeat(depth)}`);
  const doctype =
    '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>';
  const head = fc.constantFrom("", '<?xml version="1.0"?>', doctype);
  const body = fc
    .tuple(head, fc.array(node, { maxLength: 3 }))
    .map(([first, nodes]) => `${first}${nodes.join("")}`);
  const place = fc.constantFrom(
    ...["/set?delete", "/set", "/set/v1/x?select&select-type=2", "/set/v1/x?uploads", "/set/v1/x?uploadId=1"],
    ...["/set/v1/x?tagging", "/set?lifecycle", "/"],
  );
  const method = fc.constantFrom("POST", "PUT", "DELETE", "GET", "PATCH");
  const property = fc.asyncProperty(method, place, body, async (verb, target, content) => {
    for (const origin of origins) {
      const answer = await ask(`${origin}${target}`, { method: verb, body: Buffer.from(content) });
      assert.ok(answer.status < 500 || answer.text.includes("<Code>NotImplemented</Code>"), answer.text);
      assert.ok(!answer.text.includes("root:"));
    }
  });
  await fc.assert(property, { numRuns: 150 });
});
