import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AetherError } from "../../base/errors.ts";
import { problemError } from "./problem.ts";

describe("an error over HTTP", () => {
  it("with a code of the table, is that error", () => {
    const body = JSON.stringify({
      code: "OBJECT_MISSING",
      detail: "gone",
      data: { digest: "d", n: 1, x: [] },
    });
    const error = problemError("h", 404, body);
    assert.ok(error instanceof AetherError);
    assert.deepEqual(
      [error.code, error.message, error.data],
      ["OBJECT_MISSING", "gone", { digest: "d", n: 1 }],
    );
  });

  it("of whoever answers for a hub that is down, says that it is down", () => {
    for (const status of [429, 502, 503, 504]) {
      assert.equal(problemError("h", status, "<html>Bad Gateway").code, "HUB_UNAVAILABLE");
    }
  });

  it("that makes no sense, is a fault, without a word of the body", () => {
    for (const body of ["", "{", "[]", "null", '{"code":"toString"}', '{"code":7}']) {
      const { code, message } = problemError("h:1", 418, body);
      assert.deepEqual([code, message], ["INTERNAL", "the hub h:1 answered with status 418"]);
    }
  });
});
