/** What prunes let go of histories, as they write it down, and what a check of the store makes of it. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../base/clock.ts";
import { KiB } from "../../base/limits.ts";
import { systemRandom } from "../../base/random.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { HistoryRecord, Retention } from "../../format/record.ts";
import type { DatasetStore, Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import { updateDataset } from "../dataset-settings.ts";
import { ensureDataset } from "../datasets.ts";
import type { Engine } from "../engine.ts";
import { RetentionRules } from "../retention.ts";
import { verifyStore } from "../scrub/verify-store.ts";
import { removeTag } from "../tag-changes.ts";
import { noise, testEngine } from "../testing/engine.ts";
import { pruned, SAYS, tagged, withMembers, withoutFloors } from "../testing/prune-bed.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { readEpoch } from "./epochs.ts";
import { isBelow, recordTaken, takenEntries } from "./floors.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { prune } from "./prune.ts";
import { liveVersions } from "./roots.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const onBed = (work: (bed: PushBed) => Promise<void>) => (): Promise<void> => withPushBed(pool, work);
const { name, tag } = BED_TAG;

/** Versions of the bed's tag, the oldest first, each with a block of its own. */
async function fill(bed: PushBed, count: number): Promise<Digest[]> {
  const versions: Digest[] = [];
  for (let number = 0; number < count; number++) {
    bed.write("file", noise(number, 20 * KiB));
    versions.push((await bed.push()).digest);
  }
  return versions;
}

function loseFile(bed: PushBed, kind: string, digest: Digest | undefined): void {
  const [file] = [...bed.files(kind).keys()].filter((each) => each.endsWith(digest?.slice(2) ?? "?"));
  fs.rmSync(file ?? assert.fail("it is there"));
}

/** What a check finds: codes and kinds of objects, and the numbers of entries that are lost. */
async function told(bed: PushBed): Promise<{ faults: string[]; lost: number[] }> {
  const { faults, lost } = await verifyStore(bed.engine, { structureOnly: true });
  return {
    faults: faults.map(({ code, object }) => `${code} ${object.kind}`),
    lost: lost.flatMap(({ places }) => places.map(({ number }) => number)),
  };
}

const NOTHING_LOST = { faults: [], lost: [] };

async function taken(bed: PushBed, count: number): Promise<number[]> {
  const { value } = (await bed.store.datasets.getDataset(name)) ?? assert.fail();
  const entries = await takenEntries(bed.store.datasets, value, tag, {});
  return Array.from({ length: count }, (_, index) => index + 1).filter((number) => isBelow(entries, number));
}

