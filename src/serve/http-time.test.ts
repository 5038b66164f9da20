import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { httpDate, parseHttpDate } from "./http-time.ts";

describe("a date of HTTP", () => {
  it("in each of its three forms, is the same second", () => {
    for (const date of [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
      " Sun, 06 Nov 1994 08:49:37 GMT ",
    ]) {
      assert.equal(parseHttpDate(date), 784_111_777, date);
    }
    assert.equal(parseHttpDate("Saturday, 06-Nov-27 08:49:37 GMT"), Date.UTC(2027, 10, 6, 8, 49, 37) / 1000);
    assert.equal(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT"), Date.UTC(2017, 0, 1) / 1000);
  });

  it("in no such form, or of no such day, is none", () => {
    for (const date of [
      ...["", "0", "1994-11-06T08:49:37Z", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"],
      ...["Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Now 1994 08:49:37 GMT"],
      ...["Sun, 06 Nov 1994 08:49:37", "06 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT"],
    ]) {
      assert.equal(parseHttpDate(date), undefined, date);
    }
  });

  it("formatted and parsed, is the same second", () => {
    const seconds = fc.integer({ min: -62_167_219_200, max: 253_402_300_799 });
    fc.assert(fc.property(seconds, (at) => parseHttpDate(httpDate(at)) === at));
    fc.assert(
      fc.property(fc.string(), (text) => {
        const at = parseHttpDate(text);
        return at === undefined || Number.isSafeInteger(at);
      }),
    );
  });
});
