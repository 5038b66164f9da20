/** What lies in a pull's target and is not of the version. */
import { must } from "../../base/assert.ts";
import type { ReadEngine } from "../engine.ts";
import type { PathFilter } from "../path-filter.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";
import { isPast } from "./selection.ts";
import { foldName, STAGING_NAME } from "./staging.ts";

/** Where to look, and what may go. */
export interface StrangersInput {
  readonly engine: ReadEngine;
  readonly version: Version;
  readonly filter: PathFilter;
  readonly target: string;
  readonly ignoresCase: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A folder of the version that may still get entries, and the names that it has so far. */
interface OpenFolder {
  readonly path: string;
  readonly names: Set<string>;
}

/**
 * Removes what the filter chooses and the version does not have; a folder that holds anything else stays. Nothing is
 * removed through a symlink. Errors: TARGET_UNWRITABLE.
 */
export async function removeStrangers(input: StrangersInput): Promise<void> {
  const { version, ignoresCase } = input;
  const open: OpenFolder[] = [{ path: "", names: new Set([STAGING_NAME]) }];
  for await (const batch of entries(version)) {
    for (const { entry } of batch) {
      while (open.length > 1 && isPast(must(open.at(-1), "not empty").path, entry.path)) {
        await removeIn(input, must(open.pop(), "not empty"));
      }
      const slash = entry.path.lastIndexOf("/");
      const parent = entry.path.slice(0, Math.max(slash, 0));
      must(
        open.findLast((folder) => folder.path === parent),
        "its parent came before",
      ).names.add(foldName(entry.path.slice(slash + 1), ignoresCase));
      if (entry.kind === "directory") open.push({ path: entry.path, names: new Set() });
    }
  }
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) await removeIn(input, folder);
}

/** Whether the folder is empty now. The depth of what lies on a disk is bounded by the length of its paths. */
async function removeIn(input: StrangersInput, folder: OpenFolder): Promise<boolean> {
  const { engine, filter, target, ignoresCase, signal } = input;
  const task = { target, folder: folder.path, names: folder.names, ignoresCase };
  const strangers = await engine.pool.run("listStrangers", task, { signal });
  const paths: string[] = [];
  for (const { name, isDirectory } of strangers) {
    const path = folder.path === "" ? name : `${folder.path}/${name}`;
    if (filter.isExcluded(path, isDirectory)) continue;
    const mustLook = isDirectory && !filter.passesAll;
    if (mustLook && !(await removeIn(input, { path, names: new Set() }))) continue;
    if (filter.isIncluded(path, isDirectory)) paths.push(path);
  }
  if (paths.length > 0) await engine.pool.run("removePaths", { target, paths }, { signal });
  return folder.names.size === 0 && paths.length === strangers.length;
}