describe("an earlier version that is missing", () => {
  it(
    "is told while no prune let it go, whatever is pruned beside it, and is not when it was let go",
    onBed(async (bed) => {
      const versions = await fill(bed, 5);
      await updateDataset(bed.engine, name, { keepLast: 3 });
      await pruned(bed);
      assert.deepEqual(await taken(bed, 5), [1, 2]);
      await updateDataset(bed.engine, name, { keepLast: null });
      assert.deepEqual(await told(bed), NOTHING_LOST);
      loseFile(bed, "plans", versions[2]);
      assert.deepEqual(await told(bed), { faults: ["OBJECT_MISSING plans"], lost: [3] });
      loseFile(bed, "plans", versions[3]);
      assert.deepEqual((await told(bed)).lost, [4, 3]);
      await updateDataset(bed.engine, name, { keepLast: 1 });
      await pruned(bed);
      await updateDataset(bed.engine, name, { keepLast: null });
      assert.deepEqual(await taken(bed, 5), [1, 2, 3, 4]);
      assert.deepEqual(await told(bed), NOTHING_LOST);
    }),
  );

  it(
    "is told in a store that never was pruned, by its manifest, its plan or its block",
    onBed(async (bed) => {
      const blocks = new Set<string>();
      const newBlock = (): string => {
        const [file] = [...bed.files("blocks").keys()].filter((each) => !blocks.has(each));
        blocks.add(file ?? assert.fail("it has a block of its own"));
        return file ?? "";
      };
      const versions: Digest[] = [];
      for (let number = 0; number < 5; number++) {
        bed.write("file", noise(number, 20 * KiB));
        versions.push((await bed.push()).digest);
        newBlock();
      }
      loseFile(bed, "plans", versions[2]);
      assert.deepEqual(await told(bed), { faults: ["OBJECT_MISSING plans"], lost: [3] });
      fs.rmSync([...blocks][1] ?? "");
      const second = await told(bed);
      assert.deepEqual(second.faults.sort(), ["OBJECT_MISSING blocks", "OBJECT_MISSING plans"]);
      assert.deepEqual(second.lost, [3, 2]);
      loseFile(bed, "manifests", versions[0]);
      const third = await told(bed);
      assert.ok(third.faults.includes("OBJECT_MISSING manifests") && third.lost.includes(1));
    }),
  );

  it(
    "is not told while it is condemned and comes back, nor after its tag was removed",
    onBed(async (bed) => {
      await fill(bed, 3);
      await updateDataset(bed.engine, name, { keepLast: 1 });
      await pruned(bed, { graceMs: 3_600_000 });
      assert.deepEqual(await taken(bed, 3), []);
      await updateDataset(bed.engine, name, { keepLast: null });
      await pruned(bed);
      assert.deepEqual([await taken(bed, 3), await told(bed)], [[], NOTHING_LOST]);
      await removeTag(bed.engine, BED_TAG, SAYS);
      await pruned(bed);
      bed.write("file", noise(2, 20 * KiB));
      await bed.push();
      assert.deepEqual([await taken(bed, 5), await told(bed)], [[], NOTHING_LOST]);
    }),
  );

  it(
    "is let go when a prune takes it while the check looks at it",
    onBed(async (bed) => {
      await fill(bed, 3);
      await updateDataset(bed.engine, name, { keepLast: 1 });
      const { datasets } = bed.store;
      let isPruned = false;
      // The walk has the entries; what they name goes before it is looked at.
      const getDataset: DatasetStore["getDataset"] = async (...parameters) => {
        const found = await datasets.getDataset(...parameters);
        if (found === undefined || isPruned) return found;
        isPruned = true;
        await pruned(bed);
        return { ...found, value: { ...found.value, retention: null } };
      };
      const engine = { ...bed.engine, store: withMembers(bed.store, { getDataset }) };
      const { faults, lost } = await verifyStore(engine, { structureOnly: true });
      assert.deepEqual([isPruned, faults, lost], [true, [], []]);
    }),
  );

  it(
    "is not told when an AetherFS that knows no floors may have taken it, until a newer one has removed something",
    onBed(async (bed) => {
      const versions = await fill(bed, 6);
      await updateDataset(bed.engine, name, { keepLast: 4 });
      const old = { ...bed.engine, store: withoutFloors(bed.store) };
      const options = { graceMs: 0, repackBelow: 0, watch: new LeaseWatch(bed.engine.clock) };
      assert.ok((await prune(old, options)).removed.blocks > 0);
      await updateDataset(bed.engine, name, { keepLast: null });
      assert.deepEqual([await taken(bed, 6), await told(bed)], [[], NOTHING_LOST]);
      loseFile(bed, "plans", versions[2]);
      assert.deepEqual(await told(bed), NOTHING_LOST);
      await bed.push({ tags: [tagged("other")] });
      bed.write("file", noise(77, KiB));
      await bed.push({ tags: [tagged("short")] });
      await removeTag(bed.engine, tagged("short"), SAYS);
      assert.ok((await pruned(bed)).removed.blocks > 0);
      assert.equal((await readEpoch(bed.store.datasets, {}))?.value.floors, true);
      assert.deepEqual([await taken(bed, 6), await told(bed)], [[1, 2, 3], NOTHING_LOST]);
      loseFile(bed, "plans", versions[4]);
      assert.deepEqual((await told(bed)).lost, [5]);
    }),
  );

  it(
    "is not told of an entry that was taken back, and its entry alone is written down",
    onBed(async (bed) => {
      const versions = await fill(bed, 4);
      await recordTaken(bed.store.datasets, name, tag, 2, {});
      await recordTaken(bed.store.datasets, name, tag, 2, {});
      assert.deepEqual(await taken(bed, 4), [2]);
      loseFile(bed, "plans", versions[1]);
      assert.deepEqual(await told(bed), NOTHING_LOST);
      loseFile(bed, "plans", versions[0]);
      assert.deepEqual((await told(bed)).lost, [1]);
      // Who takes it back has died before the tag was moved: it is what the tag points at still.
      await recordTaken(bed.store.datasets, name, tag, 4, {});
      loseFile(bed, "plans", versions[3]);
      assert.deepEqual((await told(bed)).lost, [4, 1]);
    }),
  );
});

