/** The end of a pull: what was staged goes to its place, folders get their attributes. */
import { must } from "../../base/assert.ts";
import type { DirectoryEntry } from "../../format/entry.ts";
import type { ReadEngine } from "../engine.ts";
import type { PathFilter } from "../path-filter.ts";
import type { FinishItem, PlaceItem } from "../workers/place-task.ts";
import type { Version } from "../version/version.ts";
import type { PullMemory } from "./pull-memory.ts";
import { isPast, select } from "./selection.ts";
import { stagedName } from "./staging.ts";
import { ACTIONS, type ActionList } from "./survey.ts";

/** What the last steps work on. */
export interface SettleInput {
  readonly engine: ReadEngine;
  readonly version: Version;
  readonly filter: PathFilter;
  readonly target: string;
  /** Whether folders that are not empty may make room for files. */
  readonly removesFolders: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Places what was deferred, in order. Errors: TARGET_UNWRITABLE, SPACE_EXHAUSTED. */
export async function placeDeferred(input: SettleInput, actions: ActionList): Promise<void> {
  const { engine, version, filter, target, removesFolders, signal } = input;
  let index = 0;
  for await (const batch of select(version, filter)) {
    const items: PlaceItem[] = [];
    for (const { entry } of batch) {
      const action = actions.at(index++);
      if (action === ACTIONS.keep || action === ACTIONS.make || action === ACTIONS.makePart) continue;
      const staged = entry.kind === "file" ? stagedName(entry) : undefined;
      items.push({ entry, action: action === ACTIONS.attributes ? "attributes" : "replace", staged });
    }
    if (items.length > 0) await engine.pool.run("placePaths", { target, items, removesFolders }, { signal });
  }
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
