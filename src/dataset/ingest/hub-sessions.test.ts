import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Clock } from "../../base/clock.ts";
import { AetherError, codeOf, type ErrorCode } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { faulty } from "../../store/conformance/faulty-store.ts";
import type { PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { push } from "../push/push.ts";
import { noise } from "../testing/engine.ts";
import { plainFrame, fileVersion } from "../testing/hub-frames.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { WorkerPool } from "../workers/pool.ts";
import { openSessions, type SessionsOptions } from "./hub-sessions.ts";
import type { BegunSession, IngestSessions } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

/** Runs a test on sessions of its own. */
function onSessions(
  test: (sessions: IngestSessions, bed: PushBed) => Promise<void>,
  options: Partial<SessionsOptions> = {},
  change: Partial<Engine> = {},
): () => Promise<void> {
  return async () => {
    const bed = await openPushBed(pool);
    const sessions = openSessions({ ...bed.engine, ...change }, { log: SILENT_LOG, ...options });
    try {
      await test(sessions, bed);
    } finally {
      await sessions.close();
      await bed.close();
    }
  };
}

function pushThrough(bed: PushBed, sessions: IngestSessions): Promise<PushResult> {
  const engine = { ...bed.engine, cacheDir: undefined, ingest: producerOf(sessions) };
  const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
  return push(engine, options);
}

function begin(sessions: IngestSessions, signal?: AbortSignal): Promise<BegunSession> {
  return sessions.begin({ tags: [BED_TAG], publisher: "test" }, signal === undefined ? {} : { signal });
}

async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(codeOf(error), code, String(error));
    return true;
  });
}

/** A clock whose time passes when it is told to. */
class HandClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  readonly nowMs = (): number => this.#nowMs;
  readonly elapsedMs = (): number => this.#nowMs;
  readonly sleep = (delayMs: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.#nowMs + delayMs, wake: resolve };
      this.#sleepers.add(sleeper);
      const leave = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      if (signal?.aborted === true) leave();
      else signal?.addEventListener("abort", leave, { once: true });
    });

  async pass(ms: number): Promise<void> {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > this.#nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a push through a hub's sessions", () => {
  it(
    "then another, both versions can be read, and what did not change was not sent again",
    onSessions(async (sessions, bed) => {
      for (let file = 0; file < 60; file++) bed.write(`d${file % 7}/f${file}`, noise(file, 40 * KiB));
      const first = await pushThrough(bed, sessions);
      assert.equal((await bed.read(first.digest)).filter((entry) => entry.kind === "file").length, 60);
      const bytes = noise(3, 40 * KiB);
      bytes.set(noise(99, 500), 7000);
      bed.write("d3/f3", bytes);
      const second = await pushThrough(bed, sessions);
      await bed.read(second.digest);
      assert.notEqual(second.digest, first.digest);
      assert.ok(second.newBytes < 200 * KiB, `${second.newBytes} bytes were new`);
    }),
  );

  it(
    "of many files, whose pages lie in blocks, can be read, and again after a small change",
    onSessions(async (sessions, bed) => {
      for (let file = 0; file < 2000; file++) bed.write(`d${file % 50}/f${file}`, noise(file, 100 + file));
      await bed.read((await pushThrough(bed, sessions)).digest);
      bed.write("d7/new", "new");
      const second = await pushThrough(bed, sessions);
      await bed.read(second.digest);
      assert.ok(second.storedBytes < 200 * KiB, `${second.storedBytes} bytes were stored`);
    }),
  );

  it(
    "while the disk is full, fails and says so; the next push, when there is room, goes through",
    onSessions(async (sessions, bed) => {
      bed.write("file", noise(1, 3 * MiB));
      const full = new AetherError("SPACE_EXHAUSTED", "an injected fault");
      const blocks = Object.assign(Object.create(bed.store.blocks) as typeof bed.store.blocks, {
        put: () => Promise.reject(full),
        stat: bed.store.blocks.stat.bind(bed.store.blocks),
        read: bed.store.blocks.read.bind(bed.store.blocks),
        list: bed.store.blocks.list.bind(bed.store.blocks),
        flush: bed.store.blocks.flush.bind(bed.store.blocks),
      });
      const store = { blocks, datasets: bed.store.datasets, close: () => Promise.resolve() };
      const onFull = openSessions({ ...bed.engine, store }, { log: SILENT_LOG });
      try {
        await fails(pushThrough(bed, onFull), "SPACE_EXHAUSTED");
      } finally {
        await onFull.close();
      }
      assert.equal(bed.files("leases").size, 0);
      await bed.read((await pushThrough(bed, sessions)).digest);
    }),
  );

  for (const seed of [1, 2, 3, 4]) {
    it(
      `to a store that fails now and then (seed ${seed}), succeeds and can be read, or fails and says so`,
      onSessions(async (sessions, bed) => {
        for (let file = 0; file < 20; file++) bed.write(`f${file}`, noise(file + seed, 9 * KiB));
        const faults = { seed, failures: 0.02, lostAnswers: 0.02, delays: 0.2 };
        const store = faulty(faults)(bed.store);
        const unsteady = openSessions({ ...bed.engine, store }, { log: SILENT_LOG });
        try {
          for (let attempt = 0; attempt < 6; attempt++) {
            const outcome = await pushThrough(bed, unsteady).catch((error: unknown) => codeOf(error));
            if (typeof outcome === "object") await bed.read(outcome.digest);
            else assert.notEqual(outcome, "INTERNAL");
          }
        } finally {
          await unsteady.close();
        }
        await bed.read((await pushThrough(bed, sessions)).digest);
      }),
    );
  }
});

