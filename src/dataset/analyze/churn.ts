/** Which files change from version to version, and how much of them. */
import type { Digest } from "../../format/digest.ts";
import { chunks } from "../version/chunks.ts";
import { getEntry } from "../version/entries.ts";
import { diffEntries } from "../version/page-diff.ts";
import type { Version } from "../version/version.ts";
import type { AnalyzeResult, ChurningFile } from "./contract.ts";
import { fileOfPart } from "./sample-plan.ts";

/** Files that are listed. */
const FILES_LISTED_MAX = 100;
/** Files that are kept in mind: beyond, those that changed least are forgotten. */
const FILES_KEPT_MAX = 65_536;

/** Follows the files through the updates, the oldest first. */
export class Churn {
  #files = new Map<string, ChurningFile>();
  readonly #counts = { added: 0, removed: 0, changed: 0 };

  /** Takes the next update; `isNew` tells which chunks were new with it. Errors: those of reading pages. */
  async add(before: Version, after: Version, isNew: (chunk: Digest) => boolean): Promise<void> {
    // Parts of one file count as one change of it.
    const seen = new Set<string>();
    for await (const { before: old, after: present } of diffEntries(before, after)) {
      const path = fileOfPart(present?.path ?? old?.path ?? "");
      const kind = old === undefined ? "added" : present === undefined ? "removed" : "changed";
      const isFirst = !seen.has(path);
      if (isFirst) this.#counts[kind]++;
      if (seen.size < FILES_KEPT_MAX) seen.add(path);
      if (present?.kind !== "file" || (old?.kind === "file" && old.digest === present.digest)) continue;
      const changedBytes = await newBytesOf(after, present, isNew);
      const known = this.#files.get(path) ?? { path, size: 0, changedBytes: 0, updates: 0 };
      this.#files.set(path, {
        path,
        size: isFirst ? present.size : known.size + present.size,
        changedBytes: known.changedBytes + changedBytes,
        updates: known.updates + (isFirst ? 1 : 0),
      });
      if (this.#files.size > FILES_KEPT_MAX) {
        const kept = this.#sorted().slice(0, FILES_KEPT_MAX / 2);
        this.#files = new Map(kept.map((file) => [file.path, file]));
      }
    }
  }

  get changes(): AnalyzeResult["changes"] {
    return { ...this.#counts };
  }

  /** Most changed bytes first; of equal ones those that changed more often, then by path. */
  get top(): readonly ChurningFile[] {
    return this.#sorted().slice(0, FILES_LISTED_MAX);
  }

  #sorted(): ChurningFile[] {
    return [...this.#files.values()].sort(
      (a, b) => b.changedBytes - a.changedBytes || b.updates - a.updates || (a.path < b.path ? -1 : 1),
    );
  }
}

/** Bytes of a file that lie in new chunks. */
async function newBytesOf(
  version: Version,
  file: { readonly path: string; readonly size: number },
  isNew: (chunk: Digest) => boolean,
): Promise<number> {
  if (file.size === 0) return 0;
  const { start } = await getEntry(version, file.path);
  const end = start + file.size;
  let bytes = 0;
  for await (const batch of chunks(version, start, end)) {
    for (const chunk of batch) {
      if (!isNew(chunk.digest)) continue;
      bytes += Math.min(end, chunk.start + chunk.length) - Math.max(start, chunk.start);
    }
  }
  return bytes;
}
