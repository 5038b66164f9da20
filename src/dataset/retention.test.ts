import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { digestOf } from "../format/digest.ts";
import type { HistoryRecord, Retention, TagState } from "../format/record.ts";
import { parseTag } from "../format/reference.ts";
import { isExpired, keepsAll, parseExpiry, RetentionRules, type RetainedEntry } from "./retention.ts";

const NOW_MS = Date.parse("2026-11-28T12:00:00Z");
const TAG = parseTag("nightly");
const STATES: readonly TagState[] = ["announced", "staged", "pinned", "deleted"];

/** An entry of a version that a letter stands for, made so many seconds before now. */
function entry(letter: string, ageSeconds: number, state: TagState = "announced"): RetainedEntry {
  const time = new Date(NOW_MS - 1000 * ageSeconds).toISOString();
  return { state, digest: digestOf(Buffer.from(letter)), time };
}

/** Which of the entries, newest first, stay. */
function kept(retention: Retention | null, entries: readonly RetainedEntry[], tag = TAG): boolean[] {
  const rules = new RetentionRules(retention, tag, NOW_MS);
  return entries.map((one) => rules.keeps(one));
}

function keeping(rules: Partial<Retention>): Retention {
  return { keepLast: null, keepWithinSeconds: null, keepTags: [], ...rules };
}

const [A, B, C] = [entry("a", 10), entry("b", 20), entry("c", 30)];
const anyEntry = fc
  .tuple(
    fc.constantFrom("a", "b", "c", "d", "e", "f"),
    fc.integer({ min: -50, max: 200 }),
    fc.constantFrom(...STATES),
  )
  .map(([letter, age, state]) => entry(letter, age, state));
const anyHistory = fc.array(anyEntry, { minLength: 1, maxLength: 12 });
const anyRetention = fc.record({
  keepLast: fc.option(fc.integer({ min: 1, max: 5 }), { nil: null }),
  keepWithinSeconds: fc.option(fc.integer({ min: 0, max: 150 }), { nil: null }),
  keepTags: fc.constantFrom<string[][]>([], ["v*"], ["v*", "night*"]),
});

/** What the format says, of the whole history at once. */
function model(retention: Retention, history: readonly RetainedEntry[]): boolean[] {
  if (history[0]?.state === "deleted") return history.map(() => false);
  const versions = history.filter(({ state }) => state !== "deleted").map(({ digest }) => digest);
  const last = [...new Set(versions)].slice(0, retention.keepLast ?? 0);
  const within = retention.keepWithinSeconds;
  const startMs = NOW_MS - 1000 * (within ?? 0);
  const all = keepsAll(retention) || retention.keepTags.includes("night*");
  return history.map(({ state, digest, time }, index) => {
    if (state === "deleted") return false;
    if (all || index === 0 || state === "pinned" || last.includes(digest)) return true;
    const replaced = history[index - 1]?.time ?? "";
    return within !== null && (Date.parse(time) >= startMs || Date.parse(replaced) >= startMs);
  });
}

