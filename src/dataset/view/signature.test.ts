import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BlockSigner, formatSignature, parseSignature } from "./signature.ts";

function signatureOf(...parts: readonly string[]): string {
  const signer = new BlockSigner();
  for (const part of parts) signer.update(Buffer.from(part));
  return formatSignature(signer.finish());
}

describe("signature", () => {
  it("of known bytes, is the one that the first AetherFS gives them", () => {
    assert.equal(signatureOf("hello", " world"), "ylvggtezh4cqjavu4ysdejaip56chpotyb5ldjc6tiq4ml5ntfha====");
    assert.equal(signatureOf(), "wyjwpgqictm6y5zpsxlxrq27yx7rnf6esnyvmu6gy4jbiqusywwq====");
  });

  it("of any bytes, parsed and formatted, is itself", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const signature = signatureOf(text);
        assert.equal(formatSignature(parseSignature(signature)), signature);
      }),
    );
  });

  it("that is malformed, is ARGUMENT_INVALID", () => {
    const good = signatureOf("hello");
    const bad = ["", "x", good.slice(1), good.toUpperCase(), good.replaceAll("=", ""), `1${good.slice(1)}`];
    for (const text of [...bad, `${good.slice(0, 51)}b====`, `../../${good.slice(6)}`]) {
      assert.throws(() => parseSignature(text), { code: "ARGUMENT_INVALID" }, text);
    }
  });
});
