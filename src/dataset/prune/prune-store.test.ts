/** Pruning stores whose datasets were deleted, whose retention changes, and that are damaged. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { KiB } from "../../base/limits.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { updateDataset } from "../dataset-settings.ts";
import { deleteDataset, undeleteDataset } from "../deletion.ts";
import { verifyStore } from "../scrub/verify-store.ts";
import { removeTag } from "../tag-changes.ts";
import { noise } from "../testing/engine.ts";
import {
  contentFiles,
  fails,
  LONG_MS,
  NOTHING,
  pruned,
  release,
  SAYS,
  tagged,
} from "../testing/prune-bed.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const onBed = (work: (bed: PushBed) => Promise<void>) => (): Promise<void> => withPushBed(pool, work);

describe("of a deleted dataset, a prune", () => {
  it(
    "waits anew when it came back and was deleted again since it was marked",
    onBed(async (bed) => {
      const { name } = BED_TAG;
      bed.write("file", noise(1, 100 * KiB));
      const { digest } = await bed.push();
      await deleteDataset(bed.engine, name, { publisher: "test" });
      await pruned(bed, { graceMs: LONG_MS });
      await undeleteDataset(bed.engine, name);
      await new Promise((resolve) => setTimeout(resolve, 2));
      await deleteDataset(bed.engine, name, { publisher: "test" });
      const { removed, removedDatasets } = await pruned(bed, { graceMs: 1 });
      assert.deepEqual([removed, removedDatasets], [NOTHING, 0]);
      await undeleteDataset(bed.engine, name);
      await bed.read(digest);
      await deleteDataset(bed.engine, name, { publisher: "test" });
      assert.equal((await pruned(bed)).removedDatasets, 1);
      assert.deepEqual(contentFiles(bed), []);
    }),
  );
});

describe("of a plan that lies in quarantine, a prune", () => {
  it(
    "stops, though only an earlier version needs it, until that is healed",
    onBed(async (bed) => {
      const writeFirst = (): void => {
        bed.write("file", noise(1, 100 * KiB));
        fs.utimesSync(path.join(bed.source, "file"), 1_700_000_000, 1_700_000_000);
      };
      writeFirst();
      const first = await bed.push();
      bed.write("file", noise(2, 100 * KiB));
      await bed.push();
      await bed.store.datasets.quarantine({ kind: "plans", digest: first.digest });
      const before = contentFiles(bed);
      await fails(pruned(bed), "OBJECT_MISSING");
      assert.deepEqual(contentFiles(bed), before);
      writeFirst();
      assert.equal((await bed.push({ rehash: true })).digest, first.digest);
      assert.deepEqual((await pruned(bed)).removed, NOTHING);
      await bed.read(first.digest);
    }),
  );
});

describe("a store that was pruned", () => {
  it(
    "by retention, by a removed tag that came back, and of a deleted dataset, is sound to who checks it",
    onBed(async (bed) => {
      for (let number = 0; number < 5; number++) {
        bed.write("file", noise(number, 50 * KiB));
        await bed.push();
      }
      await release(bed, "again");
      await removeTag(bed.engine, tagged("again"), SAYS);
      const other = { name: parseDatasetName("other"), tag: parseTag("latest") };
      bed.write("file", noise(77, 50 * KiB));
      await bed.push({ tags: [other] });
      await deleteDataset(bed.engine, other.name, { publisher: "test" });
      await updateDataset(bed.engine, BED_TAG.name, { keepLast: 2 });
      const { removed, removedDatasets } = await pruned(bed);
      assert.ok(removed.blocks >= 4 && removedDatasets === 1);
      await release(bed, "again");
      const before = await verifyStore(bed.engine);
      assert.deepEqual([before.faults, before.lost, before.entries], [[], [], 3]);
      // What was let go does not come back by keeping more from now on.
      await updateDataset(bed.engine, BED_TAG.name, { keepLast: null });
      const wider = await verifyStore(bed.engine);
      assert.deepEqual([wider.faults, wider.lost], [[], []]);
      assert.equal((await pruned(bed)).removed.blocks, 0);
    }),
  );

  it(
    "of a version whose manifest stays, since a later one lies on it, is sound when more is kept afterwards",
    onBed(async (bed) => {
      for (let number = 0; number < 200; number++) bed.write(`file-${number}`, noise(number, 2 * KiB));
      const before = await bed.push();
      for (let number = 0; number < 150; number++) bed.write(`file-${number}`, noise(1000 + number, 2 * KiB));
      await bed.push();
      await updateDataset(bed.engine, BED_TAG.name, { keepLast: 1 });
      for (let round = 0; round < 2; round++) await pruned(bed, { repackBelow: 1 });
      const holds = (kind: string): boolean =>
        [...bed.files(kind).keys()].some((file) => file.endsWith(before.digest.slice(2)));
      assert.deepEqual([holds("manifests"), holds("plans")], [true, false]);
      await updateDataset(bed.engine, BED_TAG.name, { keepLast: null });
      const { faults, lost } = await verifyStore(bed.engine);
      assert.deepEqual([faults, lost], [[], []]);
    }),
  );
});
