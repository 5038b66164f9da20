/** The entries that a pull is about. */
import { must } from "../../base/assert.ts";
import type { PathFilter } from "../path-filter.ts";
import { entries, type PlacedEntry } from "../version/entries.ts";
import type { Version } from "../version/version.ts";

/**
 * The entries that the filter chooses and the folders above them, in batches. Files and symlinks ascend by path; a
 * folder comes before what lies in it, but one that is only above a chosen path may come late. The same filter and
 * version give the same sequence. Errors: those of entries().
 */
export async function* select(version: Version, filter: PathFilter): AsyncGenerator<PlacedEntry[]> {
  /** Folders not chosen themselves in which something may yet be, each an ancestor or a prefix of the next. */
  const waiting: PlacedEntry[] = [];
  for await (const batch of entries(version)) {
    if (filter.passesAll) {
      yield batch;
      continue;
    }
    const chosen: PlacedEntry[] = [];
    for (const placed of batch) {
      const { path, kind } = placed.entry;
      while (waiting.length > 0 && isPast(must(waiting.at(-1), "it is not empty").entry.path, path))
        waiting.pop();
      if (filter.isIncluded(path, kind === "directory")) {
        chosen.push(...takeAncestors(waiting, path), placed);
      } else if (kind === "directory" && !filter.isExcluded(path, true)) waiting.push(placed);
    }
    if (chosen.length > 0) yield chosen;
  }
}

/** Whether no path below `folder` can come at or after `path`: "a/x" comes after "a-b", so that a prefix may wait. */
export function isPast(folder: string, path: string): boolean {
  return !path.startsWith(folder) || (path.length > folder.length && path.charCodeAt(folder.length) > 0x2f);
}

function takeAncestors(waiting: PlacedEntry[], path: string): PlacedEntry[] {
  const taken = waiting.filter(({ entry }) => path.startsWith(`${entry.path}/`));
  if (taken.length > 0) {
    const rest = waiting.filter((placed) => !taken.includes(placed));
    waiting.splice(0, waiting.length, ...rest);
  }
  return taken;
}
