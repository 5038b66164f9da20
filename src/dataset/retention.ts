/** What of a tag's history stays, as a dataset's settings have it. Nothing here touches a store. docs/format.md §8.2 */
import type { Digest } from "../format/digest.ts";
import type { HistoryRecord, Retention } from "../format/record.ts";
import type { Tag } from "../format/reference.ts";
import { matchesPattern } from "./tag-pattern.ts";

/** What of a history entry says whether it stays. */
export type RetainedEntry = Pick<HistoryRecord, "state" | "digest" | "time">;

/** Whether a retention keeps everything: there is none, or no rule in it. */
export function keepsAll(retention: Retention | null): boolean {
  if (retention === null) return true;
  const { keepLast, keepWithinSeconds, keepTags } = retention;
  return keepLast === null && keepWithinSeconds === null && keepTags.length === 0;
}

/**
 * Decides about one tag's entries, which are given to it newest first, all of them. An entry stays when any rule keeps
 * it. Holds the digests of `keepLast` versions at most.
 */
export class RetentionRules {
  readonly #keepsAll: boolean;
  readonly #keepLast: number;
  /** Milliseconds since 1970; undefined: there is no window. */
  readonly #windowStartMs: number | undefined;
  readonly #newest = new Set<Digest>();
  /** Whether the entry that was given last points at nothing, since the tag is deleted; undefined: none was given yet. */
  #isDeleted: boolean | undefined;
  /** When the entry that was given last replaced the next one. */
  #replacedMs = Number.NEGATIVE_INFINITY;

  /** `nowMs`: the pruner's clock. */
  constructor(retention: Retention | null, tag: Tag, nowMs: number) {
    const { keepLast = null, keepWithinSeconds = null, keepTags = [] } = retention ?? {};
    this.#keepsAll = keepsAll(retention) || keepTags.some((pattern) => matchesPattern(pattern, tag));
    this.#keepLast = keepLast ?? 0;
    this.#windowStartMs = keepWithinSeconds === null ? undefined : nowMs - 1000 * keepWithinSeconds;
  }

  /** Whether everything stays while the tag is there. */
  get keepsAll(): boolean {
    return this.#keepsAll;
  }

  /** Whether no older entry stays, whatever it is, so that none need be read. */
  get isOver(): boolean {
    return this.#isDeleted === true;
  }

  /** Whether the next older entry stays: whether the version that it points at is needed for it. */
  keeps(entry: RetainedEntry): boolean {
    const isCurrent = this.#isDeleted === undefined;
    this.#isDeleted ??= entry.state === "deleted";
    const isRecent = this.#isRecent(entry.time);
    if (this.#isDeleted || entry.state === "deleted") return false;
    const isNew = this.#isNew(entry.digest);
    return isCurrent || this.#keepsAll || isNew || isRecent || entry.state === "pinned";
  }

  /** Whether the tag pointed at the version at a time within the window. Publishers' clocks may differ, so either end will do. */
  #isRecent(time: string): boolean {
    const timeMs = Date.parse(time);
    // What cannot be read as a time counts as now: rather too much is kept.
    const madeMs = Number.isNaN(timeMs) ? Number.POSITIVE_INFINITY : timeMs;
    const lastMs = Math.max(madeMs, this.#replacedMs);
    this.#replacedMs = madeMs;
    return this.#windowStartMs !== undefined && lastMs >= this.#windowStartMs;
  }

  #isNew(digest: Digest): boolean {
    if (this.#newest.size < this.#keepLast) this.#newest.add(digest);
    return this.#newest.has(digest);
  }
}

/** The label that says when a tag is to be removed. docs/format.md §8.3 */
export const EXPIRES_LABEL = "expires";

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * When a label's text says that a tag expires, in milliseconds since 1970: a time of RFC 3339, or a date, which is over when
 * that day in UTC is; undefined when it is neither.
 */
export function parseExpiry(text: string): number | undefined {
  if (DATE.test(text)) {
    const startMs = Date.parse(`${text}T00:00:00Z`);
    const isDay = !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(text);
    return isDay ? startMs + DAY_MS : undefined;
  }
  const timeMs = TIME.test(text) ? Date.parse(text.replace(" ", "T").toUpperCase()) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** Whether the tag whose newest entry this is points at a version and its time is over. */
export function isExpired({ state, labels }: HistoryRecord, nowMs: number): boolean {
  const text = Object.hasOwn(labels, EXPIRES_LABEL) ? labels[EXPIRES_LABEL] : undefined;
  if (state === "deleted" || text === undefined) return false;
  const expiryMs = parseExpiry(text);
  return expiryMs !== undefined && expiryMs <= nowMs;
}
