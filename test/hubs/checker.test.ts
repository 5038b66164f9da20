/** The checker of runs with many hubs: recordings made by hand, each with one thing wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf, type Digest } from "../../src/format/digest.ts";
import type { EventRecord, HistoryRecord } from "../../src/format/record.ts";
import { parseTag } from "../../src/format/reference.ts";
import { check } from "./checker.ts";
import type { Change, FinalState, Look, Reading, Recording } from "./recording.ts";

const TAG = parseTag("latest");

function versionOf(id: string): Digest {
  return digestOf(Buffer.from(id));
}

/** The history of these changes: an id with a `<` goes back to the version of what stands behind it. */
function historyOf(ids: readonly string[]): HistoryRecord[] {
  const digestAt = (index: number): Digest => versionOf(ids[index]?.split("<")[1] ?? ids[index] ?? "");
  return ids.map((id, index) => ({
    number: index + 1,
    state: "announced",
    digest: digestAt(index),
    previous: index === 0 ? null : digestAt(index - 1),
    time: `2026-01-01T00:00:0${index}.000Z`,
    publisher: "",
    message: id.split("<")[0] ?? "",
    labels: {},
    writeId: "0".repeat(32),
    files: 1,
    bytes: 1,
  }));
}

function eventsOf(history: readonly HistoryRecord[]): EventRecord[] {
  return history.map(({ number, state, digest, time }) => {
    return { sequence: number, kind: "tag", tag: TAG, number, state, digest, time };
  });
}

function changeOf(id: string, beginMs: number, rest: Partial<Change> = {}): Change {
  const digest = rest.outcome === undefined ? { digest: versionOf(id) } : {};
  const call = { actor: "publisher", beginMs, endMs: beginMs + 1, outcome: "ok" } as const;
  return { ...call, kind: "publish", id, tag: TAG, ...digest, ...rest };
}

function lookAt(number: number, id: string, beginMs: number): Look {
  const call = { actor: "reader", beginMs, endMs: beginMs + 1, outcome: "ok" } as const;
  return { ...call, tag: TAG, number, digest: versionOf(id) };
}

/** A run of three publishes and a rollback, with nothing wrong. */
function soundRun(): { recording: Recording; state: FinalState } {
  const history = historyOf(["a", "b", "c", "back<b"]);
  const events = eventsOf(history);
  const digest = versionOf("b");
  return {
    recording: {
      changes: [
        changeOf("a", 0),
        changeOf("b", 10, { outcome: "unknown", code: "HUB_UNAVAILABLE" }),
        changeOf("c", 20),
        { ...changeOf("back", 30, { kind: "rollback" }), digest },
        changeOf("lost", 30, { outcome: "unknown", code: "SESSION_LOST" }),
      ],
      looks: [lookAt(1, "a", 5), lookAt(2, "b", 10.5), lookAt(3, "c", 25), lookAt(4, "b", 40)],
      readings: [
        { actor: "reader", beginMs: 5, endMs: 6, outcome: "ok", digest: versionOf("a"), content: "a" },
      ],
      watchings: [
        { actor: "watcher", first: 1, events, codes: ["HUB_UNAVAILABLE"] },
        { actor: "late", first: 3, events: events.slice(2), codes: [] },
      ],
    },
    state: { histories: new Map([[TAG, history]]), events },
  };
}

type Run = ReturnType<typeof soundRun>;

/** The run with another history, and the events that it has. */
function withHistory({ recording, state }: Run, history: readonly HistoryRecord[]): Run {
  const events = eventsOf(history);
  const watchings = recording.watchings.map((each) => ({ ...each, events: events.slice(each.first - 1) }));
  return {
    recording: { ...recording, watchings },
    state: { ...state, histories: new Map([[TAG, history]]), events },
  };
}

function withChange({ recording, state }: Run, index: number, rest: Partial<Change>): Run {
  const changes = recording.changes.map((change, at) => (at === index ? { ...change, ...rest } : change));
  return { recording: { ...recording, changes }, state };
}

function withLook({ recording, state }: Run, look: Look): Run {
  return { recording: { ...recording, looks: [...recording.looks, look] }, state };
}

function withEvents({ recording, state }: Run, told: (events: readonly EventRecord[]) => EventRecord[]): Run {
  const watchings = recording.watchings.map((each) => ({ ...each, events: told(each.events) }));
  return { recording: { ...recording, watchings }, state };
}

