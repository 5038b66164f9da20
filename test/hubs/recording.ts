/** What the actors of a run did, and what they saw. Times are milliseconds of one monotonic clock. */
import type { Digest } from "../../src/format/digest.ts";
import type { EventRecord, HistoryRecord } from "../../src/format/record.ts";

/** A call: who made it, when, and what came of it. */
interface Call {
  readonly actor: string;
  readonly beginMs: number;
  readonly endMs: number;
  /** Of a change that was not answered, nobody knows whether it was made: `unknown`. */
  readonly outcome: "ok" | "failed" | "unknown";
  /** Of what did not succeed, the error's code. */
  readonly code?: string;
}

/** A change of one tag. Each has an id of its own, which is its message in the history. */
export interface Change extends Call {
  readonly kind: "publish" | "point" | "rollback";
  readonly id: string;
  readonly tag: string;
  /** Of one that succeeded, the version. */
  readonly digest?: Digest;
}

/** A look at where a tag points. */
export interface Look extends Call {
  readonly tag: string;
  /** Of one that succeeded, the entry's number and version. */
  readonly number?: number;
  readonly digest?: Digest;
}

/** A version's files, read whole. */
export interface Reading extends Call {
  readonly digest: Digest;
  /** The id of the publish whose files these are; undefined when they are no publish's. */
  readonly content?: string;
}

/** What one watcher was told, in its order, over all the hubs that it asked; and the errors that made it ask again. */
export interface Watching {
  readonly actor: string;
  readonly first: number;
  readonly events: readonly EventRecord[];
  readonly codes: readonly string[];
}

/** A whole run. */
export interface Recording {
  readonly changes: readonly Change[];
  readonly looks: readonly Look[];
  readonly readings: readonly Reading[];
  readonly watchings: readonly Watching[];
}

/** What the store holds when all have ended. */
export interface FinalState {
  /** Each tag's history, in the order of numbers. */
  readonly histories: ReadonlyMap<string, readonly HistoryRecord[]>;
  readonly events: readonly EventRecord[];
}