describe("the sessions of a hub", () => {
  it(
    "by an id that was never given, there is none",
    onSessions(async (sessions) => {
      await fails(
        Promise.resolve().then(() => sessions.use("f".repeat(32))),
        "SESSION_LOST",
      );
    }),
  );

  it(
    "while too many are under way, the next waits; further ones are refused; who goes away leaves the queue",
    onSessions(
      async (sessions) => {
        const first = await begin(sessions);
        const gone = new AbortController();
        const left = begin(sessions, gone.signal);
        await fails(begin(sessions), "LIMIT_EXCEEDED");
        gone.abort(new AetherError("CANCELLED", "gone"));
        await fails(left, "CANCELLED");
        const waiting = begin(sessions);
        await sessions.use(first.id).abort();
        const second = await waiting;
        assert.notEqual(second.id, first.id);
        await fails(
          Promise.resolve().then(() => sessions.use(first.id)),
          "SESSION_LOST",
        );
      },
      { sessionsMax: 1, waitersMax: 1 },
    ),
  );

  it(
    "that cannot begin, leave their place to others",
    onSessions(
      async (sessions, bed) => {
        const tags = [BED_TAG, { ...BED_TAG, name: "@other/set" as typeof BED_TAG.name }];
        await fails(sessions.begin({ tags, publisher: "test" }, {}), "FEATURE_UNSUPPORTED");
        await sessions.use((await begin(sessions)).id).abort();
        assert.equal(bed.files("leases").size, 0);
      },
      { sessionsMax: 1, waitersMax: 0 },
    ),
  );

  const clock = new HandClock();
  it(
    "of which nothing is heard, end and give up their claims; one that is heard of lives on",
    onSessions(
      async (sessions, bed) => {
        const silent = await begin(sessions);
        const heard = await begin(sessions);
        const silentSession = sessions.use(silent.id);
        await clock.pass(7000);
        sessions.use(heard.id);
        await clock.pass(7000);
        await fails(silentSession.missing([], {}), "SESSION_LOST");
        await silentSession.abort();
        assert.equal(bed.files("leases").size, 1);
        assert.deepEqual(await sessions.use(heard.id).missing([], {}), []);
        await fails(
          Promise.resolve().then(() => sessions.use(silent.id)),
          "SESSION_LOST",
        );
      },
      { ttlSeconds: 10 },
      { clock },
    ),
  );

  const laterClock = new HandClock();
  it(
    "that published, give their answer again until they would have ended anyway",
    onSessions(
      async (sessions) => {
        const { id } = await begin(sessions);
        const chunk = noise(1, 5000);
        const { done } = await sessions.use(id).putFrames(0, [plainFrame(chunk)], {});
        await done;
        const { root, inlinePages } = fileVersion([chunk]);
        const rest = { base: undefined, tags: [BED_TAG], publisher: "", message: "", labels: {} };
        const first = await sessions.use(id).publish({ root, inlinePages, ...rest }, {});
        await laterClock.pass(9000);
        assert.deepEqual(await sessions.use(id).publish({ root, inlinePages, ...rest }, {}), first);
        await laterClock.pass(9000);
        await laterClock.pass(9000);
        await fails(
          Promise.resolve().then(() => sessions.use(id)),
          "SESSION_LOST",
        );
      },
      { ttlSeconds: 10 },
      { clock: laterClock },
    ),
  );

  it(
    "when the hub closes, end and give up their claims; who waits is told",
    onSessions(
      async (sessions, bed) => {
        const { id } = await begin(sessions);
        const session = sessions.use(id);
        const waiting = begin(sessions);
        const told = fails(waiting, "HUB_UNAVAILABLE");
        await sessions.close();
        await told;
        await fails(session.missing([], {}), "SESSION_LOST");
        await fails(begin(sessions), "HUB_UNAVAILABLE");
        assert.equal(bed.files("leases").size, 0);
      },
      { sessionsMax: 1 },
    ),
  );
});
