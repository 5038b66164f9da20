import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { setTrailerStatus, findTrailerError } from "@connectrpc/connect/protocol-grpc";
import fc from "fast-check";
import { AetherError, ERRORS, type ErrorCode } from "../base/errors.ts";
import { fromRpcError, toRpcError } from "./rpc-error.ts";

/** The error as it arrives, after its way as trailers. */
function sent(error: unknown): { readonly error: AetherError; readonly bytes: number } {
  const trailers = setTrailerStatus(new Headers(), toRpcError(error));
  const bytes = [...trailers].reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  return { error: fromRpcError(findTrailerError(trailers), "h"), bytes };
}

const CODES = Object.keys(ERRORS) as ErrorCode[];

describe("an error on its way over gRPC", () => {
  it("of each code but INTERNAL, arrives with its code, message and data", () => {
    for (const code of CODES.filter((each) => each !== "INTERNAL")) {
      const { error } = sent(new AetherError(code, `what: ${code} ä`, { data: { path: "a/ß", limit: 3 } }));
      const { message, data } = error;
      assert.deepEqual([error.code, message, data], [code, `what: ${code} ä`, { path: "a/ß", limit: "3" }]);
    }
  });

  it("of AetherFS's insides, arrives without what it says", () => {
    const internal = new AetherError("INTERNAL", "secret", { data: { secret: 1 } });
    for (const thrown of [new Error("secret"), internal, "secret", undefined]) {
      const { error } = sent(thrown);
      assert.equal(error.code, "INTERNAL");
      assert.doesNotMatch(JSON.stringify([error.message, error.data]), /secret/);
    }
  });

  it("of any text, arrives as its beginning, within what clients take of trailers", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 5000, size: "max" }),
      fc.constantFrom("\ud83d", "ä".repeat(9000), "\u{1f600}".repeat(9000), "x".repeat(100_000)),
    );
    const property = fc.property(text, text, text, (message, path, name) => {
      const { error, bytes } = sent(new AetherError("PATH_INVALID", message, { data: { path, name } }));
      assert.equal(error.code, "PATH_INVALID");
      assert.ok(bytes <= 8192, `${bytes} bytes`);
      const said = error.message.endsWith("…") ? error.message.slice(0, -1) : error.message;
      assert.ok(message.toWellFormed().startsWith(said));
    });
    fc.assert(property, { numRuns: 50 });
  });

  it("without a detail, means what its status says", () => {
    const meant = (code: Code): ErrorCode => fromRpcError(new ConnectError("x", code), "h").code;
    assert.equal(meant(Code.Unavailable), "HUB_UNAVAILABLE");
    assert.equal(meant(Code.DeadlineExceeded), "DEADLINE_EXCEEDED");
    assert.equal(meant(Code.DataLoss), "INTERNAL");
  });
});
