import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { systemClock, type Clock } from "../base/clock.ts";
import type { AetherError } from "../base/errors.ts";
import { FairGate, type FairGateLimits, type Occupant } from "./fair-gate.ts";

const NEVER = new AbortController().signal;

/** A clock that goes on only when it is told to. */
class SteppedClock implements Clock {
  #ms = 0;
  #sleeps: { readonly untilMs: number; readonly wake: () => void }[] = [];
  nowMs = (): number => this.#ms;
  elapsedMs = (): number => this.#ms;
  sleep = (delayMs: number): Promise<void> =>
    new Promise((wake) => void this.#sleeps.push({ untilMs: this.#ms + delayMs, wake }));

  async go(ms: number): Promise<void> {
    for (const endMs = this.#ms + ms; this.#ms < endMs;) {
      this.#ms += Math.min(50, endMs - this.#ms);
      const due = this.#sleeps.filter(({ untilMs }) => untilMs <= this.#ms);
      this.#sleeps = this.#sleeps.filter(({ untilMs }) => untilMs > this.#ms);
      for (const { wake } of due) wake();
      await new Promise(setImmediate);
    }
  }
}

interface Guest extends Occupant {
  leave: (() => void) | undefined;
  failed: AetherError | undefined;
  isEnded: boolean;
}

function gateOf(limits: Partial<FairGateLimits>, clock: Clock = systemClock): FairGate {
  return new FairGate({ placesMax: 8, waitersMax: 100, waitMs: 60_000, ...limits }, clock);
}

function come(gate: FairGate, who: string, idleSinceMs = Infinity, signal = NEVER): Guest {
  const guest: Guest = {
    who,
    idleMs: (nowMs) => Math.max(0, nowMs - idleSinceMs),
    end: () => {
      guest.isEnded = true;
      guest.leave?.();
    },
    leave: undefined,
    failed: undefined,
    isEnded: false,
  };
  gate.enter(guest, signal).then(
    (leave) => (guest.leave = leave),
    (error: unknown) => (guest.failed = error as AetherError),
  );
  return guest;
}

const settled = (): Promise<unknown> => new Promise(setImmediate);
const inside = (guests: readonly Guest[]): number => guests.filter(({ leave }) => leave !== undefined).length;

describe("a fair gate", () => {
  it("asked for by one without an end, lets three quarters of its places be taken, and others in at once", async () => {
    const gate = gateOf({});
    const many = Array.from({ length: 40 }, () => come(gate, "many"));
    await settled();
    assert.equal(inside(many), 6);
    const [one, other] = [come(gate, "one"), come(gate, "other")];
    await settled();
    assert.equal(inside([one, other]), 2);
    assert.equal(gate.isFree("one more"), false);
  });

  it("full, lets in next who has the fewest inside, and those of one in the order in which they came", async () => {
    const gate = gateOf({ placesMax: 4 });
    const first = Array.from({ length: 9 }, () => come(gate, "many"));
    const other = [come(gate, "other"), come(gate, "other"), come(gate, "other")];
    await settled();
    assert.deepEqual([inside(first), inside(other)], [3, 1]);
    first[0]?.leave?.();
    await settled();
    assert.deepEqual([inside(first), inside(other)], [3, 2], "one has left, none has come");
    other[0]?.leave?.();
    other[1]?.leave?.();
    await settled();
    assert.ok(other[2]?.leave !== undefined);
    assert.deepEqual(
      first.slice(3).map(({ leave }) => leave !== undefined),
      [true, false, false, false, false, false],
    );
  });

  it("with somebody inside who is idle, ends them for those who wait and have no more, and for nobody else", async () => {
    const clock = new SteppedClock();
    const gate = gateOf({ placesMax: 4 }, clock);
    const idle = Array.from({ length: 3 }, () => come(gate, "idle", 1000));
    const small = come(gate, "small", 0);
    await clock.go(5000);
    assert.ok(
      idle.every(({ isEnded }) => !isEnded),
      "nobody waits",
    );
    const waiting = come(gate, "idle");
    await clock.go(300);
    assert.deepEqual([idle.filter(({ isEnded }) => isEnded).length, small.isEnded], [1, false]);
    assert.ok(waiting.leave !== undefined);
    const others = [come(gate, "a"), come(gate, "b"), come(gate, "c")];
    await clock.go(1000);
    assert.equal(inside(others), 3);
    assert.equal(waiting.isEnded, false, "it goes on");
  });

  it("that many wait for, refuses more, and those who have waited for long; each says when to come again", async () => {
    const clock = new SteppedClock();
    const gate = gateOf({ placesMax: 1, waitersMax: 4, waitMs: 2000 }, clock);
    const first = come(gate, "first");
    const waiting = Array.from({ length: 10 }, () => come(gate, "many"));
    await settled();
    const refused = (): Guest[] => waiting.filter(({ failed }) => failed?.code === "HUB_BUSY");
    assert.equal(refused().length, 7, "three quarters of the room for who waits are one's at most");
    const other = come(gate, "other");
    await clock.go(1900);
    assert.deepEqual([other.failed, refused().length], [undefined, 7]);
    await clock.go(600);
    assert.deepEqual([other.failed?.code, refused().length], ["HUB_BUSY", 10]);
    assert.deepEqual(other.failed?.data, { retryAfterSeconds: 5 });
    first.leave?.();
    await settled();
    assert.ok(gate.isFree("anybody"));
  });

  it("that somebody leaves who waits, forgets them", async () => {
    const gate = gateOf({ placesMax: 1 });
    const first = come(gate, "first");
    const gone = new AbortController();
    const left = come(gate, "a", Infinity, gone.signal);
    const next = come(gate, "a");
    await settled();
    gone.abort(new Error("gone"));
    first.leave?.();
    await settled();
    assert.equal(left.failed?.message, "gone");
    assert.ok(next.leave !== undefined);
  });

  it("in any order of coming and leaving, keeps its limits, and lets everybody in at the end", async () => {
    const step = fc.record({ who: fc.constantFrom("a", "b", "c"), leaves: fc.option(fc.nat(20)) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 6 }),
        async (steps, placesMax) => {
          const gate = gateOf({ placesMax });
          const guests: Guest[] = [];
          const leaving = (guest: Guest | undefined): void => {
            guest?.leave?.();
            if (guest?.leave !== undefined) guests.splice(guests.indexOf(guest), 1);
          };
          for (const { who, leaves } of steps) {
            if (leaves === null) guests.push(come(gate, who));
            else leaving(guests[leaves]);
            await settled();
            assert.ok(inside(guests) <= placesMax);
            if (guests.length > 0) assert.ok(inside(guests) > 0, "somebody is inside when somebody is there");
          }
          while (guests.length > 0) {
            leaving(guests.find(({ leave }) => leave !== undefined));
            await settled();
          }
          assert.ok(gate.isFree("d"));
        },
      ),
      { numRuns: 100 },
    );
  });
});
