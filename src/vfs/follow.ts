import { posix } from "node:path";
import type { ByteRange } from "../base/byte-range.ts";
import { AetherError } from "../base/errors.ts";
import { findEntry, type PlacedEntry } from "../dataset/version/entries.ts";
import type { Version } from "../dataset/version/version.ts";

/** Symbolic links that one path may lead through, as Linux has it. */
const LINKS_MAX = 40;

/**
 * The entry at `path`, through symbolic links of the version; undefined is its top. A link that leads out of the version,
 * or nowhere, or in circles, leads to nothing. `soon` is as in findEntry. Errors: PATH_NOT_FOUND; those of PageSource.load.
 */
export async function findFollowing(
  version: Version,
  path: string,
  soon?: ByteRange,
): Promise<PlacedEntry | undefined> {
  let at = path;
  for (let links = 0; links <= LINKS_MAX; links++) {
    if (at === "") return undefined;
    const found = await findEntry(version, at, soon);
    if (found !== undefined && found.entry.kind !== "symlink") return found;
    const link = found ?? (await linkAbove(version, at));
    if (link?.entry.kind !== "symlink") throw nothing(path);
    const { entry } = link;
    const led = posix.normalize(
      posix.join(posix.dirname(entry.path), entry.target, at.slice(entry.path.length)),
    );
    if (entry.target.startsWith("/") || led === ".." || led.startsWith("../")) throw nothing(path);
    at = led === "." ? "" : led.replace(/\/$/, "");
  }
  throw nothing(path);
}

/** The first of the folders above `path` that is none but a link, or undefined. */
async function linkAbove(version: Version, path: string): Promise<PlacedEntry | undefined> {
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
    const found = await findEntry(version, path.slice(0, slash));
    if (found?.entry.kind !== "directory") return found;
  }
  return undefined;
}

function nothing(path: string): AetherError {
  const text = `the version has nothing at ${JSON.stringify(path)}, or a link that leads out of it`;
  return new AetherError("PATH_NOT_FOUND", text, { data: { path } });
}
