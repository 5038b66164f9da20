import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { digestOf } from "../../format/digest.ts";
import {
  Handles,
  HANDLE_BYTES_MAX,
  hashName,
  tokenIdOf,
  type HandlePlace,
  type FindSecrets,
} from "./handles.ts";

const KEY = Buffer.from("the key of these tests");
const SECRET = Buffer.from(digestOf(Buffer.from("token")), "hex");
const NOBODY: FindSecrets = () => [];
const dataset = hashName("dataset", "@team/set");
const digest = digestOf(Buffer.from("version"));
const PLACES: readonly HandlePlace[] = [
  { kind: "root" },
  { kind: "scope", scope: hashName("scope", "@team") },
  { kind: "dataset", dataset },
  { kind: "tag", dataset, tag: hashName("tag", "latest") },
  { kind: "version", dataset, digest },
  { kind: "entry", dataset, digest, index: 0 },
  { kind: "entry", dataset, digest, index: 2 ** 40 - 1 },
];

describe("file handles", () => {
  it("of every kind of place, say which it is, to whoever has the key, in 64 bytes", () => {
    for (const place of PLACES) {
      for (const secret of [undefined, SECRET]) {
        const handle = new Handles(KEY).encode(place, secret);
        assert.ok(handle.byteLength <= HANDLE_BYTES_MAX);
        const read = new Handles(Buffer.from(KEY)).decode(handle, () => [Buffer.alloc(32), SECRET]);
        assert.deepEqual(read, { place, secret });
      }
    }
  });

  it("are the same in every release", () => {
    const texts = PLACES.map((place) => new Handles(KEY).encode(place, undefined).toString("hex"));
    assert.deepEqual(texts.slice(0, 4), [
      "1000000000e20722c13cc1857189532e7e111a",
      "1100000000b5aa19e549701bfff29d73e12253f107b6c6dc850359",
      "120000000020791d7e7abd4631766a9ad548ea959a646af249dd07",
      "130000000020791d7e7abd4631b4ece77e271ae41ffa0aa1ebf28776a4a9e2342d5412",
    ]);
  });

  it("with any bit changed, cut or longer, of another key, or of a token that is gone, are none", () => {
    const handles = new Handles(KEY);
    for (const place of PLACES) {
      const handle = handles.encode(place, undefined);
      for (let bit = 0; bit < 8 * handle.byteLength; bit++) {
        const forged = Buffer.from(handle);
        forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.equal(
          handles.decode(forged, () => [SECRET]),
          undefined,
          `${place.kind}, bit ${bit}`,
        );
      }
      for (let length = 0; length < handle.byteLength; length++)
        assert.equal(handles.decode(handle.subarray(0, length), NOBODY), undefined);
      assert.equal(handles.decode(Buffer.concat([handle, Buffer.alloc(1)]), NOBODY), undefined);
      assert.equal(new Handles(Buffer.from("another key")).decode(handle, NOBODY), undefined);
      assert.equal(handles.decode(handles.encode(place, SECRET), NOBODY), undefined);
      // Another secret that has the same short form.
      const other = Buffer.from(SECRET);
      other[31] = (other[31] ?? 0) ^ 1;
      assert.equal(tokenIdOf(other), tokenIdOf(SECRET));
      assert.equal(
        handles.decode(handles.encode(place, SECRET), () => [other]),
        undefined,
      );
    }
  });

  it("of arbitrary bytes, are none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        assert.equal(
          new Handles(KEY).decode(Buffer.from(bytes), () => [SECRET]),
          undefined,
        );
      }),
    );
  });
});
