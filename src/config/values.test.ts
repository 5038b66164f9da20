import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  parseSpan,
  orNone,
  parseBoolean,
  parseChoice,
  parseCompression,
  parseCount,
  parseDuration,
  parseLabel,
  parseSize,
} from "./values.ts";

describe("values", () => {
  it("of sizes, reads binary and decimal units", () => {
    const sizes = {
      "0": 0,
      "65536": 65536,
      "64KiB": 65536,
      "64k": 65536,
      "1.5 MiB": 1572864,
      "1GB": 1e9,
      "2B": 2,
    };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
    for (const text of ["", "-1", "KiB", "1XB", "0.3B", "1e3", "99999999TiB", "1iBB"]) {
      assert.throws(() => parseSize(text), Error, text);
    }
  });

  it("of any number of bytes, reads what is written", () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(String(bytes)) === bytes));
  });

  it("of compressions, reads names and levels", () => {
    assert.deepEqual(["none", "zstd", "zstd:9", "1", "0"].map(parseCompression), [0, 3, 9, 1, 0]);
    for (const text of ["gzip", "zstd:20", "zstd:", "-1"])
      assert.throws(() => parseCompression(text), Error, text);
  });

  it("of durations, reads units from milliseconds to weeks", () => {
    const durations = {
      "30s": 30,
      "90": 90,
      "500ms": 0.5,
      "5m": 300,
      "1h": 3600,
      "30d": 2_592_000,
      "2w": 1_209_600,
    };
    for (const [text, seconds] of Object.entries(durations)) assert.equal(parseDuration(text), seconds, text);
    for (const text of ["", "d", "-1d", "1y", "1 d"]) assert.throws(() => parseDuration(text), Error, text);
  });

  it("of none, is null, and of others what they are", () => {
    assert.deepEqual(["none", "5m"].map(orNone(parseDuration)), [null, 300]);
  });

  it("of spans, refuses a number without a unit, but for 0", () => {
    assert.deepEqual(["30d", "2w", "0", "45s"].map(parseSpan), [2_592_000, 1_209_600, 0, 45]);
    for (const text of ["30", "1.5", "soon"]) assert.throws(() => parseSpan(text), Error, text);
  });

  it("of labels, keeps what follows the first equals sign", () => {
    assert.deepEqual(["a=b", "a=", "a=b=c"].map(parseLabel), [
      ["a", "b"],
      ["a", ""],
      ["a", "b=c"],
    ]);
    for (const text of ["a", "=b", ""]) assert.throws(() => parseLabel(text), Error, text);
  });

  it("of counts, choices and switches, refuses what is none", () => {
    assert.equal(parseCount("12", 1, 12), 12);
    for (const text of ["0", "13", "1.5", "", "x"])
      assert.throws(() => parseCount(text, 1, 12), /from 1 to 12/);
    assert.equal(parseChoice("b", ["a", "b"]), "b");
    assert.throws(() => parseChoice("c", ["a", "b"]), /none of a, b/);
    assert.deepEqual(["TRUE", "off"].map(parseBoolean), [true, false]);
    assert.throws(() => parseBoolean(""), Error);
  });
});
