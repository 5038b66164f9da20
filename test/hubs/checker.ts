/** Whether what many hubs did together is what one would have done. docs/format.md §8.3, §8.4 */
import type { EventRecord, HistoryRecord } from "../../src/format/record.ts";
import type { Change, FinalState, Look, Recording } from "./recording.ts";

/** What a call may fail with when hubs are killed: asking again is right. */
const RETRYABLE: ReadonlySet<string> = new Set([
  "HUB_UNAVAILABLE",
  "STORE_UNAVAILABLE",
  "SESSION_LOST",
  "TAG_CONFLICT",
]);

/** Everything that is wrong, a line each; none: the run was as it must be. */
export function check(recording: Recording, state: FinalState): string[] {
  return [
    ...[...state.histories].flatMap(([tag, history]) => checkHistory(tag, history)),
    ...checkChanges(recording.changes, state),
    ...checkOrder(recording.changes, state),
    ...checkEvents(state),
    ...checkLooks(recording, state),
    ...checkReadings(recording, state),
    ...checkWatchings(recording, state),
    ...checkCodes(recording),
  ];
}

/** Numbers without holes; each entry names the version before it; a rollback went where it had to from there. */
function checkHistory(tag: string, history: readonly HistoryRecord[]): string[] {
  return history.flatMap((entry, index) => {
    const wrong: string[] = [];
    const where = `${tag}: entry ${index + 1}`;
    if (entry.number !== index + 1) wrong.push(`${where} has the number ${entry.number}`);
    if (entry.previous !== (history[index - 1]?.digest ?? null)) wrong.push(`${where} has another previous`);
    return wrong;
  });
}

/** What was acknowledged is there once; what was not, once at most; nothing else is there. */
function checkChanges(changes: readonly Change[], { histories }: FinalState): string[] {
  const wrong: string[] = [];
  for (const { id, tag, kind, outcome, digest, code } of changes) {
    const entries = (histories.get(tag) ?? []).filter(({ message }) => message === id);
    const many = `${tag}: ${kind} ${id} (${outcome}) is in the history ${entries.length} times`;
    if (entries.length > 1 || (outcome === "ok" && entries.length === 0)) wrong.push(many);
    if (outcome === "failed" && entries.length > 0 && code === "TAG_CONFLICT") wrong.push(many);
    const other = entries.find((entry) => digest !== undefined && entry.digest !== digest);
    if (other !== undefined) wrong.push(`${tag}: ${kind} ${id} was answered with another version`);
    if (kind === "rollback") wrong.push(...checkRollback(tag, entries, histories.get(tag) ?? []));
  }
  const asked = new Set(changes.map(({ id, tag }) => `${tag} ${id}`));
  for (const [tag, history] of histories) {
    for (const { number, message } of history) {
      if (!asked.has(`${tag} ${message}`)) wrong.push(`${tag}: nobody asked for entry ${number}`);
    }
  }
  return wrong;
}

/** Compare and set: it was decided by the entry right before it. */
function checkRollback(
  tag: string,
  entries: readonly HistoryRecord[],
  history: readonly HistoryRecord[],
): string[] {
  return entries.flatMap(({ number, digest }) => {
    const before = history.slice(0, number - 1);
    const expected = before.findLast((entry) => entry.digest !== before.at(-1)?.digest);
    return expected?.digest === digest ? [] : [`${tag}: rollback ${number} did not see entry ${number - 1}`];
  });
}

/** A change that began after another had been acknowledged comes after it. */
function checkOrder(changes: readonly Change[], { histories }: FinalState): string[] {
  const wrong: string[] = [];
  for (const [tag, history] of histories) {
    const done = changes.flatMap((change) => {
      const entry = history.find(({ message }) => change.tag === tag && message === change.id);
      return entry === undefined ? [] : [{ ...change, number: entry.number }];
    });
    for (const first of done.filter(({ outcome }) => outcome === "ok")) {
      for (const second of done) {
        if (first.endMs < second.beginMs && first.number > second.number) {
          wrong.push(`${tag}: ${second.id} came before ${first.id}, which had been acknowledged`);
        }
      }
    }
  }
  return wrong;
}

