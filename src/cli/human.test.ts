import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  humanBytes,
  humanCount,
  humanSeconds,
  humanShare,
  humanSpan,
  humanTime,
  printable,
} from "./human.ts";

describe("figures", () => {
  it("of bytes, have three digits and a unit", () => {
    const cases = { "0 B": 0, "999 B": 999, "1.00 KB": 1000, "1.00 MB": 999_999, "12.3 GB": 12_345_678_901 };
    for (const [text, bytes] of Object.entries(cases)) assert.equal(humanBytes(bytes), text);
  });

  it("of spans, are whole numbers of the largest unit", () => {
    const spans = {
      "30 days": 2_592_000,
      "1 hour": 3600,
      "90 minutes": 5400,
      "61 seconds": 61,
      "1 day": 86_400,
    };
    for (const [text, seconds] of Object.entries(spans)) assert.equal(humanSpan(seconds), text);
  });

  it("of shares, never round to all or nothing", () => {
    assert.deepEqual(
      [humanShare(0, 0), humanShare(9_999, 10_000), humanShare(1, 3), humanShare(1, 1000), humanShare(0, 5)],
      ["100%", "99.9%", "33.3%", "0.10%", "0%"],
    );
  });

  it("of counts, seconds and times, are short", () => {
    assert.equal(humanCount(1234567), "1,234,567");
    assert.deepEqual([0.4, 12.34, 125.2].map(humanSeconds), ["0.40 s", "12.3 s", "2 min 5 s"]);
    assert.equal(humanTime("2026-11-22T20:15:00.123Z"), "2026-11-22 20:15:00Z");
  });

  it("of text with control characters, show them as escapes", () => {
    assert.equal(printable("a\u001b[31mb\n\u202ec é"), "a\\u{1b}[31mb\\u{a}\\u{202e}c é");
  });
});
