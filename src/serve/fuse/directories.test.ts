import assert from "node:assert/strict";
import { test } from "node:test";
import { openPushBed, BED_TAG } from "../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../dataset/workers/pool.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import type { Tree } from "../../vfs/tree.ts";
import { Directories } from "./directories.ts";

const NAMES = 2000;
const PART = 100;

test("many who list a folder at once get each its names once, and none has the list made from its beginning again", async () => {
  const pool = new WorkerPool(2);
  const bed = await openPushBed(pool);
  try {
    const names = Array.from({ length: NAMES }, (_, index) => `name-${String(index).padStart(6, "0")}`);
    for (const name of names) bed.write(name, "");
    await bed.push();
    const tree = openStoreTree(bed.engine);
    const top = await tree.open({ check: async () => undefined }, { ...BED_TAG, digest: undefined });
    let whole = 0;
    const list: Tree["list"] = (folder, options) => {
      if (options?.after === undefined) whole++;
      return tree.list(folder, options);
    };
    const directories = new Directories({ list });
    const found: string[][] = [[], [], []];
    for (let skipped = 0; skipped < NAMES; skipped += PART) {
      for (const each of found) {
        await directories.read(1, top, skipped, (name, _, index) => {
          if (index === skipped + PART) return false;
          each.push(name.toString());
          return true;
        });
      }
    }
    for (const each of found) assert.deepEqual(each, names);
    assert.equal(whole, found.length, "each begins once");
  } finally {
    await bed.close();
    await pool.close();
  }
});
