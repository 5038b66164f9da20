/** Signature Version 4 by the vectors that AWS published: its test suite, and the examples of the S3 API reference. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalRequest, signatureOf, stringToSign, type Scope, type SignedParts } from "./sig-v4.ts";

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

type Pairs = SignedParts["pairs"];
type Headers = SignedParts["headers"];

function sign(parts: SignedParts, time: string, scope: Scope, secret: string): string {
  return signatureOf(stringToSign(canonicalRequest(parts), time, scope), secret, scope);
}

/** Name, path, query, further headers, signature. */
const SUITE: readonly (readonly [string, string, Pairs, Headers, string])[] = [
  ["get-vanilla", "/", [], [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  [
    "get-unreserved",
    `/${UNRESERVED}`,
    [],
    [],
    "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
  ],
  ["get-utf8", "/ሴ", [], [], "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"],
  [
    "get-vanilla-query-order-key",
    "/",
    [
      ["Param1", "value2"],
      ["Param1", "Value1"],
    ],
    [],
    "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
  ],
  [
    "get-vanilla-query-order-key-case",
    "/",
    [
      ["Param2", "value2"],
      ["Param1", "value1"],
    ],
    [],
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  [
    "get-vanilla-query-unreserved",
    "/",
    [[UNRESERVED, UNRESERVED]],
    [],
    "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
  ],
  [
    "get-vanilla-utf8-query",
    "/",
    [["ሴ", "bar"]],
    [],
    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  ],
  [
    "get-header-key-duplicate",
    "/",
    [],
    [["my-header1", ["value2", "value2", "value1"]]],
    "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
  ],
  [
    "get-header-value-trim",
    "/",
    [],
    [
      ["my-header1", [" value1"]],
      ["my-header2", [' "a   b   c"']],
    ],
    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  ],
];

describe("signature of a request of AWS's test suite", () => {
  for (const [name, path, pairs, more, signature] of SUITE) {
    it(`${name}, is the one of the suite`, () => {
      const time = "20150830T123600Z";
      const headers: Headers = [["host", ["example.amazonaws.com"]], ...more, ["x-amz-date", [time]]];
      const parts = { method: "GET", path, pairs, headers, payload: EMPTY };
      const scope = { date: "20150830", region: "us-east-1", service: "service" };
      assert.equal(sign(parts, time, scope, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), signature);
    });
  }
});

describe("signature of an example of the S3 API reference", () => {
  const time = "20130524T000000Z";
  const scope = { date: "20130524", region: "us-east-1", service: "s3" };
  const host: Headers[number] = ["host", ["examplebucket.s3.amazonaws.com"]];
  const signed = (path: string, pairs: Pairs, more: Headers = []): string => {
    const headers: Headers = [host, ...more, ["x-amz-content-sha256", [EMPTY]], ["x-amz-date", [time]]];
    const parts = { method: "GET", path, pairs, headers, payload: EMPTY };
    return sign(parts, time, scope, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  };

  it("GET of a range, is the one of the reference", () => {
    const expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    assert.equal(signed("/test.txt", [], [["range", ["bytes=0-9"]]]), expected);
  });

  it("GET of a sub-resource and of a list, is the one of the reference", () => {
    const lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
    assert.equal(signed("/", [["lifecycle", ""]]), lifecycle);
    const list = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    const pairs: Pairs = [
      ["max-keys", "2"],
      ["prefix", "J"],
    ];
    assert.equal(signed("/", pairs), list);
  });

  it("presigned GET, is the one of the reference", () => {
    const pairs: Pairs = [
      ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
      ["X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"],
      ["X-Amz-Date", time],
      ["X-Amz-Expires", "86400"],
      ["X-Amz-SignedHeaders", "host"],
    ];
    const parts = { method: "GET", path: "/test.txt", pairs, headers: [host], payload: "UNSIGNED-PAYLOAD" };
    const expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert.equal(sign(parts, time, scope, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), expected);
  });
});
