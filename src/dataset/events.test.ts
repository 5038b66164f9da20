import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock, type Clock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { digestOf } from "../format/digest.ts";
import type { EventRecord } from "../format/record.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { ensureDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { watchEvents, type WatchEventsOptions } from "./events.ts";
import { commitTag } from "./tags.ts";
import { gather } from "./testing/engine.ts";
import { openMemoryStore } from "./testing/version-builder.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("@acme/prices");

async function openEngine(clock: Clock = systemClock): Promise<Engine> {
  const store = await openMemoryStore();
  const engine = { store, clock, random: systemRandom, pool: new WorkerPool(1), memoryBytes: 2 ** 20 };
  return { ...engine, cacheDir: undefined };
}

/** Moves a tag to a version of that label: one more event. */
async function commit(engine: Engine, label: string, tag = "stable"): Promise<void> {
  const says = { publisher: "ann", message: "", labels: {}, files: 1, bytes: 1, writeId: systemRandom.id() };
  const digest = digestOf(Buffer.from(label));
  await commitTag(engine, NAME, parseTag(tag), { state: "announced", digest, ...says });
}

/** The sequences of the first `count` events. */
async function take(events: AsyncIterable<EventRecord>, count: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { sequence } of events) if (found.push(sequence) === count) break;
  return found;
}

async function untilNow(engine: Engine, options: WatchEventsOptions): Promise<number[]> {
  const events = await gather(mapToLists(watchEvents(engine, NAME, { ...options, untilNow: true })));
  return events.map(({ sequence }) => sequence);
}

async function* mapToLists<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  for await (const item of items) yield [item];
}

/** Never wakes by itself: only a bell or a signal ends its sleep. */
const sleepless: Clock = { ...systemClock, sleep: (_delayMs, signal) => systemClock.sleep(2 ** 30, signal) };

describe("watchEvents", () => {
  it("until now, from a sequence on, gives the events that are there and ends", async () => {
    const engine = await openEngine();
    for (let index = 0; index < 70; index++) await commit(engine, `version ${index}`);
    const all = Array.from({ length: 70 }, (_, index) => index + 1);
    assert.deepEqual(await untilNow(engine, { sequence: 1 }), all);
    assert.deepEqual(await untilNow(engine, { sequence: 69 }), [69, 70]);
    assert.deepEqual(await untilNow(engine, { sequence: 71 }), []);
    assert.deepEqual(await untilNow(engine, {}), []);
  });

  it("until now, while events are appended faster than they are read, ends all the same", async () => {
    const engine = await openEngine();
    await commit(engine, "first");
    const seen: number[] = [];
    for await (const { sequence } of watchEvents(engine, NAME, { sequence: 1, untilNow: true })) {
      seen.push(sequence);
      await commit(engine, `another ${sequence}`);
    }
    assert.deepEqual(seen, [1]);
  });

  it("of one tag, gives no other's", async () => {
    const engine = await openEngine();
    for (const tag of ["a", "b", "a", "c", "a"]) await commit(engine, systemRandom.id(), tag);
    assert.deepEqual(await untilNow(engine, { sequence: 1, tag: parseTag("a") }), [1, 3, 5]);
  });

  it("staying open, is woken by each commit of this process, without the clock", async () => {
    const engine = await openEngine(sleepless);
    await ensureDataset(engine, NAME);
    const watching = take(watchEvents(engine, NAME, { sequence: 1 }), 5);
    for (let index = 0; index < 5; index++) await commit(engine, `version ${index}`);
    assert.deepEqual(await watching, [1, 2, 3, 4, 5]);
  });

  it("by many at once, gives each every event once, in order", async () => {
    const engine = await openEngine(sleepless);
    await ensureDataset(engine, NAME);
    const watching = Array.from({ length: 20 }, () => take(watchEvents(engine, NAME, { sequence: 1 }), 40));
    const committing = ["a", "b", "c", "d"].map(async (tag) => {
      for (let index = 0; index < 10; index++) await commit(engine, `${tag} ${index}`, tag);
    });
    await Promise.all(committing);
    const all = Array.from({ length: 40 }, (_, index) => index + 1);
    for (const seen of await Promise.all(watching)) assert.deepEqual(seen, all);
  });

  it("of events that another process appends, finds them by asking the store again", async () => {
    let sleeps = 0;
    const sleep = async (): Promise<void> => {
      sleeps++;
      await new Promise(setImmediate);
    };
    const engine = await openEngine({ ...systemClock, sleep });
    await ensureDataset(engine, NAME);
    // Another handle on the same store stands for the other process: its bell is not ours.
    const { datasets } = engine.store;
    const other = new Proxy(datasets, {
      get: (target, key): unknown => {
        const member: unknown = Reflect.get(target, key);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    }) satisfies DatasetStore;
    const watching = take(watchEvents(engine, NAME, { sequence: 1 }), 2);
    await commit({ ...engine, store: { ...engine.store, datasets: other } }, "one");
    await commit({ ...engine, store: { ...engine.store, datasets: other } }, "two");
    assert.deepEqual(await watching, [1, 2]);
    assert.ok(sleeps > 0);
  });

  it("whose signal aborts while it waits, rejects with the reason", async () => {
    const engine = await openEngine(sleepless);
    await ensureDataset(engine, NAME);
    const abort = new AbortController();
    const watching = watchEvents(engine, NAME, { signal: abort.signal });
    const next = watching.next();
    setImmediate(() => {
      abort.abort(new Error("enough"));
    });
    await assert.rejects(next, /enough/);
  });

  it("of a dataset that is not there, fails with DATASET_NOT_FOUND", async () => {
    const engine = await openEngine();
    const events = watchEvents(engine, parseDatasetName("other"));
    await assert.rejects(events.next(), { code: "DATASET_NOT_FOUND" });
  });
});
