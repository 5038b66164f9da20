/** Compares the version with the folder before anything is written: what is to do with each entry. */
import { AetherError, codeOf } from "../../base/errors.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import type { Digest } from "../../format/digest.ts";
import { unsafe, type Entry } from "../../format/entry.ts";
import type { ReadEngine } from "../engine.ts";
import type { PathFilter } from "../path-filter.ts";
import { PATH_STATES, type InspectItem, type Inspection } from "../workers/inspect-task.ts";
import { entries, type PlacedEntry } from "../version/entries.ts";
import { mapAhead } from "../version/read-ahead.ts";
import type { Version } from "../version/version.ts";
import type { PullMemory } from "./pull-memory.ts";
import { select } from "./selection.ts";
import { foldName, STAGING_NAME, stagedName, type Staging } from "./staging.ts";

/**
 * What a pull does with an entry: nothing; set mode and time; make it where nothing is; put it in place of something at
 * the end; the same for a file that an earlier pull gathered whole, or of which it left a part.
 */
export const ACTIONS = {
  keep: 0,
  attributes: 1,
  make: 2,
  replace: 3,
  staged: 4,
  makePart: 5,
  replacePart: 6,
} as const;
export type Action = (typeof ACTIONS)[keyof typeof ACTIONS];

/** Paths that the survey remembers at most, to find chunks in their files. */
const PATHS_MAX = 131_072;
/** Batches of entries looked at side by side. */
const BATCHES_AHEAD = 4;

/** One action for each selected entry, in their order: a byte each. */
export class ActionList {
  #bytes = new Uint8Array(4096);
  #length = 0;

  push(action: Action): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = action;
  }

  at(index: number): Action {
    return (this.#bytes[index] ?? ACTIONS.keep) as Action;
  }
}

/** What the survey found. */
export interface Survey {
  readonly actions: ActionList;
  files: number;
  bytes: number;
  /** Files that need not be built, and their bytes. */
  readyFiles: number;
  readyBytes: number;
  /** Whether anything is placed at the end. */
  hasDeferred: boolean;
  /** Whether any file is built. */
  hasBuilds: boolean;
  /** Files that are there with other content. */
  readonly changed: Set<string>;
  /** Those of them whose content nobody knows. */
  readonly unknown: { readonly path: string; readonly bytes: number }[];
}

/** What a survey compares. */
export interface SurveyInput {
  readonly engine: ReadEngine;
  readonly version: Version;
  readonly filter: PathFilter;
  readonly staging: Staging;
  readonly memory: PullMemory;
  readonly old: Version | undefined;
  /** Whether folders that are not empty may make room for files. */
  readonly removesFolders: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onEntries: (files: number, bytes: number) => void;
}

/** Surveys all selected entries. Errors: MANIFEST_UNSAFE, TARGET_UNWRITABLE; those of reading the version. */
export async function survey(input: SurveyInput): Promise<Survey> {
  const found: Survey = {
    actions: new ActionList(),
    files: 0,
    bytes: 0,
    readyFiles: 0,
    readyBytes: 0,
    hasDeferred: false,
    hasBuilds: false,
    changed: new Set(),
    unknown: [],
  };
  const checkName = nameCheck(input.staging.ignoresCase);
  const decider = new Decider(found, input.removesFolders);
  for await (const { batch, inspections } of inspected(input)) {
    input.signal?.throwIfAborted();
    for (const [index, { entry }] of batch.entries()) {
      checkName(entry.path);
      decider.decide(entry, inspections[index] ?? ABSENT);
    }
    input.onEntries(found.files, found.bytes);
  }
  return found;
}

const ABSENT: Inspection = { state: PATH_STATES.absent, unknownBytes: 0, staged: "none" };

async function* inspected(
  input: SurveyInput,
): AsyncGenerator<{ readonly batch: readonly PlacedEntry[]; readonly inspections: readonly Inspection[] }> {
  const { engine, version, filter, staging, memory, old, signal } = input;
  const batches = select(version, filter);
  if (staging.isFresh) {
    for await (const batch of batches) yield { batch, inspections: [] };
    return;
  }
  const records = memory.openRecords(old);
  const digests = new OldDigests(old);
  async function* items(): AsyncGenerator<{ batch: readonly PlacedEntry[]; items: InspectItem[] }> {
    for await (const batch of batches) {
      const wanted: InspectItem[] = [];
      for (const { entry } of batch) {
        const isFile = entry.kind === "file";
        const recordDigest = isFile ? await digests.find(entry.path) : undefined;
        const record = recordDigest === undefined ? undefined : records.find(entry.path);
        wanted.push({ entry, record, recordDigest, staged: isFile ? stagedName(entry) : undefined });
      }
      yield { batch, items: wanted };
    }
  }
  try {
    yield* mapAhead(items(), BATCHES_AHEAD, async (wanted) => {
      const task = { target: staging.target, items: wanted.items };
      return { batch: wanted.batch, inspections: await engine.pool.run("inspectPaths", task, { signal }) };
    });
  } finally {
    records.close();
  }
}

