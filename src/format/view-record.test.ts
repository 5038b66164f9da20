import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AetherError } from "../base/errors.ts";
import { digestOf } from "./digest.ts";
import { parseDatasetName } from "./reference.ts";
import {
  decodeSignature,
  decodeView,
  encodeSignature,
  encodeView,
  type SignatureRecord,
  type ViewRecord,
} from "./view-record.ts";

const DIGEST = digestOf(Buffer.from("x"));
const OTHER = digestOf(Buffer.from("y"));

const SIGNATURE: SignatureRecord = {
  signature: OTHER,
  bytes: 7,
  upload: {
    lease: "0".repeat(32),
    holders: ["ann", "bob"],
    pieces: [{ block: DIGEST, offset: 32, chunk: OTHER, bytes: 7 }],
  },
  places: [{ dataset: parseDatasetName("@earth/cities"), version: DIGEST }],
};
const VIEW: ViewRecord = {
  version: DIGEST,
  layouts: [
    { blockBytes: 5, files: null, blocks: [DIGEST, OTHER] },
    { blockBytes: 64, files: ["b", "a", "naïve “name”"], blocks: [OTHER] },
  ],
};

describe("view records", () => {
  it("encoded and decoded, are what they were", () => {
    assert.deepEqual(decodeSignature(encodeSignature(SIGNATURE)), SIGNATURE);
    const published = { ...SIGNATURE, upload: null, places: [] };
    assert.deepEqual(decodeSignature(encodeSignature(published)), published);
    assert.deepEqual(decodeView(encodeView(VIEW)), VIEW);
    assert.deepEqual(decodeView(encodeView({ ...VIEW, layouts: [] })), { ...VIEW, layouts: [] });
  });

  it("with any byte changed, are refused with an AetherError, or decoded", () => {
    const kinds = [
      [encodeSignature(SIGNATURE), decodeSignature],
      [encodeView(VIEW), decodeView],
    ] as const;
    for (const [bytes, decode] of kinds) {
      fc.assert(
        fc.property(fc.nat(bytes.byteLength - 1), fc.nat(255), (index, value) => {
          const changed = Uint8Array.from(bytes);
          changed[index] = value;
          try {
            decode(changed);
          } catch (error) {
            assert.ok(error instanceof AetherError, String(error));
          }
        }),
      );
    }
  });

  it("with lists longer than allowed, or a member of another type, are OBJECT_INVALID", () => {
    const layouts = Array.from({ length: 9 }, () => ({ blockBytes: 1, files: null, blocks: [] }));
    assert.throws(() => decodeView(encodeView({ ...VIEW, layouts })), { code: "OBJECT_INVALID" });
    const places = Array.from({ length: 17 }, () => ({ dataset: parseDatasetName("a"), version: DIGEST }));
    assert.throws(() => decodeSignature(encodeSignature({ ...SIGNATURE, places })), {
      code: "OBJECT_INVALID",
    });
    const text = Buffer.from(encodeView(VIEW)).toString();
    for (const [from, to] of [
      ["[", "{"],
      ['"blockBytes":5', '"blockBytes":-5'],
      [OTHER, "zz"],
      ['["b"', "[7"],
    ] as const) {
      const bytes = Buffer.from(text.replace(from, to));
      assert.throws(() => decodeView(bytes), { code: "OBJECT_INVALID" }, `${from} → ${to}`);
    }
  });
});
