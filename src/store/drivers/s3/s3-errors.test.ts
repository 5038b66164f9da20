import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AetherError } from "../../../base/errors.ts";
import { s3Error } from "./s3-errors.ts";

/** What the SDK throws for an answer. */
function answer(name: string, status: number): Error {
  return Object.assign(new Error("no"), { name, $metadata: { httpStatusCode: status } });
}

/** What Node throws when there is no answer. */
function errno(code: string): Error {
  return Object.assign(new Error("no"), { code });
}

describe("s3Error", () => {
  const cases: readonly (readonly [Error, "read" | "write", string, RegExp])[] = [
    [answer("AccessDenied", 403), "read", "STORE_UNREADABLE", /do not allow to read/],
    [answer("AccessDenied", 403), "write", "STORE_UNWRITABLE", /do not allow to write/],
    [answer("403", 403), "read", "STORE_UNREADABLE", /docs\/s3\.md/],
    [answer("InvalidAccessKeyId", 403), "read", "STORE_UNREADABLE", /does not know the access key/],
    [answer("RequestTimeTooSkewed", 403), "read", "STORE_UNREADABLE", /clock/],
    [answer("ExpiredToken", 400), "write", "STORE_UNWRITABLE", /renew/],
    [answer("CredentialsProviderError", 0), "read", "STORE_UNREADABLE", /AWS_ACCESS_KEY_ID/],
    [answer("NoSuchBucket", 404), "read", "STORE_NOT_FOUND", /the bucket does not exist/],
    [answer("InvalidBucketName", 400), "read", "ARGUMENT_INVALID", /no bucket of that name/],
    [answer("QuotaExceeded", 403), "write", "SPACE_EXHAUSTED", /quota/],
    [answer("Anything", 507), "write", "SPACE_EXHAUSTED", /full/],
    [answer("PermanentRedirect", 301), "read", "CONFIG_INVALID", /--storage_s3_region/],
    [answer("NotImplemented", 501), "write", "FEATURE_UNSUPPORTED", /cannot do/],
    [answer("InvalidRequest", 400), "write", "FEATURE_UNSUPPORTED", /is it S3/],
    [answer("SlowDown", 503), "write", "STORE_UNAVAILABLE", /SlowDown, HTTP 503/],
    [answer("TooManyRequests", 429), "read", "STORE_UNAVAILABLE", /429/],
    [answer("InternalError", 500), "read", "STORE_UNAVAILABLE", /500/],
    [answer("ConditionalRequestConflict", 409), "write", "STORE_UNAVAILABLE", /409/],
    [answer("XAmzContentSHA256Mismatch", 400), "write", "STORE_UNAVAILABLE", /400/],
    [answer("TimeoutError", 0), "read", "STORE_UNAVAILABLE", /TimeoutError/],
    [errno("ECONNRESET"), "read", "STORE_UNAVAILABLE", /ECONNRESET/],
    [errno("ECONNREFUSED"), "read", "STORE_UNAVAILABLE", /--storage_s3_endpoint/],
    [errno("SELF_SIGNED_CERT_IN_CHAIN"), "read", "CONFIG_INVALID", /--storage_s3_tls_ca_file/],
  ];
  for (const [error, doing, code, message] of cases) {
    const what = "code" in error ? String(error.code) : error.name;
    it(`of ${what} in a ${doing}, is ${code}`, () => {
      const mapped = s3Error(error, "s3://bucket", doing);
      assert.ok(mapped instanceof AetherError);
      assert.equal(mapped.code, code);
      assert.match(mapped.message, message);
      assert.match(mapped.message, /^s3:\/\/bucket: /);
    });
  }

  it("of one that is of the table, of an abort, and of a fault of ours, is the same", () => {
    const abort = Object.assign(new Error("x"), { name: "AbortError" });
    const ours = new TypeError("x is not a function");
    for (const error of [new AetherError("OBJECT_CONFLICT", "x"), abort, ours]) {
      assert.equal(s3Error(error, "s3://bucket", "read"), error);
    }
  });

  it("of anything, when the caller gave up, is the caller's reason", () => {
    const reason = new Error("enough");
    assert.equal(s3Error(answer("SlowDown", 503), "s3://bucket", "read", AbortSignal.abort(reason)), reason);
  });
});
