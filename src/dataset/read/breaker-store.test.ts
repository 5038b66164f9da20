import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock, type Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { digestOf } from "../../format/digest.ts";
import type { VersionStore } from "../../store/dataset-store.ts";
import { breakerStore, type BreakerStore } from "./breaker-store.ts";

const BLOCK = digestOf(Buffer.from("a block"));
const RANGE = { start: 0, end: 4 };

/** What the store does with whatever has content, and with small questions. */
type Manner = "answers" | "is silent" | "is away";

interface Bed extends BreakerStore {
  read: Manner;
  small: Manner;
  /** Small questions so far, and reads that were ended. */
  readonly counts: { asked: number; ended: number };
  /** Lets whoever sleeps go on, again and again until it is so. */
  readonly until: (isSo: () => boolean) => Promise<void>;
}

function bed(): Bed {
  const counts = { asked: 0, ended: 0 };
  const sleepers = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        sleepers.add(resolve);
        signal?.addEventListener("abort", () => {
          sleepers.delete(resolve);
          reject(signal.reason as Error);
        });
      }),
  };
  const behave = async <T>(manner: Manner, signal: AbortSignal | undefined, answer: T): Promise<T> => {
    if (manner === "is away") throw new AetherError("HUB_UNAVAILABLE", "refused");
    if (manner === "answers") return answer;
    return new Promise((_, reject) => {
      signal?.addEventListener("abort", () => {
        counts.ended++;
        reject(signal.reason as Error);
      });
    });
  };
  const inner: VersionStore = {
    blocks: {
      read: (_, __, options) => behave(made.read, options?.signal, Buffer.from("some")),
      stat: (_, options) => {
        counts.asked++;
        return behave(made.small, options?.signal, 4);
      },
    },
    datasets: {
      getManifest: (_, options) => behave(made.read, options?.signal, undefined),
      getPlan: (_, options) => behave(made.read, options?.signal, undefined),
    },
  };
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      for (const wake of sleepers) {
        sleepers.delete(wake);
        wake();
      }
      await new Promise(setImmediate);
    }
  };
  const made: Bed = {
    ...breakerStore(inner, { clock, log: SILENT_LOG }),
    ...{ read: "answers", small: "answers", counts, until },
  };
  return made;
}

const AWAY = { code: "STORE_UNAVAILABLE" };

describe("a store behind a breaker", () => {
  it("that answers nothing any more, fails all that wait and all that come, at once, and is as before when it answers", async () => {
    const made = bed();
    const { blocks, datasets } = made.store;
    made.read = made.small = "is silent";
    const waiting = [1, 2].map(() => blocks.read(BLOCK, RANGE));
    const all = Promise.allSettled(waiting);
    made.suspect();
    await made.until(() => made.counts.ended >= 3);
    assert.deepEqual(
      (await all).map((each) => each.status === "rejected" && (each.reason as AetherError).code),
      ["STORE_UNAVAILABLE", "STORE_UNAVAILABLE"],
    );
    await assert.rejects(blocks.read(BLOCK, RANGE), AWAY);
    await assert.rejects(blocks.stat(BLOCK), AWAY);
    await assert.rejects(datasets.getManifest(BLOCK), AWAY);
    await assert.rejects(datasets.getPlan(BLOCK), AWAY);
    made.read = made.small = "answers";
    const { asked } = made.counts;
    await made.until(() => made.counts.asked > asked);
    assert.equal((await blocks.read(BLOCK, RANGE)).byteLength, 4);
    await made.close();
  });

  it("that is slow with one answer, and gives small ones, fails nothing", async () => {
    const made = bed();
    const { blocks } = made.store;
    made.read = "is silent";
    const leaving = new AbortController();
    const slow = blocks.read(BLOCK, RANGE, { signal: leaving.signal });
    made.suspect();
    await made.until(() => made.counts.asked > 0);
    made.read = "answers";
    assert.equal((await blocks.read(BLOCK, RANGE)).byteLength, 4);
    leaving.abort();
    await assert.rejects(slow, { name: "AbortError" });
    assert.deepEqual(made.counts, { asked: 1, ended: 1 });
    await made.close();
  });

  it("whose manifests and plans are slow, is asked for something smaller than these", async () => {
    const made = bed();
    const { datasets } = made.store;
    made.read = "is silent";
    const leaving = new AbortController();
    const { signal } = leaving;
    const slow = [datasets.getManifest(BLOCK, { signal }), datasets.getPlan(BLOCK, { signal })];
    const all = Promise.allSettled(slow);
    made.suspect();
    await made.until(() => made.counts.asked > 0);
    made.read = "answers";
    assert.equal(await datasets.getManifest(BLOCK), undefined);
    leaving.abort();
    await all;
    assert.deepEqual(made.counts, { asked: 1, ended: 2 });
    await made.close();
  });

  it("that cannot be reached, is asked again by itself; whoever read meets that error, and then the breaker's", async () => {
    const made = bed();
    const { blocks } = made.store;
    made.read = made.small = "is away";
    await assert.rejects(blocks.read(BLOCK, RANGE), { code: "HUB_UNAVAILABLE" });
    await made.until(() => made.counts.asked > 1);
    await assert.rejects(blocks.read(BLOCK, RANGE), AWAY);
    await made.close();
    const { asked } = made.counts;
    made.suspect();
    await new Promise(setImmediate);
    assert.equal(made.counts.asked, asked);
  });

  it("suspected before anything was asked of it, is asked nothing", async () => {
    const made = bed();
    made.suspect();
    await made.close();
    assert.equal(made.counts.asked, 0);
  });
});