/** Sequences without holes; each entry of each history announced once, in order, as it is. */
function checkEvents({ histories, events }: FinalState): string[] {
  const wrong: string[] = [];
  for (const [index, { sequence }] of events.entries()) {
    if (sequence !== index + 1) wrong.push(`event ${index + 1} has the sequence ${sequence}`);
  }
  for (const [tag, history] of histories) {
    const said = events.filter((event) => event.tag === tag);
    if (said.length !== history.length) {
      wrong.push(`${tag}: ${said.length} events announce ${history.length} entries`);
    }
    for (const [index, event] of said.entries()) {
      const entry = history[index];
      if (entry === undefined || factsOf(entry) !== factsOf(event)) {
        wrong.push(`${tag}: event ${event.sequence} does not announce entry ${index + 1}`);
      }
    }
  }
  return wrong;
}

function factsOf({ number, digest, state, time }: HistoryRecord | EventRecord): string {
  return [number, digest, state, time].join(" ");
}

/**
 * A look sees an entry of the history; all that was acknowledged, and all that others saw, before it began; and nothing that was asked
 * for after it ended.
 */
function checkLooks({ looks, changes }: Recording, { histories }: FinalState): string[] {
  const wrong: string[] = [];
  const seen = looks.filter(({ outcome }) => outcome === "ok");
  for (const look of seen) {
    const { tag, number = 0, digest, actor } = look;
    const history = histories.get(tag) ?? [];
    const where = `${tag}: ${actor} saw entry ${number}`;
    if (history[number - 1]?.digest !== digest) wrong.push(`${where} with another version`);
    const floor = floorOf(look, seen, changes, history);
    if (number < floor) wrong.push(`${where} when entry ${floor} was there`);
    const cause = changes.find(({ id, tag: of }) => of === tag && id === history[number - 1]?.message);
    if (cause !== undefined && cause.beginMs > look.endMs) wrong.push(`${where} before it was asked for`);
  }
  return wrong;
}

/** The entry that a look must at least see. */
function floorOf(
  look: Look,
  looks: readonly Look[],
  changes: readonly Change[],
  history: readonly HistoryRecord[],
): number {
  const isBefore = (call: Look | Change): boolean => call.tag === look.tag && call.endMs < look.beginMs;
  const shown = looks.filter(isBefore).map(({ number = 0 }) => number);
  const acknowledged = changes
    .filter((change) => change.outcome === "ok" && isBefore(change))
    .map(({ id }) => history.find(({ message }) => message === id)?.number ?? 0);
  return Math.max(0, ...shown, ...acknowledged);
}

/** A version's files are those of the publish that made it. */
function checkReadings({ readings, changes }: Recording, { histories }: FinalState): string[] {
  const made = new Map<string, string>();
  const publishes = new Set(changes.filter(({ kind }) => kind === "publish").map(({ id }) => id));
  for (const { digest, message } of [...histories.values()].flat()) {
    if (publishes.has(message)) made.set(digest, message);
  }
  return readings.flatMap(({ actor, digest, content, outcome }) =>
    outcome !== "ok" || (content !== undefined && made.get(digest) === content)
      ? []
      : [
          `${actor} read ${content ?? "what nobody published"} in a version of ${made.get(digest) ?? "nobody"}`,
        ],
  );
}

/** A watcher is told every event once, in order, as it is in the store. */
function checkWatchings({ watchings }: Recording, { events }: FinalState): string[] {
  return watchings.flatMap(({ actor, first, events: told }) => {
    const text = (event: EventRecord | undefined): string => JSON.stringify(event);
    const expected = events.slice(first - 1);
    const index = Array.from({ length: Math.max(expected.length, told.length) }, (_, at) => at).find(
      (at) => text(told[at]) !== text(expected[at]),
    );
    if (index === undefined) return [];
    return [`${actor} was told ${text(told[index])} in place of ${text(expected[index])}`];
  });
}

/** Nobody saw an error that would be the same when asked again. */
function checkCodes({ changes, looks, readings, watchings }: Recording): string[] {
  const codes = [
    ...[...changes, ...looks, ...readings].flatMap(({ actor, code }) =>
      code === undefined ? [] : [{ actor, code }],
    ),
    ...watchings.flatMap(({ actor, codes: of }) => of.map((code) => ({ actor, code }))),
  ];
  return codes
    .filter(({ code }) => !RETRYABLE.has(code))
    .map(({ actor, code }) => `${actor} was answered with ${code}`);
}
