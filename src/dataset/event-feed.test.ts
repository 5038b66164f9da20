/** How often a process that follows a dataset asks its store. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock, type Clock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { digestOf } from "../format/digest.ts";
import type { EventRecord } from "../format/record.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import type { DatasetStore, Store } from "../store/dataset-store.ts";
import { ensureDataset } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { watchEvents } from "./events.ts";
import { commitTag } from "./tags.ts";
import { openMemoryStore } from "./testing/version-builder.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("followed");

/** A clock whose time passes when the test says so. */
class ManualClock implements Clock {
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  /** The lengths of all sleeps, in milliseconds. */
  readonly sleeps: number[] = [];
  #nowMs = 0;
  readonly nowMs = (): number => systemClock.nowMs();
  readonly elapsedMs = (): number => this.#nowMs;

  readonly sleep = (delayMs: number, signal?: AbortSignal): Promise<void> => {
    this.sleeps.push(delayMs);
    return new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.#nowMs + delayMs, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason as Error);
      });
    });
  };

  /** Lets time pass sleep by sleep, and what is woken do its work. */
  async pass(durationMs: number): Promise<void> {
    for (const endMs = this.#nowMs + durationMs; ;) {
      await settle();
      const due = [...this.#sleepers].sort((a, b) => a.untilMs - b.untilMs)[0];
      if (due === undefined || due.untilMs > endMs) {
        this.#nowMs = endMs;
        return;
      }
      this.#nowMs = due.untilMs;
      this.#sleepers.delete(due);
      due.wake();
    }
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

/** A store, what one process asks of it, and another process. */
interface Bed {
  readonly clock: ManualClock;
  /** The process that follows. */
  readonly engine: Engine;
  /** Has the same store, and another bell. */
  readonly other: Engine;
  /** Calls of the process that follows: method and number. */
  readonly calls: string[];
  /** What its store fails with, while it does. */
  failure: Error | undefined;
}

async function openBed(): Promise<Bed> {
  const store = await openMemoryStore();
  const clock = new ManualClock();
  const rest = { random: systemRandom, pool: new WorkerPool(1), memoryBytes: 2 ** 20, cacheDir: undefined };
  const calls: string[] = [];
  const datasets = new Proxy(store.datasets, {
    get: (target, key): unknown => {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...parameters: unknown[]): unknown => {
        calls.push([String(key), parameters[1]].filter((part) => typeof part !== "object").join(" "));
        if (bed.failure !== undefined) return Promise.reject(bed.failure);
        return Reflect.apply(member, target, parameters);
      };
    },
  }) satisfies DatasetStore;
  const seen: Store = { ...store, datasets };
  const bed: Bed = {
    clock,
    engine: { ...rest, clock, store: seen },
    other: { ...rest, clock: systemClock, store },
    calls,
    failure: undefined,
  };
  await ensureDataset(bed.other, NAME);
  return bed;
}

async function commit(engine: Engine): Promise<void> {
  const says = { publisher: "ann", message: "", labels: {}, files: 1, bytes: 1, writeId: systemRandom.id() };
  const digest = digestOf(Buffer.from(says.writeId));
  await commitTag(engine, NAME, parseTag("latest"), { state: "announced", digest, ...says });
}

/** Follows until the bed's end; the sequences so far, and how it ended. */
function follow(
  engine: Engine,
  signal: AbortSignal,
  sequence?: number,
): { readonly seen: number[]; readonly ended: Promise<unknown> } {
  const seen: number[] = [];
  const run = async (): Promise<void> => {
    const events: AsyncIterable<EventRecord> = watchEvents(engine, NAME, { signal, sequence });
    for await (const event of events) seen.push(event.sequence);
  };
  return { seen, ended: run().catch((error: unknown) => error) };
}

/** Runs with followers that are let go afterwards, whatever happens. */
async function withBed(work: (bed: Bed, signal: AbortSignal) => Promise<void>): Promise<void> {
  const bed = await openBed();
  const abort = new AbortController();
  try {
    await work(bed, abort.signal);
  } finally {
    abort.abort(new Error("the test is over"));
    await settle();
  }
}

describe("a process that follows a dataset", () => {
  it("by many followers, while nothing happens, asks for the next event alone, at most 30 times a minute", async () => {
    await withBed(async ({ clock, engine, other, calls }, signal) => {
      await commit(other);
      for (let index = 0; index < 20; index++) follow(engine, signal);
      await clock.pass(60_000);
      calls.length = 0;
      await clock.pass(60_000);
      assert.deepEqual([...new Set(calls)], ["getEvent 2"]);
      assert.ok(calls.length >= 29 && calls.length <= 31, `${calls.length} calls in a minute`);
    });
  });

  it("by many followers, reads an event of another process once, and tells all of them", async () => {
    await withBed(async ({ clock, engine, other, calls }, signal) => {
      const followers = Array.from({ length: 20 }, () => follow(engine, signal));
      await clock.pass(1000);
      await commit(other);
      calls.length = 0;
      await clock.pass(2000);
      for (const { seen } of followers) assert.deepEqual(seen, [1]);
      assert.equal(calls.filter((call) => call === "getEvent 1").length, 1);
    });
  });

  it("asks more often after an event, and ever less often while it is quiet", async () => {
    await withBed(async ({ clock, engine, other }, signal) => {
      const { seen } = follow(engine, signal);
      await clock.pass(60_000);
      assert.equal(clock.sleeps.at(-1), 2000);
      await commit(other);
      await clock.pass(2000);
      assert.deepEqual(seen, [1]);
      assert.ok(Math.min(...clock.sleeps.slice(-5)) <= 200, `${clock.sleeps.slice(-5).join(" ")} ms`);
      const before = clock.sleeps.length;
      await clock.pass(60_000);
      const sleeps = clock.sleeps.slice(before);
      assert.deepEqual(
        sleeps,
        sleeps.toSorted((a, b) => a - b),
      );
    });
  });

  it("of events that it appends itself, asks the store for none", async () => {
    await withBed(async ({ clock, engine, calls }, signal) => {
      const followers = [follow(engine, signal), follow(engine, signal)];
      await clock.pass(1000);
      calls.length = 0;
      for (let count = 0; count < 5; count++) await commit(engine);
      await settle();
      for (const { seen } of followers) assert.deepEqual(seen, [1, 2, 3, 4, 5]);
      // What a commit itself looks for is after the last event.
      for (let sequence = 1; sequence < 5; sequence++) {
        const looks = calls.filter((call) => call === `getEvent ${sequence}`);
        assert.ok(looks.length <= 2, `${looks.length} looks at event ${sequence}`);
      }
    });
  });

  it("whose followers have all gone, asks for nothing any more", async () => {
    const bed = await openBed();
    const abort = new AbortController();
    const { ended } = follow(bed.engine, abort.signal);
    await bed.clock.pass(1000);
    abort.abort(new Error("enough"));
    assert.match(String(await ended), /enough/);
    bed.calls.length = 0;
    await bed.clock.pass(60_000);
    assert.deepEqual(bed.calls, []);
  });

  it("whose store fails, says so to its followers, and goes on for those who come back", async () => {
    await withBed(async (bed, signal) => {
      const { clock, engine, other } = bed;
      const followers = [follow(engine, signal), follow(engine, signal)];
      await clock.pass(1000);
      bed.failure = new AetherError("STORE_UNAVAILABLE", "away");
      await clock.pass(3000);
      for (const { ended } of followers) {
        assert.equal(((await ended) as AetherError).code, "STORE_UNAVAILABLE");
      }
      bed.failure = undefined;
      await commit(other);
      const { seen } = follow(engine, signal, 1);
      await clock.pass(1000);
      assert.deepEqual(seen, [1]);
    });
  });

  it("from an event that is not there yet, tells it when it comes, and none before it", async () => {
    await withBed(async ({ clock, engine, other }, signal) => {
      const early = follow(engine, signal, 3);
      const all = follow(engine, signal, 1);
      for (let count = 0; count < 4; count++) {
        await commit(other);
        await clock.pass(3000);
      }
      assert.deepEqual(early.seen, [3, 4]);
      assert.deepEqual(all.seen, [1, 2, 3, 4]);
    });
  });

  it("behind by more events than are kept, reads the others from the store", async () => {
    await withBed(async ({ clock, engine, other }, signal) => {
      const { seen } = follow(engine, signal);
      await clock.pass(100);
      for (let count = 0; count < 700; count++) await commit(other);
      const late = follow(engine, signal, 2);
      await clock.pass(3000);
      assert.deepEqual([seen.length, seen.at(-1)], [700, 700]);
      assert.deepEqual([late.seen.length, late.seen[0], late.seen.at(-1)], [699, 2, 700]);
    });
  });
});
