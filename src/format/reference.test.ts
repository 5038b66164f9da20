import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AetherError } from "../base/errors.ts";
import { NAME_LENGTH_MAX } from "../base/limits.ts";
import { digestOf, formatDigest } from "./digest.ts";
import {
  formatReference,
  parseDatasetName,
  parseReference,
  parseTag,
  scopeOf,
  type Reference,
} from "./reference.ts";

const DIGEST = digestOf(Buffer.from("x"));
const TEXT = formatDigest(DIGEST);

/** Text → host, name, tag, digest. */
const VALID: readonly (readonly [
  string,
  string | undefined,
  string,
  string | undefined,
  string | undefined,
])[] = [
  ["cities", undefined, "cities", undefined, undefined],
  ["cities:v1.0", undefined, "cities", "v1.0", undefined],
  ["@earth/cities", undefined, "@earth/cities", undefined, undefined],
  ["@earth/cities:latest", undefined, "@earth/cities", "latest", undefined],
  [`cities@${TEXT}`, undefined, "cities", undefined, DIGEST],
  [`@earth/cities@${TEXT}`, undefined, "@earth/cities", undefined, DIGEST],
  ["localhost/cities", "localhost", "cities", undefined, undefined],
  ["localhost:8080/cities:v1", "localhost:8080", "cities", "v1", undefined],
  ["hub:80/@earth/cities", "hub:80", "@earth/cities", undefined, undefined],
  ["data.example.com/@earth/cities:v1", "data.example.com", "@earth/cities", "v1", undefined],
  [`[::1]:8080/cities@${TEXT}`, "[::1]:8080", "cities", undefined, DIGEST],
  ["0.1_a-b:9.9_x-", undefined, "0.1_a-b", "9.9_x-", undefined],
];

for (const [text, host, name, tag, digest] of VALID) {
  test(`"${text}" is a reference, and formats as it was`, () => {
    const reference = parseReference(text);
    assert.deepEqual(reference, { host, name, tag, digest });
    assert.equal(formatReference(reference), text);
  });
}

const LONG = "a".repeat(NAME_LENGTH_MAX + 1);
const INVALID = [
  "",
  ":",
  "@",
  "/",
  "a/b",
  "@a",
  "@/a",
  "@a/",
  "@a/b/c",
  "@a/@b",
  "A",
  "a b",
  "a:",
  "a:B",
  "a:b:c",
  ".a",
  "-a",
  "_a",
  "..",
  "a:..",
  "@../a",
  "a\0",
  "a\n",
  "é",
  "a@",
  "a@sha256:12",
  `a@${TEXT.toUpperCase()}`,
  `a@${TEXT}0`,
  `a:v1@${TEXT}`,
  "localhost/",
  "localhost/a/b",
  "host:123456/a",
  LONG,
  `@${LONG}/a`,
  `a:${LONG}`,
];

for (const text of INVALID) {
  test(`${JSON.stringify(text.slice(0, 40))} is no reference`, () => {
    assert.throws(() => parseReference(text), { name: "AetherError", code: "REFERENCE_INVALID" });
  });
}

test("any text, parsed as a reference, a name or a tag, is valid or REFERENCE_INVALID, with a short message", () => {
  const parts = fc.array(fc.constantFrom("a", "@", "/", ":", ".", "localhost", TEXT, "[", "]", "\0", "é"));
  const text = fc.oneof(
    fc.string(),
    fc.string({ minLength: 300, maxLength: 2000 }),
    parts.map((list) => list.join("")),
  );
  fc.assert(
    fc.property(text, (any) => {
      for (const parse of [parseReference, parseDatasetName, parseTag]) {
        try {
          parse(any);
        } catch (error) {
          assert.ok(error instanceof AetherError && error.code === "REFERENCE_INVALID", String(error));
          assert.ok(error.message.length < 1000, "the message does not repeat everything");
        }
      }
    }),
  );
});

test("any reference, formatted and parsed, is the same", () => {
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/);
  const host = fc.option(fc.constantFrom("localhost", "a.b", "a:1", "[::1]"), { nil: undefined });
  const scope = fc.option(word, { nil: undefined });
  const kind = fc.constantFrom("tag", "digest", "none");
  fc.assert(
    fc.property(host, scope, word, word, kind, (anyHost, anyScope, name, tag, what) => {
      const reference: Reference = {
        host: anyHost,
        name: parseDatasetName(anyScope === undefined ? name : `@${anyScope}/${name}`),
        tag: what === "tag" ? parseTag(tag) : undefined,
        digest: what === "digest" ? DIGEST : undefined,
      };
      assert.deepEqual(parseReference(formatReference(reference)), reference);
      assert.equal(scopeOf(reference.name), anyScope === undefined ? "" : `@${anyScope}`);
    }),
  );
});