/** Turns what was found at each path into an action. Paths come in the order of the selection. */
class Decider {
  readonly #found: Survey;
  readonly #removesFolders: boolean;
  /** Folders of the version where something else is now: nothing below them can be there, or be made at once. */
  readonly #blocked = new Set<string>();

  constructor(found: Survey, removesFolders: boolean) {
    this.#found = found;
    this.#removesFolders = removesFolders;
  }

  decide(entry: Entry, inspection: Inspection): void {
    const parent = entry.path.slice(0, Math.max(entry.path.lastIndexOf("/"), 0));
    const isBlocked = this.#blocked.has(parent);
    const { state, staged } = isBlocked
      ? { state: PATH_STATES.differs, staged: inspection.staged }
      : inspection;
    if (state === PATH_STATES.obstructed && !this.#removesFolders) {
      throw new AetherError(
        "TARGET_UNWRITABLE",
        `the folder ${JSON.stringify(entry.path)} is not empty, and the version has a ${entry.kind} there: move it away, or let the pull delete`,
        { data: { path: entry.path } },
      );
    }
    const action = actionOf(entry, state, staged);
    if (entry.kind === "directory" && action === ACTIONS.replace) this.#blocked.add(entry.path);
    this.#count(entry, action, isBlocked ? 0 : inspection.unknownBytes);
  }

  #count(entry: Entry, action: Action, unknownBytes: number): void {
    const found = this.#found;
    found.actions.push(action);
    found.hasDeferred ||= action !== ACTIONS.keep && action !== ACTIONS.make && action !== ACTIONS.makePart;
    if (entry.kind !== "file") return;
    found.files++;
    found.bytes += entry.size;
    if (action === ACTIONS.keep || action === ACTIONS.attributes || action === ACTIONS.staged) {
      found.readyFiles++;
      found.readyBytes += entry.size;
      return;
    }
    found.hasBuilds = true;
    if (action === ACTIONS.make || found.changed.size >= PATHS_MAX) return;
    found.changed.add(entry.path);
    if (unknownBytes > 0) found.unknown.push({ path: entry.path, bytes: unknownBytes });
  }
}

function actionOf(entry: Entry, state: Inspection["state"], staged: Inspection["staged"]): Action {
  if (state === PATH_STATES.same) return ACTIONS.keep;
  // Folders get theirs at the very end.
  if (state === PATH_STATES.attributes) return entry.kind === "directory" ? ACTIONS.keep : ACTIONS.attributes;
  if (staged === "whole") return ACTIONS.staged;
  if (state === PATH_STATES.absent) return staged === "part" ? ACTIONS.makePart : ACTIONS.make;
  return staged === "part" ? ACTIONS.replacePart : ACTIONS.replace;
}

/** Refuses the staging folder's own name, and, where case does not count, a path that another would overwrite. */
function nameCheck(ignoresCase: boolean): (path: string) => void {
  const seen = new Set<string>();
  return (path) => {
    if (foldName(path.split("/", 1)[0] ?? "", ignoresCase) === STAGING_NAME)
      throw unsafe(path, "a pull works under that name");
    if (!ignoresCase) return;
    const folded = foldName(path, ignoresCase);
    if (seen.has(folded))
      throw unsafe(path, "it differs from another only in case, and the target ignores case");
    seen.add(folded);
  };
}

/** The digests of the old version's files, asked for in ascending order of path. */
class OldDigests {
  readonly #batches: AsyncGenerator<PlacedEntry[]> | undefined;
  #batch: readonly PlacedEntry[] = [];
  #index = 0;

  constructor(old: Version | undefined) {
    this.#batches = old === undefined ? undefined : entries(old);
  }

  async find(path: string): Promise<Digest | undefined> {
    for (;;) {
      const next = this.#batch[this.#index]?.entry;
      if (next === undefined) {
        if (!(await this.#advance())) return undefined;
        continue;
      }
      const order = compareUtf8(next.path, path);
      if (order > 0) return undefined;
      this.#index++;
      if (order === 0) return next.kind === "file" ? next.digest : undefined;
    }
  }

  /** A page that is not at hand ends the old version: it is a hint. */
  async #advance(): Promise<boolean> {
    try {
      const next = await this.#batches?.next();
      this.#batch = next?.done === false ? next.value : [];
    } catch (error) {
      if (codeOf(error) === "INTERNAL" || codeOf(error) === "CANCELLED") throw error;
      this.#batch = [];
    }
    this.#index = 0;
    return this.#batch.length > 0;
  }
}
