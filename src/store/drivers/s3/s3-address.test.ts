import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseS3Address } from "./s3-address.ts";

describe("parseS3Address", () => {
  for (const [address, bucket, prefix] of [
    ["s3://bucket", "bucket", ""],
    ["s3://bucket/", "bucket", ""],
    ["S3://Bucket_1.x/a", "Bucket_1.x", "a/"],
    ["s3://bucket/a/b c/".replace(" ", "-"), "bucket", "a/b-c/"],
    ["s3://bucket/größe", "bucket", "größe/"],
  ] as const) {
    it(`of ${address}, is the bucket ${bucket} and "${prefix}"`, () => {
      assert.deepEqual(parseS3Address(address), { bucket, prefix });
    });
  }

  for (const address of [
    "s3:bucket",
    "s3://",
    "s3:///a",
    "s3://a",
    "s3://bucket?x",
    "s3://bucket/a//b",
    "s3://bucket/../b",
    "s3://bucket/a/.",
    "s3://bucket/a%20b",
    "s3://bucket/a b",
    "s3://bucket/a#b",
    `s3://bucket/${"x".repeat(513)}`,
  ]) {
    it(`of ${address.slice(0, 30)}, is ARGUMENT_INVALID`, () => {
      assert.throws(() => parseS3Address(address), { code: "ARGUMENT_INVALID" });
    });
  }

  it("of one with credentials in it, does not repeat them", () => {
    assert.throws(
      () => parseS3Address("s3://key:secret@bucket"),
      (error) => error instanceof Error && !error.message.includes("secret"),
    );
  });
});
