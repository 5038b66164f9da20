import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { AetherError, codeOf, errnoOf, ERRORS, type ErrorCode } from "./errors.ts";

test("error table, every row, has a real errno, an HTTP error status and an exit code that shells keep", () => {
  for (const [code, row] of Object.entries(ERRORS)) {
    assert.ok(row.errno in constants.errno, `${code}: ${row.errno}`);
    assert.ok(row.http >= 400 && row.http <= 599, code);
    assert.ok(row.exit >= 1 && row.exit <= 130, code);
    assert.match(row.text, /^[A-Z].*\.$/, code);
  }
});

test("AetherError, made with a code, carries message, data, cause and what the table says of retrying", () => {
  const cause = new Error("below");
  const error = new AetherError("STORE_UNAVAILABLE", "try later", { data: { store: "x" }, cause });
  assert.deepEqual(
    [error.code, error.message, error.data],
    ["STORE_UNAVAILABLE", "try later", { store: "x" }],
  );
  assert.equal(error.cause, cause);
  assert.equal(error.retry, true);
  const bare = new AetherError("OBJECT_INVALID", "no");
  assert.deepEqual([bare.retry, bare.data, "cause" in bare], [false, {}, false]);
});

test("codeOf, any thrown value, is a code of the table", () => {
  const cases: readonly (readonly [unknown, ErrorCode])[] = [
    [new AetherError("TAG_CONFLICT", ""), "TAG_CONFLICT"],
    [AbortSignal.abort().reason, "CANCELLED"],
    [new TypeError("x"), "INTERNAL"],
    ["text", "INTERNAL"],
    [undefined, "INTERNAL"],
  ];
  for (const [thrown, code] of cases) assert.equal(codeOf(thrown), code);
});

test("errnoOf, an error of Node's, is its code; of anything else undefined", () => {
  assert.equal(errnoOf(Object.assign(new Error(), { code: "ENOENT" })), "ENOENT");
  assert.equal(errnoOf(Object.assign(new Error(), { code: 7 })), undefined);
  assert.equal(errnoOf({ code: "ENOENT" }), undefined);
});
