/** Folders on the disk, for tests. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { compareUtf8 } from "../../base/bytes.ts";
import { digestOf } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";

/** A new folder under the system's one for temporary files; `remove` takes it away with all in it. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "aetherfs-test-"));
  return {
    path: folder,
    remove: () => {
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whole seconds that make any time positive, so that what is left of a second is too. */
const EPOCH_OFFSET_NS = 1_000_000_000_000_000_000n;

/** What lies in a folder as entries in byte order of path; a symlink's mode is 0o777. */
export function readFolder(folder: string): Entry[] {
  const found: Entry[] = [];
  readInto(found, folder, "");
  return found.sort((a, b) => compareUtf8(a.path, b.path));
}

function readInto(found: Entry[], folder: string, prefix: string): void {
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name);
    const stats = fs.lstatSync(file, { bigint: true });
    const nanos = Number((stats.mtimeNs + EPOCH_OFFSET_NS) % 1_000_000_000n);
    const seconds = Number((stats.mtimeNs - BigInt(nanos)) / 1_000_000_000n);
    const base = { path: prefix + name, mode: Number(stats.mode) & 0o7777, mtime: { seconds, nanos } };
    if (stats.isDirectory()) {
      found.push({ ...base, kind: "directory" });
      readInto(found, file, `${prefix}${name}/`);
    } else if (stats.isSymbolicLink()) {
      found.push({ ...base, kind: "symlink", mode: 0o777, target: fs.readlinkSync(file) });
    } else {
      const bytes = fs.readFileSync(file);
      found.push({ ...base, kind: "file", size: bytes.byteLength, digest: digestOf(bytes) });
    }
  }
}

/** The entries with times rounded to milliseconds, which every file system and Node can set. */
export function comparable(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => {
    const { seconds, nanos } = entry.mtime;
    return { ...entry, mtime: { seconds, nanos: Math.round(nanos / 1e6) } };
  });
}
