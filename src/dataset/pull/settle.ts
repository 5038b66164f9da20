/** The end of a pull: what was staged goes to its place, what does not belong goes, folders get their attributes. */
import { must } from "../../base/assert.ts";
import type { DirectoryEntry } from "../../format/entry.ts";
import type { Engine } from "../engine.ts";
import type { PathFilter } from "../path-filter.ts";
import type { FinishItem, PlaceItem } from "../workers/place-task.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";
import type { PullMemory } from "./pull-memory.ts";
import { isPast, select } from "./selection.ts";
import { STAGING_NAME, stagedName } from "./staging.ts";
import { ACTIONS, type ActionList } from "./survey.ts";

/** What the last steps work on. */
export interface SettleInput {
  readonly engine: Engine;
  readonly version: Version;
  readonly filter: PathFilter;
  readonly target: string;
  readonly signal: AbortSignal | undefined;
}

/** Places what was deferred, in order. Errors: TARGET_UNWRITABLE, SPACE_EXHAUSTED. */
export async function placeDeferred(input: SettleInput, actions: ActionList): Promise<void> {
  const { engine, version, filter, target, signal } = input;
  let index = 0;
  for await (const batch of select(version, filter)) {
    const items: PlaceItem[] = [];
    for (const { entry } of batch) {
      const action = actions.at(index++);
      if (action === ACTIONS.keep || action === ACTIONS.make || action === ACTIONS.makePart) continue;
      const staged = entry.kind === "file" ? stagedName(entry) : undefined;
      items.push({ entry, action: action === ACTIONS.attributes ? "attributes" : "replace", staged });
    }
    if (items.length > 0) await engine.pool.run("placePaths", { target, items }, { signal });
  }
}

/** A folder of the version that may still get entries, and the names that it has so far. */
interface OpenFolder {
  readonly path: string;
  readonly names: Set<string>;
}

/** Removes what the filter chooses and the version does not have. Errors: TARGET_UNWRITABLE. */
export async function removeStrangers(input: SettleInput): Promise<void> {
  const open: OpenFolder[] = [{ path: "", names: new Set([STAGING_NAME]) }];
  for await (const batch of entries(input.version)) {
    for (const { entry } of batch) {
      while (open.length > 1 && isPast(must(open.at(-1), "not empty").path, entry.path)) {
        await removeIn(input, must(open.pop(), "not empty"));
      }
      const slash = entry.path.lastIndexOf("/");
      const parent = entry.path.slice(0, Math.max(slash, 0));
      must(
        open.findLast((folder) => folder.path === parent),
        "its parent came before",
      ).names.add(entry.path.slice(slash + 1));
      if (entry.kind === "directory") open.push({ path: entry.path, names: new Set() });
    }
  }
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) await removeIn(input, folder);
}

async function removeIn({ engine, filter, target, signal }: SettleInput, folder: OpenFolder): Promise<void> {
  const input = { target, folder: folder.path, names: folder.names };
  const strangers = await engine.pool.run("listStrangers", input, { signal });
  const paths = strangers
    .map(({ name, isDirectory }) => ({
      path: folder.path === "" ? name : `${folder.path}/${name}`,
      isDirectory,
    }))
    .filter(({ path, isDirectory }) => filter.isIncluded(path, isDirectory))
    .map(({ path }) => path);
  if (paths.length > 0) await engine.pool.run("removePaths", { target, paths }, { signal });
}

/** Gives folders their mode and time, those inside first, and remembers what the files look like. */
export async function finishFolder(input: SettleInput, memory: PullMemory): Promise<void> {
  const { engine, version, filter, target, signal } = input;
  const records = memory.writeRecords();
  const finish = async (items: readonly FinishItem[]): Promise<void> => {
    const task = { target, items, nowMs: engine.clock.nowMs() };
    for (const record of await engine.pool.run("finishPaths", task, { signal })) records?.add(record);
  };
  try {
    const open: DirectoryEntry[] = [];
    for await (const batch of select(version, filter)) {
      const items: FinishItem[] = [];
      for (const { entry } of batch) {
        while (open.length > 0 && isPast(must(open.at(-1), "not empty").path, entry.path)) {
          items.push(must(open.pop(), "not empty"));
        }
        if (entry.kind === "directory") open.push(entry);
        else if (entry.kind === "file") items.push(entry);
      }
      await finish(items);
    }
    await finish(open.reverse());
    records?.commit(version.digest);
  } finally {
    records?.close();
  }
}
