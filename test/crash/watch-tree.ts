/** File events of a whole tree. Node's own recursive watcher throws where a folder becomes a file (Node 26.10). */
import fs from "node:fs";
import path from "node:path";

/** Calls `onEvent` at what happens to files below a folder; folders made meanwhile are watched too. Returns what ends it. */
export function watchTree(folder: string, onEvent: () => void): () => void {
  const watchers = new Map<string, fs.FSWatcher>();
  const add = (place: string): void => {
    try {
      if (watchers.has(place) || !fs.lstatSync(place).isDirectory()) return;
      const watcher = fs.watch(place, (_, name) => {
        onEvent();
        if (name !== null) add(path.join(place, name));
      });
      watcher.on("error", () => undefined);
      watchers.set(place, watcher);
      for (const name of fs.readdirSync(place)) add(path.join(place, name));
    } catch {
      // It was removed meanwhile.
    }
  };
  add(folder);
  return () => {
    for (const watcher of watchers.values()) watcher.close();
  };
}
