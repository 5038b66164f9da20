import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { protocolOf } from "./sniff.ts";

describe("the first bytes of a connection", () => {
  it("as they come, tell HTTP/2 by its preface and not before, TLS by its first byte", () => {
    const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    for (let length = 0; length <= preface.byteLength; length++) {
      assert.equal(protocolOf(preface.subarray(0, length)), length < 4 ? undefined : "http2");
    }
    assert.equal(protocolOf(Buffer.from("\x16\x03\x01", "latin1")), "tls");
  });

  it("of any other kind, are HTTP/1.1's to judge as soon as they differ", () => {
    for (const text of ["G", "P", "PR", "PUT ", "PRIX", "POST / HTTP/1.1"]) {
      const isOpen = "PRI ".startsWith(text);
      assert.equal(protocolOf(Buffer.from(text)), isOpen ? undefined : "http1", text);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4 }), (bytes) => {
        const text = Buffer.from(bytes).toString("latin1");
        const expected = bytes[0] === 0x16 ? "tls" : text.startsWith("PRI ") ? "http2" : "http1";
        assert.equal(protocolOf(bytes), expected);
      }),
    );
  });
});