describe("a floor", () => {
  it(
    "of another dataset that had the name says nothing of the one that has it now",
    onBed(async (bed) => {
      await fill(bed, 3);
      await updateDataset(bed.engine, name, { keepLast: 1 });
      await pruned(bed);
      const { datasets } = bed.store;
      const found = (await datasets.getFloor(name, tag)) ?? assert.fail();
      const { value } = (await datasets.getDataset(name)) ?? assert.fail();
      const other = { ...value, incarnation: "f".repeat(32) };
      assert.equal((await takenEntries(datasets, other, tag, {})).floor, 1);
      await datasets.putFloor(name, tag, { ...found.value, incarnation: other.incarnation }, found.revision);
      assert.deepEqual(await taken(bed, 3), []);
      bed.write("file", noise(9, 20 * KiB));
      await bed.push();
      await pruned(bed);
      assert.deepEqual(await taken(bed, 4), [1, 2, 3]);
    }),
  );

  it(
    "stands before anything is removed that it tells of",
    onBed(async (bed) => {
      await fill(bed, 3);
      await updateDataset(bed.engine, name, { keepLast: 1 });
      const broken = new Error("stopped");
      const store = withMembers(bed.store, { removeObject: () => Promise.reject(broken) });
      const options = { graceMs: 0, repackBelow: 0, watch: new LeaseWatch(bed.engine.clock) };
      await assert.rejects(prune({ ...bed.engine, store }, options), broken);
      assert.deepEqual(await taken(bed, 3), [1, 2]);
      await updateDataset(bed.engine, name, { keepLast: null });
      await pruned(bed);
      assert.deepEqual(await told(bed), NOTHING_LOST);
    }),
  );
});

const START_MS = Date.parse("2026-11-28T12:00:00Z");
const DAY_MS = 86_400_000;

const entry = fc.record({
  version: fc.constantFrom("a", "b", "c", "d", "e"),
  state: fc.constantFrom<HistoryRecord["state"][]>(
    "announced",
    "announced",
    "announced",
    "pinned",
    "deleted",
  ),
  // Publishers' clocks may stand wrong.
  aheadDays: fc.constantFrom(0, 0, 0, -20, 20),
});
const retention = fc.oneof(
  fc.constant(null),
  fc.record({
    keepLast: fc.constantFrom(null, 1, 2, 4),
    keepWithinSeconds: fc.constantFrom(null, 5 * 86_400, 12 * 86_400),
    keepTags: fc.constantFrom<string[][]>([], [], ["other"], ["la*"]),
  }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: entry },
  { weight: 3, arbitrary: fc.constant("sweep" as const) },
  { weight: 1, arbitrary: retention },
);

/** A tag whose history is written, and what is let go of it, told by reading all of it. */
class Model {
  readonly engine: Engine;
  readonly #entries: HistoryRecord[] = [];
  readonly #taken = new Set<number>();
  #retention: Retention | null = null;
  nowMs = START_MS;

  constructor(store: Store) {
    const clock = { ...systemClock, nowMs: () => this.nowMs };
    this.engine = { ...testEngine(store, ""), clock };
  }

