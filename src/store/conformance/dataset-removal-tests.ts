import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { all, datasetOf, eventOf, historyOf, NAME, named, TAG } from "./dataset-store-suite.ts";
import { onStore, type StoreFactory } from "./fixture.ts";

/** Registers what every DatasetStore must hold to when a deleted dataset's records are found and removed. */
export function removalTests(factory: StoreFactory): void {
  test("entries of a history, listed, are the numbers of those that are there, of this tag alone", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.deepEqual(await all(datasets.listHistory(NAME, TAG)), []);
      for (const number of [1, 2, 3, 11]) await datasets.createHistory(NAME, TAG, historyOf(number));
      await datasets.createHistory(NAME, parseTag("latest-2"), historyOf(4));
      assert.deepEqual(await all(datasets.listHistory(NAME, TAG)), [1, 2, 3, 11]);
    }));

  test("records of a dataset, removed until none is left, are gone but its own, and no other dataset's are", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const hint = { number: 1, digest: named("v"), state: "announced", event: 1 } as const;
      const others = [parseDatasetName("@earth/cities-2"), parseDatasetName("cities")];
      for (const name of [NAME, ...others]) {
        await datasets.putDataset(datasetOf(name), undefined);
        for (const tag of [TAG, parseTag("v1")]) {
          for (const number of [1, 2, 3]) await datasets.createHistory(name, tag, historyOf(number));
          await datasets.putHint(name, tag, hint);
        }
        await datasets.createEvent(name, eventOf(1));
        await datasets.createEvent(name, eventOf(2));
      }
      await datasets.putHint(NAME, parseTag("only-a-hint"), hint);
      while (await datasets.removeRecords(NAME)) continue;
      assert.equal(await datasets.removeRecords(NAME), false);
      assert.deepEqual(await all(datasets.listTags(NAME)), []);
      assert.equal(await datasets.getHistory(NAME, TAG, 1), undefined);
      for (const tag of [TAG, parseTag("only-a-hint")])
        assert.equal(await datasets.getHint(NAME, tag), undefined);
      assert.equal(await datasets.lastEvent(NAME), 0);
      assert.deepEqual((await datasets.getDataset(NAME))?.value, datasetOf());
      for (const name of others) {
        assert.deepEqual(await all(datasets.listTags(name)), [TAG, parseTag("v1")]);
        assert.deepEqual(await datasets.getHint(name, TAG), hint);
        assert.deepEqual(await all(datasets.listHistory(name, TAG)), [1, 2, 3]);
        assert.equal(await datasets.lastEvent(name), 2);
      }
      assert.equal(await datasets.createHistory(NAME, TAG, historyOf(1)), true);
    }));

  test("records of a dataset, of which some dozens are removed, stay when the caller may not remove more", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      for (let number = 1; number <= 70; number++) await datasets.createHistory(NAME, TAG, historyOf(number));
      let checks = 0;
      const refusal = new Error("no more");
      const check = (): Promise<void> => (++checks < 2 ? Promise.resolve() : Promise.reject(refusal));
      await assert.rejects(datasets.removeRecords(NAME, { check }), refusal);
      // A store that tries a failed removal again asks again before it does: fewer are gone then.
      const left = (await all(datasets.listHistory(NAME, TAG))).length;
      assert.ok(left >= 70 - 32 && left < 70, `${left} are left`);
    }));

  test("a name under which only a history lies is listed, so that nobody takes its versions for nobody's", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      await datasets.createHistory(NAME, TAG, historyOf(1));
      assert.deepEqual(await all(datasets.listDatasets()), [NAME]);
      assert.equal(await datasets.getDataset(NAME), undefined);
    }));
}
