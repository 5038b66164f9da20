import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bar, shortened, wrapped } from "./bar.ts";

describe("charts", () => {
  it("a bar, is as long as its share of the width, and seen whenever there is something", () => {
    assert.deepEqual(
      [bar(50, 100, 10), bar(100, 100, 10), bar(1, 1e9, 10), bar(0, 100, 10), bar(0, 0, 10)],
      ["#####", "##########", "#", "", ""],
    );
  });

  it("a long text, is shortened in the middle to the width", () => {
    assert.equal(shortened("short", 5), "short");
    assert.equal(shortened("a/very/long/path.json", 11), "a/ve...json");
    assert.equal(shortened("grüße/ünïcödé", 9).length, 9);
  });

  it("a text, is broken at blanks within the width, and goes on under its beginning", () => {
    assert.deepEqual(wrapped("- ", "one two three", 9), ["- one two", "  three"]);
    assert.deepEqual(wrapped("- ", "unbreakable", 4), ["- unbreakable"]);
  });
});
