import assert from "node:assert/strict";
import { after, it } from "node:test";
import { AetherError } from "../base/errors.ts";
import { must } from "../base/assert.ts";
import { DatasetVersions } from "./dataset-versions.ts";
import { BED_TAG, withPushBed } from "./testing/push-bed.ts";
import { WorkerPool } from "./workers/pool.ts";

const pool = new WorkerPool(1);
after(() => pool.close());

it("versions that were committed one after another, of which no event tells yet, are all the dataset's own", () =>
  withPushBed(pool, async (bed) => {
    const { datasets } = bed.store;
    const dying = new Proxy(datasets, {
      get: (target, name): unknown => {
        const member: unknown = Reflect.get(target, name);
        if (name === "createEvent")
          return () => Promise.reject(new AetherError("STORE_UNAVAILABLE", "it died"));
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    });
    const store = { ...bed.store, blocks: bed.store.blocks, datasets: dying };
    for (const content of ["one", "two", "three"]) {
      bed.write("a", content);
      await assert.rejects(bed.push({}, { store }), { code: "STORE_UNAVAILABLE" });
    }
    assert.equal(await datasets.lastEvent(BED_TAG.name), 0);
    const { value } = must(await datasets.getDataset(BED_TAG.name), "it was made");
    for (const number of [1, 2, 3]) {
      const { digest } = must(await datasets.getHistory(BED_TAG.name, BED_TAG.tag, number), "it is there");
      assert.ok(await new DatasetVersions(datasets).has(value, digest), `entry ${number}`);
    }
  }));
