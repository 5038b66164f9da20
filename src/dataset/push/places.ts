/** A source must not hold what changes while it is pushed. */
import { realpath } from "node:fs/promises";
import { relative, resolve, sep } from "node:path";
import { AetherError } from "../../base/errors.ts";
import type { PushOptions } from "../contract.ts";
import type { PushEngine } from "../engine.ts";
import { createPathFilter } from "../path-filter.ts";

/**
 * Refuses a source that lies in the store, or that holds the store or the cache folder and does not exclude it: a push would
 * read what it writes. Errors: ARGUMENT_INVALID.
 */
export async function checkPlaces(engine: PushEngine, options: PushOptions): Promise<void> {
  const source = await resolved(options.source);
  const storeFolder = engine.ingest.folder;
  if (storeFolder !== undefined && pathBelow(await resolved(storeFolder), source) !== undefined) {
    throw new AetherError("ARGUMENT_INVALID", "the source lies in the store that it is pushed to");
  }
  const filter = createPathFilter({ exclude: options.exclude });
  for (const [what, folder] of [
    ["the store that it is pushed to", storeFolder],
    ["the cache folder, which a push writes", engine.cacheDir],
  ] as const) {
    const path = folder === undefined ? undefined : pathBelow(source, await resolved(folder));
    if (path === undefined || (path !== "" && filter.isExcluded(path, true))) continue;
    const remedy =
      path === "" ? "push another folder" : `exclude ${JSON.stringify(path)}, or keep it elsewhere`;
    throw new AetherError("ARGUMENT_INVALID", `the source holds ${what}: ${remedy}`);
  }
}

/** The path, absolute and without symlinks as far as something is there. */
async function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** `path` relative to `folder`, "" when it is the folder itself; undefined when it does not lie in it. */
function pathBelow(folder: string, path: string): string | undefined {
  const below = relative(folder, path);
  return below === ".." || below.startsWith(`..${sep}`) ? undefined : below;
}
