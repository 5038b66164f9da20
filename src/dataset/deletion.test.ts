import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../base/clock.ts";
import { codeOf, type ErrorCode } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { digestOf } from "../format/digest.ts";
import type { DatasetDeletion } from "../format/record.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import { all } from "../store/conformance/dataset-store-suite.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { openStore } from "../store/drivers/all.ts";
import { DatasetVersions } from "./dataset-versions.ts";
import { updateDataset } from "./dataset-settings.ts";
import { ensureDataset, history, listDatasets, listTags, requireDataset } from "./datasets.ts";
import { deletedDatasets, deleteDataset, removeDeleted, undeleteDataset } from "./deletion.ts";
import type { Engine } from "./engine.ts";
import { HeadMemory } from "./head-memory.ts";
import { withLocalIngest } from "./ingest/local-ingest.ts";
import { resolve } from "./resolve.ts";
import { tagVersion } from "./tag-changes.ts";
import { guessHead, type SeenTag } from "./tag-head.ts";
import { commitTag } from "./tags.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("@acme/prices");
const OTHER = parseDatasetName("@acme/other");
const TAG = parseTag("latest");
const BY = { publisher: "ann" };

async function openEngine(): Promise<Engine> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  const parts = {
    pool: new WorkerPool(1),
    memoryBytes: 2 ** 20,
    cacheDir: undefined,
    heads: new HeadMemory(9),
  };
  return { store, clock: systemClock, random: systemRandom, ...parts };
}

async function move(engine: Engine, label: string, name = NAME, seen?: SeenTag): Promise<void> {
  const digest = digestOf(Buffer.from(label));
  await engine.store.datasets.putManifest(digest, Buffer.from(label));
  const says = { ...BY, message: "", labels: {}, files: 1, bytes: 1, writeId: systemRandom.id() };
  await commitTag(engine, name, TAG, { state: "announced", digest, ...says, seen });
}

async function fails(call: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(codeOf(error), code);
    assert.match(String(error), message);
    return true;
  });
}

async function remove(engine: Engine, check?: () => Promise<void>): Promise<boolean> {
  const [found] = await all(deletedDatasets(engine, {}));
  assert.ok(found);
  return await removeDeleted(engine, found.name, found.incarnation, check === undefined ? {} : { check });
}

async function stateOf(engine: Engine): Promise<DatasetDeletion["state"] | undefined> {
  return (await engine.store.datasets.getDataset(NAME))?.value.deleted?.state;
}

/** The engine, whose dataset store takes so many turns of the event loop for each call, one after another. */
function slowed(engine: Engine, turns: readonly number[]): Engine {
  let call = 0;
  const datasets = new Proxy(engine.store.datasets, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key);
      if (key !== "getDataset" && key !== "putDataset" && key !== "removeRecords") {
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      }
      return async (...args: readonly unknown[]) => {
        const count = turns[call++ % turns.length] ?? 0;
        for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
        return (await Reflect.apply(member as () => unknown, target, args)) as unknown;
      };
    },
  }) satisfies DatasetStore;
  return { ...engine, store: { blocks: engine.store.blocks, datasets, close: async () => undefined } };
}

describe("deleteDataset", () => {
  it("of a dataset, makes that nobody lists, resolves, lists tags of, tags or pushes to it, and says how to undo it", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    await move(engine, "b", OTHER);
    assert.equal((await resolve(engine, parseReference(NAME))).tag, TAG);
    assert.equal((await deleteDataset(engine, NAME, BY)).changed, true);
    assert.deepEqual(await all(listDatasets(engine)), [OTHER]);
    const undo = /deleted by ann at .*bring it back with: aetherfs undelete @acme\/prices/;
    const target = { name: NAME, tag: TAG };
    const says = { ...BY, message: "", labels: {} };
    for (const call of [
      resolve(engine, parseReference(NAME)),
      resolve(engine, parseReference(`${NAME}@sha256:${"0".repeat(64)}`)),
      requireDataset(engine, NAME),
      ensureDataset(engine, NAME),
      all(listTags(engine, NAME)),
      all(history(engine, NAME, TAG)),
      updateDataset(engine, NAME, { keepLast: 1 }),
      withLocalIngest(engine).ingest.prepare([target]),
      tagVersion(engine, parseReference(OTHER), target, says),
      move(engine, "c"),
    ]) {
      await fails(call, "DATASET_NOT_FOUND", undo);
    }
  });

  it("of a dataset that is deleted already, changes nothing, and of none, names near ones", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    const { record } = await deleteDataset(engine, NAME, BY);
    assert.deepEqual(await deleteDataset(engine, NAME, { publisher: "bob" }), { record, changed: false });
    await fails(
      deleteDataset(engine, parseDatasetName("@acme/price"), BY),
      "DATASET_NOT_FOUND",
      /there is no/,
    );
  });
});

