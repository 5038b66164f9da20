import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KiB } from "../base/limits.ts";
import type { AnalyzeResult, Reason, Stored } from "../dataset/analyze/contract.ts";
import { digestOf } from "../format/digest.ts";
import { analysisText } from "./analyze-text.ts";

const forms = (deltas: readonly boolean[], bytes: number): Stored["forms"] =>
  deltas.flatMap((deltas) =>
    (["none", "zstd"] as const).map((compression) => ({
      ...{ compression, deltas, payloadBytes: bytes, totalBytes: bytes },
    })),
  );

const STORED: Stored = {
  ...{ chunks: 123_456, newBytes: 987_654_321, manifestBytes: 123_456, planBytes: 1, indexBytes: 1 },
  ...{ forms: forms([false, true], 987_654_321), seconds: 123 },
};

function result(reasons: readonly Reason[], count: number): AnalyzeResult {
  const digest = digestOf(Buffer.from("x"));
  const updates = Array.from({ length: count - 1 }, () => STORED);
  const update = count === 1 ? null : STORED;
  const path = `${"deep/".repeat(50)}\u001bfile.json`;
  return {
    versions: Array.from({ length: count }, () => ({ digest, files: 1_234_567, bytes: 987_654_321 })),
    sampled: { bytes: 100, totalBytes: 1000 },
    current: { chunking: "cdc", chunkSize: 64 * KiB },
    chunkings: [
      { chunking: "cdc", chunkSize: 16 * KiB, chunks: 1_234_567, first: STORED, update, updates },
      { chunking: "fixed", chunkSize: 1024 * KiB, chunks: 1, first: STORED, update, updates },
    ],
    changes: { added: 1, removed: 2, changed: 3 },
    churn: Array.from({ length: 12 }, () => ({ path, size: 1, changedBytes: 999_999, updates: 1 })),
    recommendation: {
      ...{ chunking: "cdc", chunkSize: 16 * KiB, compression: "zstd", reasons, switchBytes: 5 },
      options: "--chunking cdc --chunk-size 16KiB",
    },
    skipped: [],
    seconds: 1,
  };
}

const REASONS: readonly Reason[] = [
  ...(["default", "smallest-first-version", "nothing-changed", "smallest-update", "fewest-chunks"] as const),
  ...(["keeps-current", "nothing-shifts", "does-not-compress", "does-not-delta"] as const),
];

describe("analysisText", () => {
  it("on a terminal of any width, stays within it, and within 72 to 100 columns", () => {
    for (const [columns, width] of [
      [80, 80],
      [undefined, 80],
      [20, 72],
      [400, 100],
    ] as const) {
      // Figures are as wide as they get: charts may then need a little more than the narrowest.
      const long = analysisText(result(REASONS, 3), columns).filter(
        (line) => line.length > Math.max(width, 80),
      );
      assert.deepEqual(long, []);
    }
  });

  it("says what was measured, why, and what nobody sees at the terminal's end", () => {
    const text = analysisText(result(REASONS, 9)).join("\n");
    assert.match(text, /compared to {2}5 older versions\n/);
    assert.match(text, /sampled {6}100 B of 1.00 KB \(10.0%\)/);
    assert.match(text, /the median of 8\n/);
    assert.match(text, /1 of 8 {2}deep/);
    assert.match(text, /and 2 more\n/);
    assert.match(
      text,
      /recommended {2}chunks of cdc 16KiB, compression zstd\noptions {6}aetherfs push --chunking cdc/,
    );
    assert.match(text, /the dataset is cut in cdc 64KiB now/);
    assert.ok(!text.includes("\u001b"), "control characters are shown as escapes");
  });

  it("of one version, shows no updates", () => {
    const text = analysisText({ ...result(["default"], 1), churn: [] }).join("\n");
    assert.ok(!text.includes("update:") && !text.includes("files that change"));
  });
});
