/** Who may ask, by signatures of AWS's SDK and by ones that are wrong in one thing. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import type { LogFacts } from "../../base/log.ts";
import { encodeRfc3986, canonicalRequest, signatureOf, stringToSign } from "./sig-v4.ts";
import { ask, BED_KEY, BED_KEYS, openS3Bed, textsOf, type Answer, type S3Bed } from "./testing/s3-bed.ts";

const HOUR_MS = 3_600_000;
const AWKWARD = "a b+c&d%é/~!'()*=:@,;$ß日";
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

let s3: S3Bed;
let url: string;
before(async () => {
  s3 = await openS3Bed();
  s3.bed.write("x", "content");
  s3.bed.write(AWKWARD, "awkward");
  await s3.push("set:v1");
  url = await s3.open({ keys: BED_KEYS });
});
after(() => s3.close());

function refused(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, textsOf(answer, "Code")[0]], [status, code], answer.text);
}

interface Signing {
  readonly path?: string;
  readonly method?: string;
  readonly time?: string;
  readonly scope?: { readonly date: string; readonly region: string; readonly service: string };
  readonly id?: string;
  readonly secret?: string;
  readonly signed?: readonly string[];
  readonly more?: Readonly<Record<string, string>>;
}

/** The headers of a request that is signed as the reference says, but for what is different. */
function signedHeaders(host: string, different: Signing): Record<string, string> {
  const {
    path = "/set/v1/x",
    method = "GET",
    id = BED_KEY.id,
    secret = BED_KEY.secret,
    more = {},
  } = different;
  const time = different.time ?? new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = different.scope ?? { date: time.slice(0, 8), region: "eu-west-3", service: "s3" };
  const values: Record<string, string> = { host, "x-amz-content-sha256": EMPTY, "x-amz-date": time, ...more };
  const names = [...(different.signed ?? Object.keys(values))].sort();
  const headers = names.map((name) => [name, [values[name] ?? ""]] as const);
  const parts = { method, path, pairs: [], headers, payload: values["x-amz-content-sha256"] ?? "" };
  const signature = signatureOf(stringToSign(canonicalRequest(parts), time, scope), secret, scope);
  const credential = `${id}/${scope.date}/${scope.region}/${scope.service}/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...values, authorization };
}

function askSigned(different: Signing = {}, origin = url): Promise<Answer> {
  const { path = "/set/v1/x", method = "GET" } = different;
  return ask(`${origin}${path}`, { method, headers: signedHeaders(new URL(origin).host, different) });
}

describe("a request signed in its header", () => {
  it("by the SDK, for keys of any characters and lists of any prefix, is answered", async () => {
    for (const base of ["", "/s3"]) {
      const client = s3.client(await s3.open({ keys: BED_KEYS, base }));
      const got = await client.send(new GetObjectCommand({ Bucket: "set", Key: `v1/${AWKWARD}` }));
      assert.equal(await got.Body?.transformToString(), "awkward");
      const list = await client.send(new ListObjectsV2Command({ Bucket: "set", Prefix: "v1/a b+c&d%é/" }));
      assert.deepEqual(
        list.Contents?.map(({ Key }) => Key),
        [`v1/${AWKWARD}`],
      );
    }
  });

  it("as the reference says, in any region, is answered; by a path without the base, too", async () => {
    assert.equal((await askSigned()).text, "content");
    const based = await s3.open({ keys: BED_KEYS, base: "/s3" });
    const headers = signedHeaders(new URL(based).host, {});
    assert.equal((await ask(`${based}/set/v1/x`, { headers })).text, "content");
  });

  it("for a path without the base, is no request for a bucket of the base's name", async () => {
    const based = await s3.open({ keys: BED_KEYS, base: "/s3" });
    const headers = signedHeaders(new URL(based).host, { path: "/s3/v1/x" });
    refused(await ask(`${based}/s3/v1/x`, { headers }), 403, "SignatureDoesNotMatch");
  });

  it("with another secret, for another path or method, is refused with SignatureDoesNotMatch", async () => {
    const wrong = await askSigned({ secret: `${BED_KEY.secret}x` });
    refused(wrong, 403, "SignatureDoesNotMatch");
    assert.deepEqual(textsOf(wrong, "AWSAccessKeyId"), [BED_KEY.id]);
    assert.ok(!wrong.text.includes(BED_KEY.secret));
    const headers = signedHeaders(new URL(url).host, {});
    refused(await ask(`${url}/set/v1/y`, { headers }), 403, "SignatureDoesNotMatch");
    refused(await ask(`${url}/set/v1/x?acl`, { headers }), 403, "SignatureDoesNotMatch");
    refused(await ask(`${url}/set/v1/x`, { headers, method: "DELETE" }), 403, "SignatureDoesNotMatch");
  });

  it("with an id that nobody has, is refused with InvalidAccessKeyId, also where nobody has any", async () => {
    refused(await askSigned({ id: "AKIDOTHER" }), 403, "InvalidAccessKeyId");
    refused(await askSigned({}, await s3.open()), 403, "InvalidAccessKeyId");
  });

  it("at a time that is more than 15 minutes off, is refused with RequestTimeTooSkewed", async () => {
    for (const [aheadMs, code] of [
      [HOUR_MS / 3, "RequestTimeTooSkewed"],
      [-HOUR_MS / 3, "RequestTimeTooSkewed"],
      [HOUR_MS / 6, undefined],
      [-HOUR_MS / 6, undefined],
    ] as const) {
      const answer = await askSigned({}, await s3.open({ keys: BED_KEYS, aheadMs }));
      if (code === undefined) assert.equal(answer.text, "content");
      else refused(answer, 403, code);
    }
  });

  it("with a header of S3 or a host that is not signed, is refused with what that is", async () => {
    const signed = ["host", "x-amz-content-sha256", "x-amz-date"];
    const answer = await askSigned({ signed, more: { "x-amz-checksum-mode": "ENABLED" } });
    refused(answer, 403, "AccessDenied");
    assert.deepEqual(textsOf(answer, "HeadersNotSigned"), ["x-amz-checksum-mode"]);
    refused(await askSigned({ signed: signed.slice(1) }), 403, "AccessDenied");
  });

  it("in a form that is not Signature Version 4 for S3, is refused with what is wrong", async () => {
    const scope = { date: "20200101", region: "r", service: "s3" };
    refused(await askSigned({ scope }), 400, "AuthorizationHeaderMalformed");
    const iam = {
      date: new Date().toISOString().slice(0, 10).replaceAll("-", ""),
      region: "r",
      service: "iam",
    };
    refused(await askSigned({ scope: iam }), 400, "AuthorizationHeaderMalformed");
    for (const [authorization, code] of [
      ["AWS4-HMAC-SHA256 Credential=a", "AuthorizationHeaderMalformed"],
      ["AWS4-HMAC-SHA256 x", "AuthorizationHeaderMalformed"],
      ["AWS AKID:c2lnbmF0dXJl", "InvalidRequest"],
      ["AWS4-ECDSA-P256-SHA256 Credential=a", "InvalidRequest"],
      ["Basic YTpi", "InvalidRequest"],
    ] as const) {
      refused(await ask(`${url}/set/v1/x`, { headers: { authorization } }), 400, code);
    }
    const headers = signedHeaders(new URL(url).host, {});
    delete headers["x-amz-content-sha256"];
    refused(await ask(`${url}/set/v1/x`, { headers }), 400, "InvalidRequest");
  });
});

describe("a presigned URL", () => {
  const sign = (expiresIn: number, key = `v1/${AWKWARD}`): Promise<string> =>
    getSignedUrl(s3.client(url), new GetObjectCommand({ Bucket: "set", Key: key }), { expiresIn });

  it("of the SDK, is answered until it expires, also much later than a header would be", async () => {
    const signed = await sign(2 * (HOUR_MS / 1000));
    assert.equal((await ask(signed)).text, "awkward");
    for (const [aheadMs, status] of [
      [HOUR_MS, 200],
      [3 * HOUR_MS, 403],
    ] as const) {
      const later = new URL(await s3.open({ keys: BED_KEYS, aheadMs }));
      const answer = await ask(signed.replace(new URL(url).origin, later.origin), {
        headers: { host: new URL(url).host },
      });
      assert.equal(answer.status, status, answer.text);
      if (status === 403) assert.deepEqual(textsOf(answer, "Message"), ["Request has expired"]);
    }
  });

  it("changed in anything, is refused", async () => {
    const signed = await sign(60);
    refused(await ask(`${signed}&x=1`), 403, "SignatureDoesNotMatch");
    refused(await ask(signed.replace("X-Amz-Expires=60", "X-Amz-Expires=61")), 403, "SignatureDoesNotMatch");
    assert.equal((await ask(signed, { method: "HEAD" })).status, 403);
    const short = signed.replace(/X-Amz-Signature=[0-9a-f]+/, "X-Amz-Signature=0");
    refused(await ask(short), 403, "SignatureDoesNotMatch");
  });

  it("that lives for no time, for more than a week, or for less than nothing, is refused with 403", async () => {
    const signed = await sign(60, "v1/x");
    for (const expires of ["609901", "-7", "abc", ""]) {
      const answer = await ask(signed.replace("X-Amz-Expires=60", `X-Amz-Expires=${encodeRfc3986(expires)}`));
      refused(answer, 403, "AuthorizationQueryParametersError");
    }
    const none = await ask(signed.replace("X-Amz-Expires=60", "X-Amz-Expires=0"));
    refused(none, 403, "AccessDenied");
  });

  it("of Signature Version 2, and one beside a signed header, is refused", async () => {
    refused(await ask(`${url}/set/v1/x?AWSAccessKeyId=a&Expires=1&Signature=b`), 400, "InvalidRequest");
    const headers = signedHeaders(new URL(url).host, {});
    refused(await ask(await sign(60, "v1/x"), { headers }), 400, "InvalidArgument");
  });
});

describe("a request that nobody signed", () => {
  it("where there are no keys, is answered as access says; where there are, is refused", async () => {
    assert.equal((await ask(`${await s3.open()}/set/v1/x`)).text, "content");
    refused(await ask(`${url}/set/v1/x`), 403, "AccessDenied");
  });
});

describe("access", () => {
  it("is asked by the name of the key's owner, for what may be listed and read", async () => {
    const asked: string[] = [];
    const access: Access = {
      identify: async () => ({ name: "anonymous" }),
      check: async ({ name }, action, dataset) => {
        asked.push(`${name} ${action} ${dataset}`);
        if (dataset === "set") throw new AetherError("ACCESS_DENIED", "no");
      },
    };
    const origin = await s3.open({ keys: BED_KEYS, access });
    refused(await askSigned({}, origin), 403, "AccessDenied");
    assert.deepEqual(textsOf(await askSigned({ path: "/" }, origin), "Name"), []);
    assert.deepEqual(asked, ["alice read set", "alice list set"]);
  });
});

describe("the log", () => {
  it("of a request that failed inside, has the path and neither query nor signature", async () => {
    const lines: LogFacts[] = [];
    const note = (facts: LogFacts): void => void lines.push(facts);
    const access: Access = {
      identify: async () => ({ name: "anonymous" }),
      check: async () => {
        throw new Error("broken");
      },
    };
    const log = { error: note, warn: note, info: note, debug: note };
    const origin = await s3.open({ keys: BED_KEYS, access, log });
    const command = new GetObjectCommand({ Bucket: "set", Key: "v1/x" });
    refused(await ask(await getSignedUrl(s3.client(origin), command)), 500, "InternalError");
    assert.deepEqual(
      lines.map(({ path }) => path),
      ["/set/v1/x"],
    );
    assert.doesNotMatch(JSON.stringify(lines), /Signature|Credential/);
  });
});
