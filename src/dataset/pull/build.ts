/** Makes what is not there: folders and symlinks at once, files through the unit writer. */
import fs from "node:fs";
import path from "node:path";
import type { Entry } from "../../format/entry.ts";
import type { PathFilter } from "../path-filter.ts";
import type { Version } from "../version/version.ts";
import { setLinkTime } from "./file-times.ts";
import { select } from "./selection.ts";
import { ACTIONS, type Action, type ActionList } from "./survey.ts";
import { targetError } from "./target-errors.ts";
import type { FileToBuild, UnitWriter } from "./unit-writer.ts";

/** What building works on. */
export interface BuildInput {
  readonly version: Version;
  readonly filter: PathFilter;
  readonly actions: ActionList;
  readonly target: string;
  readonly writer: UnitWriter;
  readonly signal: AbortSignal | undefined;
}

/** Builds all that the actions say is to be made or staged. Errors: those of UnitWriter; TARGET_UNWRITABLE, SPACE_EXHAUSTED. */
export async function build(input: BuildInput): Promise<void> {
  const { version, filter, actions, target, writer, signal } = input;
  let index = 0;
  try {
    for await (const batch of select(version, filter)) {
      signal?.throwIfAborted();
      const files: FileToBuild[] = [];
      for (const { entry, start } of batch) {
        const action = actions.at(index++);
        if (entry.kind !== "file") makePath(target, entry, action);
        else if (isBuilt(action)) {
          const isPlaced = action === ACTIONS.make || action === ACTIONS.makePart;
          const hasPart = action === ACTIONS.makePart || action === ACTIONS.replacePart;
          files.push({ entry, start, isPlaced, hasPart });
        }
      }
      await writer.add(files);
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
}

function isBuilt(action: Action): boolean {
  return action !== ACTIONS.keep && action !== ACTIONS.attributes && action !== ACTIONS.staged;
}

function makePath(target: string, entry: Entry, action: Action): void {
  const place = path.join(target, entry.path);
  try {
    if (entry.kind === "directory" && action === ACTIONS.make)
      fs.mkdirSync(place, { mode: entry.mode | 0o700 });
    else if (entry.kind === "directory" && action === ACTIONS.keep) makeUsable(place);
    else if (entry.kind === "symlink" && action === ACTIONS.make) {
      fs.symlinkSync(entry.target, place);
      setLinkTime(place, entry.mtime);
    }
  } catch (error) {
    throw targetError(error, entry.path);
  }
}

/** A folder that its owner may not write gets its mode back at the end. */
function makeUsable(folder: string): void {
  const { mode } = fs.lstatSync(folder);
  if ((mode & 0o700) !== 0o700) fs.chmodSync(folder, (mode & 0o7777) | 0o700);
}
