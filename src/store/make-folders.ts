/** Makes a folder and those above it. */
import fs from "node:fs";
import { dirname, resolve } from "node:path";
import { errnoOf } from "../base/errors.ts";

/**
 * Makes `folder` and what is missing above it, with `mode`; gives the topmost one that it made, or undefined. In place of
 * `mkdir` with `recursive`, which never ends where a file system answers ENOENT to a parent that is there (/proc does).
 * Errors: Node's, EEXIST for something that is no folder.
 */
export function makeFolders(folder: string, mode = 0o777): string | undefined {
  const missing: string[] = [];
  for (let path = resolve(folder); !exists(path); path = dirname(path)) missing.push(path);
  if (missing.length === 0 && !fs.statSync(folder).isDirectory()) fs.mkdirSync(folder);
  for (const path of missing.toReversed()) {
    try {
      fs.mkdirSync(path, { mode });
    } catch (error) {
      // Another process made it meanwhile.
      if (errnoOf(error) !== "EEXIST" || !fs.statSync(path).isDirectory()) throw error;
    }
  }
  return missing.at(-1);
}

/** Whether something is there; "/" always is. */
function exists(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false }) !== undefined;
}
