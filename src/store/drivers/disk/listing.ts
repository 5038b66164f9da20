import type { Dirent } from "node:fs";
import { lstat, opendir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { compareUtf8 } from "../../../base/bytes.ts";
import { KEY_DEPTH_MAX } from "../../keys.ts";
import type { ListOptions, ObjectInfo } from "../../object-store.ts";
import { isAbsent } from "./disk-errors.ts";

/** Files whose sizes are asked for at once. */
const PARALLEL_STATS = 32;
/** What a fresh file system brings along. */
const OF_THE_FILE_SYSTEM = "lost+found";

/**
 * Regular files below a folder of the root, in byte order of their paths from the root, with "/" between segments.
 * `hidden` is a folder that is left out. Links and devices are not followed or given, nor is what lies deeper than any key.
 */
export async function* listFiles(
  root: string,
  prefix: string,
  hidden: string,
  options: ListOptions = {},
): AsyncGenerator<ObjectInfo> {
  const depth = prefix.split("/").length - 1;
  const entries = await readEntries(root, prefix);
  for (let start = 0; start < entries.length; start += PARALLEL_STATS) {
    options.signal?.throwIfAborted();
    const batch = entries
      .slice(start, start + PARALLEL_STATS)
      .filter((entry) => isAhead(entry.key, options.after));
    const infos = await Promise.all(
      batch.map(async (entry) => (entry.isFolder ? undefined : infoOf(root, entry.key))),
    );
    for (const [index, { key, isFolder }] of batch.entries()) {
      const info = infos[index];
      if (info !== undefined) yield info;
      if (isFolder && key !== hidden && depth + 1 < KEY_DEPTH_MAX)
        yield* listFiles(root, key, hidden, options);
    }
  }
}

/** The folders in a folder of the root that hold a regular file at some depth, in byte order of `name/`. */
export async function* listFolders(
  root: string,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const depth = prefix.split("/").length - 1;
  for (const { key, isFolder } of await readEntries(root, prefix)) {
    signal?.throwIfAborted();
    if (isFolder && (await holdsFile(join(root, key), depth + 1))) yield key.slice(prefix.length, -1);
  }
}

interface Entry {
  /** Path from the root; a folder's ends in "/", which gives it its place among keys. */
  readonly key: string;
  readonly isFolder: boolean;
}

async function readEntries(root: string, prefix: string): Promise<Entry[]> {
  let found: Dirent[];
  try {
    found = await readdir(join(root, prefix), { withFileTypes: true });
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
  return found
    .filter((entry) => entry.isFile() || (entry.isDirectory() && entry.name !== OF_THE_FILE_SYSTEM))
    .map((entry) => {
      const isFolder = entry.isDirectory();
      return { key: `${prefix}${entry.name}${isFolder ? "/" : ""}`, isFolder };
    })
    .sort((a, b) => compareUtf8(a.key, b.key));
}

/** Whether the key, or something in the folder of that key, comes after `after`. */
function isAhead(key: string, after: string | undefined): boolean {
  return after === undefined || compareUtf8(key, after) > 0 || (key.endsWith("/") && after.startsWith(key));
}

async function infoOf(root: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    const { size, mtimeMs } = await lstat(join(root, key));
    return { key, bytes: size, modifiedMs: mtimeMs };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

async function holdsFile(path: string, depth: number): Promise<boolean> {
  if (depth > KEY_DEPTH_MAX) return false;
  try {
    for await (const entry of await opendir(path)) {
      if (entry.isFile()) return true;
      if (entry.isDirectory() && (await holdsFile(join(path, entry.name), depth + 1))) return true;
    }
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  return false;
}
