/** Publishers that interleave and die at any step, on one dataset: what the history and the events must still be. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { digestOf } from "../format/digest.ts";
import type { EventRecord, HistoryRecord } from "../format/record.ts";
import { parseDatasetName, parseTag, type Tag } from "../format/reference.ts";
import type { DatasetStore, Store } from "../store/dataset-store.ts";
import { openStore } from "../store/drivers/all.ts";
import type { Engine } from "./engine.ts";
import { currentOf, readHead } from "./tag-head.ts";
import { commitTag, type TagChange } from "./tags.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("@sim/prices");
const TAGS = ["latest", "stable"].map(parseTag);

interface Publisher {
  readonly commits: readonly { readonly tag: number; readonly version: number }[];
  /** The store call at which the publisher dies, if it gets that far, and whether the call still takes effect. */
  readonly diesAt: number;
  readonly lastCallCounts: boolean;
}

class Death extends Error {}

function engineOn(store: Store): Engine {
  const pool = new WorkerPool(1);
  return { store, clock: systemClock, random: systemRandom, pool, memoryBytes: 2 ** 20, cacheDir: undefined };
}

/** The store as one publisher sees it: each call waits for its turn, one of them is the last. */
function seenBy(publisher: Publisher, datasets: DatasetStore, scheduler: fc.Scheduler): DatasetStore {
  let calls = 0;
  return new Proxy(datasets, {
    get: (target, key) => {
      const method: unknown = Reflect.get(target, key);
      if (typeof method !== "function") return method;
      return async (...parameters: unknown[]): Promise<unknown> => {
        await scheduler.schedule(Promise.resolve(), String(key));
        const dies = ++calls >= publisher.diesAt;
        if (dies && (!publisher.lastCallCounts || calls > publisher.diesAt)) throw new Death();
        const result: unknown = await Reflect.apply(method, target, parameters);
        if (dies) throw new Death();
        return result;
      };
    },
  });
}

function changeTo(version: number, writeId: string): TagChange {
  const digest = digestOf(Buffer.from([version]));
  return {
    state: "announced",
    digest,
    files: 1,
    bytes: version,
    publisher: "sim",
    message: "",
    labels: {},
    writeId,
  };
}

/** What was not answered, for somebody else to do again. */
interface Pending {
  readonly tag: Tag;
  readonly change: TagChange;
}

/** Commits until done or dead; adds the write ids of what was acknowledged as moved. `store` is there for who has died, too. */
async function publish(
  engine: Engine,
  publisher: Publisher,
  acknowledged: Set<string>,
  store: Store,
): Promise<Pending | undefined> {
  for (const { tag: index, version } of publisher.commits) {
    const tag = TAGS[index] ?? assert.fail();
    const since = (await readHead(store.datasets, NAME, tag, {})).record?.number ?? 0;
    const change = { ...changeTo(version, systemRandom.id()), since };
    try {
      if ((await commitTag(engine, NAME, tag, change)).moved) acknowledged.add(change.writeId);
    } catch (error) {
      if (error instanceof Death) return { tag, change };
      throw error;
    }
  }
  return undefined;
}

async function readHistory(datasets: DatasetStore, tag: Tag): Promise<HistoryRecord[]> {
  const records: HistoryRecord[] = [];
  for (let number = 1; ; number++) {
    const record = await datasets.getHistory(NAME, tag, number);
    if (record === undefined) return records;
    records.push(record);
  }
}

async function readEvents(datasets: DatasetStore): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  const last = await datasets.lastEvent(NAME);
  for (let sequence = 1; sequence <= last; sequence++) {
    events.push((await datasets.getEvent(NAME, sequence)) ?? assert.fail(`event ${sequence} is missing`));
  }
  return events;
}

/** Every entry announced once, in order; the chain of previous versions whole; hints true. */
async function checkTag(
  datasets: DatasetStore,
  tag: Tag,
  acknowledged: ReadonlySet<string>,
): Promise<number> {
  const records = await readHistory(datasets, tag);
  for (const [index, record] of records.entries()) {
    assert.equal(record.previous, currentOf(records[index - 1]));
    assert.notEqual(record.digest, record.previous, "a tag is not moved to where it is");
  }
  assert.equal(new Set(records.map(({ writeId }) => writeId)).size, records.length, "nothing is made twice");
  const events = (await readEvents(datasets)).filter((event) => event.tag === tag);
  const said = (item: HistoryRecord | EventRecord): unknown => [item.number, item.digest, item.state];
  assert.deepEqual(events.map(said), records.map(said));
  const hint = (await datasets.getHint(NAME, tag)) ?? assert.fail("there is a hint");
  const announcement = events.find((event) => event.number === hint.number);
  assert.deepEqual([hint.event, hint.digest], [announcement?.sequence, announcement?.digest]);
  return records.filter(({ writeId }) => acknowledged.has(writeId)).length;
}

const publisherArbitrary: fc.Arbitrary<Publisher> = fc.record({
  commits: fc.array(fc.record({ tag: fc.nat(TAGS.length - 1), version: fc.nat(3) }), {
    minLength: 1,
    maxLength: 3,
  }),
  diesAt: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 30 })),
  lastCallCounts: fc.boolean(),
});

describe("commitTag, by publishers that interleave and die", () => {
  it("keeps histories linear, makes nothing twice that is asked for again, and announces every entry once, in order", async () => {
    const publishers = fc.array(publisherArbitrary, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(publishers, fc.scheduler(), async (group, scheduler) => {
        const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
        const acknowledged = new Set<string>();
        const running = group.map((publisher) => {
          const datasets = seenBy(publisher, store.datasets, scheduler);
          return publish(engineOn({ ...store, datasets }), publisher, acknowledged, store);
        });
        const pending = await scheduler.waitFor(Promise.all(running));
        // Who lost the answer asks again elsewhere, whatever others did meanwhile.
        for (const { tag, change } of pending.filter((each) => each !== undefined)) {
          const { moved } = await commitTag(engineOn(store), NAME, tag, change);
          if (moved) acknowledged.add(change.writeId);
        }

        let kept = 0;
        for (const tag of TAGS) {
          const healer = changeTo(99, systemRandom.id());
          await commitTag(engineOn(store), NAME, tag, healer);
          kept += await checkTag(store.datasets, tag, acknowledged);
        }
        assert.equal(kept, acknowledged.size, "what was acknowledged is in the history, once");
      }),
      { numRuns: 300 },
    );
  });
});