describe("retention of a tag's history", () => {
  test("any rules on any history keep what the format says", () => {
    fc.assert(
      fc.property(anyRetention, anyHistory, (retention, history) => {
        assert.deepEqual(kept(retention, history), model(retention, history));
      }),
    );
  });

  test("of any history the current version stays, and what one rule keeps stays with more rules", () => {
    fc.assert(
      fc.property(anyRetention, anyHistory, (retention, history) => {
        const [current] = kept(retention, history);
        assert.equal(current, history[0]?.state !== "deleted");
        const few = { ...retention, keepTags: [] };
        if (keepsAll(few)) return;
        const more = kept({ ...few, keepWithinSeconds: 200 }, history);
        for (const [index, stays] of kept(few, history).entries()) assert.ok(!stays || more[index]);
      }),
    );
  });

  test("without a retention, and with one of no rules, every version stays", () => {
    assert.deepEqual(kept(null, [A, B, C]), [true, true, true]);
    assert.deepEqual(kept(keeping({}), [A, B, C]), [true, true, true]);
  });

  test("the last two keep the newest two versions, however often the tag went from one to the other", () => {
    assert.deepEqual(kept(keeping({ keepLast: 2 }), [A, B, A, B, C, A]), [
      ...[true, true, true, true],
      ...[false, true],
    ]);
  });

  test("a staged version counts among the last", () => {
    const staged = entry("s", 5, "staged");
    assert.deepEqual(kept(keeping({ keepLast: 1 }), [A, staged, B]), [true, false, false]);
    assert.deepEqual(kept(keeping({ keepLast: 2 }), [A, staged, B]), [true, true, false]);
  });

  test("a window keeps what is younger, and what the tag pointed at when it began", () => {
    const within = keeping({ keepWithinSeconds: 15 });
    assert.deepEqual(kept(within, [A, B, C]), [true, true, false]);
    assert.deepEqual(kept(within, [entry("a", 16), B, C]), [true, false, false]);
    assert.deepEqual(kept(within, [entry("a", 15), B, C]), [true, true, false]);
  });

  test("a window keeps what is younger also where a publisher's clock stood wrong in between", () => {
    const within = keeping({ keepWithinSeconds: 60 });
    assert.deepEqual(kept(within, [A, entry("x", 1e9), B, C]), [true, true, true, true]);
    assert.deepEqual(kept(within, [A, { ...B, time: "yesterday" }, entry("c", 90)]), [true, true, true]);
  });

  test("a time that is none keeps nothing where there is no window", () => {
    assert.deepEqual(kept(keeping({ keepLast: 1 }), [A, { ...B, time: "yesterday" }]), [true, false]);
  });

  test("a tag that matches a pattern keeps all, others what the other rules say", () => {
    const retention = keeping({ keepLast: 1, keepTags: ["v*"] });
    assert.deepEqual(kept(retention, [A, B, C], parseTag("v1")), [true, true, true]);
    assert.deepEqual(kept(retention, [A, B, C]), [true, false, false]);
  });

  test("a pinned version stays, whatever the rules say, and a deletion in between keeps nothing itself", () => {
    const [pinned, deletion] = [entry("p", 40, "pinned"), entry("b", 15, "deleted")];
    assert.deepEqual(kept(keeping({ keepLast: 1 }), [A, deletion, B, pinned]), [true, false, false, true]);
  });

  test("a deleted tag keeps nothing, pinned or not, and is over at once", () => {
    const rules = new RetentionRules(null, TAG, NOW_MS);
    assert.equal(rules.isOver, false);
    assert.equal(rules.keeps(entry("a", 1, "deleted")), false);
    assert.equal(rules.isOver, true);
    assert.equal(rules.keeps(entry("a", 2, "pinned")), false);
  });
});

describe("expiry", () => {
  for (const [text, time] of [
    ["2026-12-31", "2027-01-01T00:00:00.000Z"],
    ["2026-02-28", "2026-03-01T00:00:00.000Z"],
    ["2026-12-31T10:00:00Z", "2026-12-31T10:00:00.000Z"],
    ["2026-12-31t10:00:00.5z", "2026-12-31T10:00:00.500Z"],
    ["2026-12-31 10:00:00+02:00", "2026-12-31T08:00:00.000Z"],
  ] as const) {
    test(`${text} is over at ${time}`, () => {
      assert.equal(new Date(parseExpiry(text) ?? 0).toISOString(), time);
    });
  }

  for (const text of ["", "soon", "30d", "2026", "2026-02-30", "2026-13-01", "2026-12-31T10:00:00", "1"]) {
    test(`"${text}" is no time`, () => {
      assert.equal(parseExpiry(text), undefined);
    });
  }

  test("a tag is expired from its time on, unless it is deleted, and never without a label that is a time", () => {
    const says = {
      labels: { expires: "2026-11-28T12:00:00Z" },
      state: "announced",
    } as unknown as HistoryRecord;
    assert.equal(isExpired(says, NOW_MS - 1), false);
    assert.equal(isExpired(says, NOW_MS), true);
    assert.equal(isExpired({ ...says, state: "deleted" }, NOW_MS), false);
    assert.equal(isExpired({ ...says, labels: { expires: "soon" } }, NOW_MS), false);
    assert.equal(isExpired({ ...says, labels: {} }, NOW_MS), false);
  });
});