  async push({
    version,
    state,
    aheadDays,
  }: typeof entry extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
    this.nowMs += DAY_MS;
    const record = {
      ...{ number: this.#entries.length + 1, state, digest: digestOf(Buffer.from(version)), previous: null },
      ...{ time: new Date(this.nowMs + aheadDays * DAY_MS).toISOString(), publisher: "", message: "" },
      ...{ labels: {}, writeId: systemRandom.id(), files: 1, bytes: 1 },
    };
    assert.ok(await this.engine.store.datasets.createHistory(name, tag, record));
    this.#entries.push(record);
  }

  async keep(next: Retention | null): Promise<void> {
    const { datasets } = this.engine.store;
    const found = (await datasets.getDataset(name)) ?? assert.fail();
    await datasets.putDataset({ ...found.value, retention: next }, found.revision);
    this.#retention = next;
  }

  async sweep(): Promise<void> {
    const rules = new RetentionRules(this.#retention, tag, this.nowMs);
    const expected = new Set<Digest>();
    const isDeleted = this.#entries.at(-1)?.state === "deleted";
    for (const record of this.#entries.toReversed()) {
      if (rules.keeps(record)) expected.add(record.digest);
      else if (record.state !== "deleted" && !isDeleted) this.#taken.add(record.number);
    }
    const found = new Set<Digest>();
    for await (const { version } of liveVersions(this.engine, { recordsFloors: true })) found.add(version);
    assert.deepEqual(found, expected);
    const { datasets } = this.engine.store;
    const { value } = (await datasets.getDataset(name)) ?? assert.fail();
    const entries = await takenEntries(datasets, value, tag, {});
    for (const { number, state } of this.#entries)
      if (state !== "deleted") assert.equal(isBelow(entries, number), this.#taken.has(number), `${number}`);
  }
}

describe("floors of any history under any retentions", () => {
  it("name exactly what was let go at a sweep, and what they pass over changes nothing of what is live", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
        const model = new Model(store);
        await ensureDataset(model.engine, name);
        for (const each of steps) {
          if (each === "sweep") await model.sweep();
          else if (each !== null && "version" in each) await model.push(each);
          else await model.keep(each);
        }
        await model.sweep();
      }),
      { numRuns: 300 },
    ));
});

describe("a second look through a long history", () => {
  it(
    "reads what is kept, and no entry that was let go",
    onBed(async (bed) => {
      await ensureDataset(bed.engine, name);
      const { datasets } = bed.store;
      await updateDataset(bed.engine, name, { keepLast: 3 });
      const digests = Array.from({ length: 200 }, (_, index) => digestOf(Buffer.from(`${index}`)));
      for (const [index, digest] of digests.entries()) {
        const state = index === 50 ? "pinned" : "announced";
        const says = {
          publisher: "",
          message: "",
          labels: {},
          files: 1,
          bytes: 1,
          time: "2026-11-28T12:00:00Z",
        };
        const record = {
          number: index + 1,
          state,
          digest,
          previous: null,
          writeId: systemRandom.id(),
          ...says,
        } as const;
        await datasets.createHistory(name, tag, record);
      }
      let reads = 0;
      const getHistory: DatasetStore["getHistory"] = (...parameters) => {
        reads++;
        return datasets.getHistory(...parameters);
      };
      const engine = { ...bed.engine, store: withMembers(bed.store, { getHistory }) };
      const look = async (): Promise<[number, Digest[]]> => {
        reads = 0;
        const live: Digest[] = [];
        for await (const { version } of liveVersions(engine, { recordsFloors: true })) live.push(version);
        return [reads, live];
      };
      const [first, live] = await look();
      const [second, again] = await look();
      assert.deepEqual([first, second, again], [200, 5, live]);
      assert.equal(live.length, 4);
      assert.equal(path.basename([...bed.files("datasets/test/floors").keys()][0] ?? ""), "latest.json");
    }),
  );
});