/** What is wrong with a run, by what is said of it. */
const FAULTS: readonly (readonly [string, (run: Run) => Run, RegExp])[] = [
  [
    "a hole in the numbers",
    (run) =>
      withHistory(
        run,
        historyOf(["a", "b", "c", "back<b"]).filter(({ number }) => number !== 2),
      ),
    /entry 2 has the number 3/,
  ],
  [
    "an entry that follows another than the one before it",
    (run) =>
      withHistory(
        run,
        historyOf(["a", "b", "c", "back<b"]).map((entry) =>
          entry.number === 3 ? { ...entry, previous: versionOf("a") } : entry,
        ),
      ),
    /entry 3 has another previous/,
  ],
  [
    "an acknowledged publish that is lost",
    (run) => withHistory(run, historyOf(["a", "b", "back<a"])),
    /publish c \(ok\) is in the history 0 times/,
  ],
  [
    "an acknowledged publish that is there twice",
    (run) => withHistory(run, historyOf(["a", "c", "b", "c", "back<b"])),
    /publish c \(ok\) is in the history 2 times/,
  ],
  [
    "a publish without an answer that is there twice",
    (run) => withHistory(run, historyOf(["a", "b", "c", "b", "back<c"])),
    /publish b \(unknown\) is in the history 2 times/,
  ],
  [
    "a change that was refused and made",
    (run) => withChange(run, 3, { outcome: "failed", code: "TAG_CONFLICT" }),
    /rollback back \(failed\) is in the history 1 times/,
  ],
  [
    "a change that nobody asked for",
    (run) => withHistory(run, historyOf(["a", "b", "c", "back<b", "whose"])),
    /nobody asked for entry 5/,
  ],
  [
    "an answer that names another version",
    (run) => withChange(run, 2, { digest: versionOf("x") }),
    /publish c was answered with another version/,
  ],
  [
    "a rollback that was decided by an older state",
    (run) => withHistory(run, historyOf(["a", "b", "c", "back<a"])),
    /rollback 4 did not see entry 3/,
  ],
  [
    "a change that came before one acknowledged earlier",
    (run) => withChange(withChange(run, 0, { beginMs: 21, endMs: 22 }), 2, { beginMs: 3, endMs: 4 }),
    /a came before c, which had been acknowledged/,
  ],
  [
    "an event that is lost",
    ({ recording, state }) => ({ recording, state: { ...state, events: state.events.slice(0, 3) } }),
    /3 events announce 4 entries/,
  ],
  [
    "an event that is doubled",
    ({ recording, state }) => {
      const events = [...state.events, { ...state.events[1], sequence: 5 } as EventRecord];
      return { recording, state: { ...state, events } };
    },
    /5 events announce 4 entries/,
  ],
  [
    "events out of the order of the entries",
    ({ recording, state }) => {
      const [one, two, ...rest] = state.events as [EventRecord, EventRecord];
      const events = [{ ...two, sequence: 1 }, { ...one, sequence: 2 }, ...rest];
      return { recording, state: { ...state, events } };
    },
    /event 1 does not announce entry 1/,
  ],
  [
    "a look that misses what was acknowledged before it",
    (run) => withLook(run, lookAt(2, "b", 28)),
    /saw entry 2 when entry 3 was there/,
  ],
  [
    "a look that goes back behind another's",
    (run) => withLook(withChange(run, 2, { outcome: "unknown" }), lookAt(2, "b", 28)),
    /saw entry 2 when entry 3 was there/,
  ],
  ["a look at what is no entry", (run) => withLook(run, lookAt(9, "b", 50)), /entry 9 with another version/],
  [
    "a look that sees what was not asked for yet",
    (run) => withLook(run, lookAt(3, "c", 12)),
    /saw entry 3 before it was asked for/,
  ],
  [
    "files of another version",
    ({ recording, state }) => {
      const readings = recording.readings.map((each) => ({ ...each, content: "b" }));
      return { recording: { ...recording, readings }, state };
    },
    /read b in a version of a/,
  ],
  [
    "files that nobody published",
    ({ recording, state }) => {
      const [reading] = recording.readings;
      assert.ok(reading !== undefined);
      const rest = Object.fromEntries(Object.entries(reading).filter(([key]) => key !== "content"));
      return { recording: { ...recording, readings: [rest as unknown as Reading] }, state };
    },
    /read what nobody published/,
  ],
  [
    "a watcher that misses an event",
    (run) => withEvents(run, (events) => events.filter(({ sequence }) => sequence !== 3)),
    /watcher was told .*"sequence":4.* in place of .*"sequence":3/,
  ],
  [
    "a watcher that is told an event twice",
    (run) => withEvents(run, (events) => events.flatMap((event) => [event, event])),
    /watcher was told .*"sequence":1.* in place of .*"sequence":2/,
  ],
  [
    "a watcher that is told the last event in no way",
    (run) => withEvents(run, (events) => events.slice(0, -1)),
    /watcher was told undefined in place of .*"sequence":4/,
  ],
  [
    "an error that would be the same when asked again",
    (run) => withChange(run, 1, { code: "OBJECT_MISSING" }),
    /publisher was answered with OBJECT_MISSING/,
  ],
];

describe("the checker of runs with many hubs", () => {
  it("of a sound run, finds nothing wrong", () => {
    const { recording, state } = soundRun();
    assert.deepEqual(check(recording, state), []);
  });

  for (const [title, spoil, finding] of FAULTS) {
    it(`finds ${title}`, () => {
      const { recording, state } = spoil(soundRun());
      const wrong = check(recording, state);
      assert.ok(
        wrong.some((line) => finding.test(line)),
        wrong.join("\n") || "nothing was found",
      );
    });
  }
});
