import assert from "node:assert/strict";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { resolve } from "../dataset/resolve.ts";
import { testEngine } from "../dataset/testing/engine.ts";
import { parseReference } from "../format/reference.ts";
import { datasetOf, historyOf, named, NAME, TAG } from "../store/conformance/dataset-store-suite.ts";
import type { Store } from "../store/dataset-store.ts";
import { openStore } from "../store/drivers/all.ts";
import { StandingTags } from "./standing-tags.ts";

const skip = process.platform === "linux" ? false : "nothing is told without waiting but on Linux";
const REFERENCE = parseReference(`${NAME}:${TAG}`);

async function withStores(work: (one: Store, other: Store, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-standing-"));
  const open = (): Promise<Store> =>
    openStore(join(folder, "store"), { create: true, clock: systemClock, random: systemRandom });
  const stores = [await open(), await open()] as const;
  try {
    await stores[0].datasets.putDataset(datasetOf(), undefined);
    await stores[0].datasets.createHistory(NAME, TAG, historyOf(1));
    await work(...stores, folder);
  } finally {
    for (const store of stores) await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a catalog does it: twice, since what was not looked for before is not told without waiting. */
async function note(tags: StandingTags, store: Store): Promise<void> {
  for (let time = 0; time < 2; time++) tags.note(await resolve(testEngine(store), REFERENCE));
}

describe("a tag that was looked up", { skip }, () => {
  it("stands while nothing is written, and no more once another process has moved it", () =>
    withStores(async (one, other) => {
      const tags = new StandingTags(one.datasets);
      assert.equal(tags.find(NAME, TAG), undefined);
      for (let number = 1; number < 10; number++) {
        await note(tags, one);
        for (let again = 0; again < 3; again++)
          assert.equal(tags.find(NAME, TAG), named(`version ${number}`), "it stands");
        await other.datasets.createHistory(NAME, TAG, historyOf(number + 1));
        assert.equal(tags.find(NAME, TAG), undefined, "it has moved");
      }
    }));

  it("stands no more when its dataset was changed, or the store is away", () =>
    withStores(async (one, other, folder) => {
      const tags = new StandingTags(one.datasets);
      await note(tags, one);
      const present = await other.datasets.getDataset(NAME);
      await other.datasets.putDataset(datasetOf(NAME, "1".repeat(32)), present?.revision);
      assert.equal(tags.find(NAME, TAG), undefined);
      await note(tags, one);
      assert.equal(tags.find(NAME, TAG), named("version 1"));
      await rename(join(folder, "store"), join(folder, "away"));
      assert.equal(tags.find(NAME, TAG), undefined);
      await rename(join(folder, "away"), join(folder, "store"));
    }));

  it("of a store that tells nothing without waiting, is looked up each time", () =>
    withStores(async (one) => {
      const tags = new StandingTags({});
      await note(tags, one);
      assert.equal(tags.find(NAME, TAG), undefined);
    }));
});
