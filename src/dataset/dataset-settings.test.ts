import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { codeOf } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { digestOf } from "../format/digest.ts";
import type { TagState } from "../format/record.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import { datasetOf } from "../store/conformance/dataset-store-suite.ts";
import { openStore } from "../store/drivers/all.ts";
import { updateDataset, withSettings, type DatasetSettings } from "./dataset-settings.ts";
import { ensureDataset, requireDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { reviewRetention, type RetentionReview } from "./retention-review.ts";
import { commitTag } from "./tags.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("@acme/prices");

async function openEngine(): Promise<Engine> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  const parts = { random: systemRandom, pool: new WorkerPool(1), memoryBytes: 2 ** 20, cacheDir: undefined };
  return { store, clock: systemClock, ...parts };
}

interface Moving {
  readonly tag?: string;
  readonly state?: TagState;
  readonly labels?: Readonly<Record<string, string>>;
  /** Prune took the version. */
  readonly isGone?: boolean;
}

async function move(
  engine: Engine,
  label: string,
  { tag = "latest", isGone = false, ...rest }: Moving = {},
): Promise<void> {
  const digest = digestOf(Buffer.from(label));
  if (!isGone) await engine.store.datasets.putManifest(digest, Buffer.from(label));
  const says = { publisher: "ann", message: "", labels: {}, files: 1, bytes: 1, ...rest };
  const change = { state: "announced", digest, writeId: systemRandom.id(), ...says } as const;
  await commitTag(engine, NAME, parseTag(tag), change);
}

describe("withSettings", () => {
  const record = datasetOf();
  const chunking = { kind: "fixed", averageBytes: 8192 } as const;
  for (const [settings, expected] of [
    [{}, {}],
    [{ chunking }, { chunking }],
    [{ immutableTags: [] }, { immutableTags: [] }],
    [{ keepLast: 3 }, { retention: { keepLast: 3, keepWithinSeconds: null, keepTags: [] } }],
    [{ keepLast: null, keepTags: [] }, { retention: null }],
  ] as const) {
    it(`${JSON.stringify(settings)} makes ${JSON.stringify(expected)} of a record`, () => {
      assert.deepEqual(withSettings(record, settings), { ...record, ...expected });
    });
  }

  it("without one rule leaves the others, and without the last one everything stays", () => {
    const both = withSettings(record, { keepLast: 3, keepTags: ["v*"] });
    const one = withSettings(both, { keepLast: null });
    assert.deepEqual(one.retention, { keepLast: null, keepWithinSeconds: null, keepTags: ["v*"] });
    assert.equal(withSettings(one, { keepTags: [] }).retention, null);
  });

  for (const settings of [
    { keepLast: 0 },
    { keepLast: 100_001 },
    { keepLast: 1.5 },
    { keepWithinSeconds: 0 },
    { keepWithinSeconds: 1e12 },
    { keepTags: ["V*"] },
    { keepTags: [""] },
    { immutableTags: ["a b"] },
    { chunking: { kind: "cdc", averageBytes: 5000 } },
  ] as const) {
    it(`${JSON.stringify(settings)} is ARGUMENT_INVALID`, () => {
      assert.throws(() => withSettings(record, settings), { code: "ARGUMENT_INVALID" });
    });
  }

  it("with more patterns than a record may have is LIMIT_EXCEEDED", () => {
    const keepTags = Array.from({ length: 101 }, () => "v*");
    assert.throws(() => withSettings(record, { keepTags }), { code: "LIMIT_EXCEEDED" });
  });
});

describe("updateDataset", () => {
  it("by many at once, each of another setting, loses none of them", async () => {
    const engine = await openEngine();
    await ensureDataset(engine, NAME);
    const settings: DatasetSettings[] = [
      { keepLast: 3 },
      { keepWithinSeconds: 60 },
      { keepTags: ["v*"] },
      { immutableTags: ["v*"] },
      { chunking: { kind: "cdc", averageBytes: 8192 } },
    ];
    await Promise.all(settings.map((one) => updateDataset(engine, NAME, one)));
    const { retention, immutableTags, chunking } = await requireDataset(engine, NAME);
    assert.deepEqual(retention, { keepLast: 3, keepWithinSeconds: 60, keepTags: ["v*"] });
    assert.deepEqual([immutableTags, chunking?.averageBytes], [["v*"], 8192]);
  });

  it("of a dataset that is not there, makes none", async () => {
    const engine = await openEngine();
    await assert.rejects(updateDataset(engine, NAME, { keepLast: 3 }), { code: "DATASET_NOT_FOUND" });
    assert.equal(await engine.store.datasets.getDataset(NAME), undefined);
  });
});

describe("reviewRetention", () => {
  /** Tags, kept, released, and the released versions' tags and numbers. */
  function summary({ tags, kept, released, versions }: RetentionReview): unknown[] {
    return [tags, kept, released, versions.map(({ tag, number }) => `${tag} ${number}`)];
  }

  it("says what would stay and go with other settings, and changes nothing", async () => {
    const engine = await openEngine();
    for (const label of ["a", "b", "c", "b", "d"]) await move(engine, label);
    await move(engine, "a", { tag: "first" });
    const before = await requireDataset(engine, NAME);
    assert.deepEqual(summary(await reviewRetention(engine, NAME, {})), [2, 4, 0, []]);
    const review = await reviewRetention(engine, NAME, { keepLast: 1 });
    assert.deepEqual(summary(review), [2, 2, 2, ["latest 4", "latest 3"]]);
    assert.equal(review.dataset.retention?.keepLast, 1);
    assert.deepEqual(await requireDataset(engine, NAME), before);
  });

  it("counts versions of deleted tags and of those that are over as going, and none that prune took already", async () => {
    const engine = await openEngine();
    await move(engine, "a", { tag: "removed" });
    await move(engine, "a", { tag: "removed", state: "deleted" });
    await move(engine, "b", { tag: "over", labels: { expires: "2020-01-01" } });
    await move(engine, "c", { isGone: true });
    await move(engine, "d");
    const review = await reviewRetention(engine, NAME, { keepLast: 1 });
    assert.deepEqual(summary(review), [1, 1, 2, ["over 1", "removed 1"]]);
  });

  it("of a history with a gap fails, as prune would", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    const { datasets } = engine.store;
    const record = await datasets.getHistory(NAME, parseTag("latest"), 1);
    assert.ok(record);
    await datasets.createHistory(NAME, parseTag("latest"), { ...record, number: 3 });
    assert.equal(await reviewRetention(engine, NAME, {}).then(() => undefined, codeOf), "OBJECT_MISSING");
  });
});