describe("undeleteDataset", () => {
  it("of a deleted dataset, brings it back with its settings, tags and histories", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    await move(engine, "b");
    const before = await updateDataset(engine, NAME, { keepLast: 3 });
    await deleteDataset(engine, NAME, BY);
    assert.deepEqual(await undeleteDataset(engine, NAME), { record: before, changed: true });
    assert.deepEqual(await undeleteDataset(engine, NAME), { record: before, changed: false });
    assert.equal((await all(history(engine, NAME, TAG))).length, 2);
    await move(engine, "c");
    assert.deepEqual(await all(deletedDatasets(engine, {})), []);
  });

  it("of a dataset whose records are being removed, or are removed, fails", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    await deleteDataset(engine, NAME, BY);
    await assert.rejects(
      remove(engine, () => Promise.reject(new Error("stop"))),
      /stop/,
    );
    assert.equal(await stateOf(engine), "removing");
    await fails(undeleteDataset(engine, NAME), "DATASET_NOT_FOUND", /cannot be brought back/);
    await fails(move(engine, "b"), "DATASET_NOT_FOUND", /its records are being removed/);
    assert.equal(await remove(engine), true);
    await fails(undeleteDataset(engine, NAME), "DATASET_NOT_FOUND", /there is no dataset/);
  });
});

describe("removeDeleted", () => {
  it("of a deleted dataset, removes its records and no others, and its name begins anew", async () => {
    const engine = await openEngine();
    for (const label of ["a", "b", "c"]) await move(engine, label);
    await move(engine, "d", OTHER);
    const before = await updateDataset(engine, NAME, { keepLast: 3 });
    const versions = new DatasetVersions(engine.store.datasets);
    const version = digestOf(Buffer.from("a"));
    assert.equal(await versions.has(before, version), true);
    await deleteDataset(engine, NAME, BY);
    assert.equal(await remove(engine), true);
    assert.deepEqual([await stateOf(engine), await all(deletedDatasets(engine, {}))], ["removed", []]);
    assert.equal(await removeDeleted(engine, NAME, before.incarnation, {}), true);
    await fails(
      resolve(engine, parseReference(NAME)),
      "DATASET_NOT_FOUND",
      /no dataset [^;]*(; the store.*)?$/,
    );
    await move(engine, "x");
    const after = await requireDataset(engine, NAME);
    assert.notEqual(after.incarnation, before.incarnation);
    assert.deepEqual([after.retention, after.deleted], [null, null]);
    const resolved = await resolve(engine, parseReference(NAME));
    assert.deepEqual([resolved.version, resolved.record?.number], [digestOf(Buffer.from("x")), 1]);
    assert.equal(await engine.store.datasets.lastEvent(NAME), 1);
    assert.equal(await versions.has(after, version), false);
    assert.equal(await removeDeleted(engine, NAME, before.incarnation, {}), true);
    assert.equal((await all(history(engine, NAME, TAG))).length, 1);
    assert.equal((await all(history(engine, OTHER, TAG))).length, 1);
  });

  it("of a dataset, whose tag somebody saw before and moves after, has that begin the history anew", async () => {
    const engine = await openEngine();
    const { datasets } = engine.store;
    await move(engine, "one");
    await move(engine, "two");
    const { incarnation } = await requireDataset(engine, NAME);
    const seen: SeenTag = { incarnation, head: await guessHead(datasets, NAME, TAG, {}) };
    await deleteDataset(engine, NAME, BY);
    await fails(move(engine, "three", NAME, seen), "DATASET_NOT_FOUND", /was deleted/);
    await remove(engine);
    await move(engine, "three", NAME, seen);
    assert.deepEqual(await all(datasets.listHistory(NAME, TAG)), [1]);
    assert.equal(await datasets.lastEvent(NAME), 1);
  });

  it("of a dataset that was brought back, removes nothing and says so", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    await deleteDataset(engine, NAME, BY);
    const [found] = await all(deletedDatasets(engine, {}));
    await undeleteDataset(engine, NAME);
    assert.equal(await removeDeleted(engine, NAME, found?.incarnation ?? "", {}), false);
    assert.equal((await all(history(engine, NAME, TAG))).length, 1);
  });

  it("that another finishes while one looks whether it may go on, is done", async () => {
    const engine = await openEngine();
    await move(engine, "a");
    await deleteDataset(engine, NAME, BY);
    let checks = 0;
    const removed = remove(engine, async () => {
      if (checks++ > 0) return;
      assert.equal(await remove(engine), true);
    });
    assert.equal(await removed, true);
    assert.equal(await stateOf(engine), "removed");
  });

  it("at the same time as another and as somebody brings it back, in any order, is all or nothing", async () => {
    const turns = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(turns, turns, turns, async (one, two, three) => {
        const engine = await openEngine();
        await move(engine, "a");
        await deleteDataset(engine, NAME, BY);
        const settled = await Promise.allSettled([
          remove(slowed(engine, one)),
          remove(slowed(engine, two)),
          undeleteDataset(slowed(engine, three), NAME),
        ]);
        const [first, second, back] = settled;
        const isBack = back.status === "fulfilled";
        for (const removal of [first, second]) {
          // One that begins when it is back already finds nothing to remove.
          if (removal.status === "fulfilled") assert.equal(removal.value, !isBack);
          else assert.ok(isBack || (await stateOf(engine)) === "removed");
        }
        if (isBack) assert.equal((await all(history(engine, NAME, TAG))).length, 1);
        else
          assert.deepEqual(
            [await stateOf(engine), await all(engine.store.datasets.listTags(NAME))],
            ["removed", []],
          );
      }),
      { numRuns: 60 },
    );
  });
});
