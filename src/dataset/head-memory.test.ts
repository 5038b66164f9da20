import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { parseReference, parseTag } from "../format/reference.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { datasetOf, historyOf } from "../store/conformance/dataset-store-suite.ts";
import { openStore } from "../store/drivers/all.ts";
import { HeadMemory } from "./head-memory.ts";
import { readHead } from "./tag-head.ts";
import { commitTag } from "./tags.ts";
import { openPushBed, type PushBed } from "./testing/push-bed.ts";
import { WorkerPool } from "./workers/pool.ts";
import { digestOf } from "../format/digest.ts";

const { name } = parseReference("x");
const tag = parseTag("t");
const DATASET = Promise.resolve(datasetOf(name));

let bed: PushBed;
const pool = new WorkerPool(1);
before(async () => {
  bed = await openPushBed(pool);
});
after(async () => {
  await bed.close();
  await pool.close();
});

async function move(number: number, state: "announced" | "deleted" = "announced"): Promise<void> {
  const digest = digestOf(Buffer.from(String(number)));
  const says = { publisher: "p", message: "", labels: {}, files: 0, bytes: 0 };
  await commitTag(bed.engine, name, tag, { state, digest, writeId: bed.engine.random.id(), ...says });
}

/** The store, with the reads of histories and hints counted. */
function counted(): { readonly datasets: DatasetStore; readonly reads: () => number } {
  let reads = 0;
  const inner = bed.store.datasets;
  const datasets = {
    getHint: (...args: Parameters<DatasetStore["getHint"]>) => (reads++, inner.getHint(...args)),
    getHistory: (...args: Parameters<DatasetStore["getHistory"]>) => (reads++, inner.getHistory(...args)),
  } as DatasetStore;
  return { datasets, reads: () => reads };
}

describe("HeadMemory", () => {
  it("of a tag that never was, finds nothing, and finds its first entry when it is there", async () => {
    const memory = new HeadMemory(10);
    const other = parseTag("none");
    assert.equal(await memory.newestEntry(bed.store.datasets, DATASET, { name, tag: other }, {}), undefined);
  });

  it("of a tag that it knows, takes one read, and sees whatever others did meanwhile", async () => {
    const memory = new HeadMemory(1);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 6 }), async (moves) => {
        for (const [index, isRemoved] of moves.entries())
          await move(index, isRemoved ? "deleted" : "announced");
        const found = await memory.newestEntry(bed.store.datasets, DATASET, { name, tag }, {});
        assert.deepEqual(found, (await readHead(bed.store.datasets, name, tag, {})).record);
        const { datasets, reads } = counted();
        assert.deepEqual(await memory.newestEntry(datasets, DATASET, { name, tag }, {}), found);
        assert.ok(found === undefined || reads() === 1);
      }),
      { numRuns: 20 },
    );
  });

  it("of more tags than it may remember, forgets the one that was asked for longest ago", async () => {
    await move(1);
    const memory = new HeadMemory(1);
    const { datasets, reads } = counted();
    const other = parseReference("y").name;
    await memory.newestEntry(datasets, DATASET, { name, tag }, {});
    const first = reads();
    await memory.newestEntry(datasets, DATASET, { name: other, tag }, {});
    assert.equal((await memory.newestEntry(datasets, DATASET, { name, tag }, {}))?.state, "announced");
    assert.ok(reads() > first + 1);
  });

  it("of a dataset that was deleted and made again, forgets what it knew of the one before", async () => {
    await move(1);
    await move(2);
    const memory = new HeadMemory(10);
    const known = await memory.newestEntry(bed.store.datasets, DATASET, { name, tag }, {});
    assert.ok((known?.number ?? 0) > 1);
    const { datasets } = await openStore("memory:", {
      create: true,
      clock: systemClock,
      random: systemRandom,
    });
    const again = Promise.resolve(datasetOf(name, "f".repeat(32)));
    assert.equal(await memory.newestEntry(datasets, again, { name, tag }, {}), undefined);
    await datasets.createHistory(name, tag, historyOf(1));
    assert.equal((await memory.newestEntry(datasets, again, { name, tag }, {}))?.number, 1);
  });
});
