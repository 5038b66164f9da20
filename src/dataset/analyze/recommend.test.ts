import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KiB, MiB } from "../../base/limits.ts";
import type { ChunkingReport, Stored } from "./contract.ts";
import { recommend, sizeText } from "./recommend.ts";

const BESIDES = 1000;

interface Figures {
  readonly newBytes?: number;
  readonly zstd?: number;
  readonly deltas?: number;
}

function stored({ newBytes = 1_000_000, zstd = 300_000, deltas }: Figures): Stored {
  const forms = [
    { compression: "none", deltas: false, payloadBytes: newBytes },
    { compression: "zstd", deltas: false, payloadBytes: zstd },
    ...(deltas === undefined ? [] : [{ compression: "none", deltas: true, payloadBytes: deltas } as const]),
    ...(deltas === undefined ? [] : [{ compression: "zstd", deltas: true, payloadBytes: deltas } as const]),
  ] as const;
  const sizes = { manifestBytes: BESIDES, planBytes: 0, indexBytes: 0 };
  const totals = forms.map((form) => ({ ...form, totalBytes: form.payloadBytes + BESIDES }));
  return { chunks: 1, newBytes, ...sizes, forms: totals, seconds: 1 };
}

/** A report under a name such as `cdc 64`, in KiB. */
function report(name: string, chunks: number, first: Figures, update?: Figures): ChunkingReport {
  const [kind, size] = name.split(" ");
  const after = update === undefined ? null : stored({ deltas: 0, ...update });
  return {
    chunking: kind === "fixed" ? "fixed" : "cdc",
    chunkSize: Number(size) * KiB,
    chunks,
    first: stored(first),
    update: after,
    updates: after === null ? [] : [after],
  };
}

const CURRENT = { chunking: "cdc", chunkSize: 64 * KiB } as const;
const CHANGED = { newBytes: 100_000, zstd: 50_000 };

describe("recommend", () => {
  it("of first versions alone, takes the default unless another is over a tenth smaller", () => {
    const usual = report("cdc 64", 100, {});
    const alike = recommend([report("cdc 16", 400, { zstd: 280_000 }), usual], null);
    assert.deepEqual([alike.chunkSize, alike.options, alike.reasons], [64 * KiB, "", ["default"]]);
    const smaller = recommend([report("cdc 16", 400, { zstd: 200_000 }), usual], null);
    assert.equal(smaller.options, "--chunking cdc --chunk-size 16KiB");
    assert.deepEqual(smaller.reasons, ["smallest-first-version"]);
  });

  it("of updates that cost as little, takes the one with the fewest chunks", () => {
    const reports = [
      report("cdc 16", 400, {}, { ...CHANGED, deltas: 10_000 }),
      report("cdc 64", 100, {}, { ...CHANGED, deltas: 10_500 }),
      report("cdc 1024", 10, {}, { ...CHANGED, deltas: 30_000 }),
    ];
    const { chunkSize, reasons, options } = recommend(reports, null);
    assert.equal(chunkSize, 64 * KiB);
    assert.deepEqual(reasons, ["smallest-update", "fewest-chunks"]);
    assert.equal(options, "");
  });

  it("takes fixed chunks only where they find as much again as content-defined ones", () => {
    const cdc = report("cdc 1024", 20, {}, { ...CHANGED, deltas: 10_000 });
    const still = recommend([cdc, report("fixed 1024", 10, {}, { ...CHANGED, deltas: 9_000 })], null);
    assert.equal(still.options, "--chunking fixed --chunk-size 1MiB");
    assert.deepEqual(still.reasons, ["smallest-update", "fewest-chunks", "nothing-shifts"]);
    const shifting = { newBytes: 900_000, zstd: 400_000, deltas: 9_000 };
    assert.equal(recommend([cdc, report("fixed 1024", 10, {}, shifting)], null).chunking, "cdc");
  });

  it("keeps the dataset's chunking where its updates cost as little", () => {
    const own = report("cdc 64", 100, {}, { ...CHANGED, deltas: 10_000 });
    const { options, reasons, switchBytes } = recommend(
      [own, report("cdc 256", 30, {}, { ...CHANGED, deltas: 9_900 })],
      CURRENT,
    );
    assert.deepEqual([options, switchBytes], ["", 0]);
    assert.deepEqual(reasons, ["smallest-update", "keeps-current"]);
  });

  it("changes it where that pays within 50 updates, and says what it costs once", () => {
    const better = report("cdc 16", 400, {}, { ...CHANGED, deltas: 2_000 });
    const dear = report("cdc 64", 100, {}, { ...CHANGED, deltas: 40_000 });
    const { chunkSize, switchBytes } = recommend([better, dear], CURRENT);
    assert.deepEqual([chunkSize, switchBytes], [16 * KiB, 300_000 + BESIDES]);
    const cheap = report("cdc 64", 100, {}, { ...CHANGED, deltas: 4_000 });
    assert.deepEqual(recommend([better, cheap], CURRENT).reasons, ["keeps-current"]);
  });

  it("of data that neither compresses nor deltas, advises against compression", () => {
    const dense = { newBytes: 1_000_000, zstd: 990_000 };
    const update = { newBytes: 100_000, zstd: 99_000 };
    const none = recommend([report("cdc 64", 100, dense, { ...update, deltas: 98_000 })], CURRENT);
    assert.deepEqual([none.compression, none.options], ["none", "--compression none"]);
    assert.deepEqual(none.reasons.slice(-2), ["does-not-compress", "does-not-delta"]);
    const helped = recommend([report("cdc 64", 100, dense, { ...update, deltas: 5_000 })], CURRENT);
    assert.deepEqual([helped.compression, helped.reasons.at(-1)], ["zstd", "does-not-compress"]);
  });

  it("of versions that are the same, says that nothing changed", () => {
    const still = { newBytes: 0, zstd: 0, deltas: 0 };
    const reports = [report("cdc 64", 100, {}, still), report("fixed 64", 90, {}, still)];
    const { chunking, reasons } = recommend(reports, CURRENT);
    assert.deepEqual([chunking, reasons], ["cdc", ["nothing-changed"]]);
  });

  it("writes sizes as options take them", () => {
    assert.deepEqual([64 * KiB, MiB, 5000].map(sizeText), ["64KiB", "1MiB", "5000"]);
  });
});
