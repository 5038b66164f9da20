/** A version as a stream of files in some order, cut into blocks: which bytes of the version's own stream a block is. */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import type { Entry } from "../../format/entry.ts";
import { VIEW_FILES_MAX, type Layout } from "../../format/view-record.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";

/** A file of a version. */
export interface PlacedFile {
  readonly entry: Entry & { readonly kind: "file" };
  /** Where it begins in the version's own stream. */
  readonly start: number;
}

/** Bytes `start` to `end` of a version's own stream. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The version's files in the layout's order. Errors: LIMIT_EXCEEDED; OBJECT_INVALID when the layout is of other files. */
export async function filesOf(version: Version, layout: Pick<Layout, "files">): Promise<PlacedFile[]> {
  if (version.root.files > VIEW_FILES_MAX) {
    throw new AetherError(
      "LIMIT_EXCEEDED",
      `the version has ${version.root.files} files, and one answer holds ${VIEW_FILES_MAX} at most: pull it with aetherfs`,
      { data: { limit: VIEW_FILES_MAX } },
    );
  }
  const files: PlacedFile[] = [];
  for await (const batch of entries(version)) {
    for (const { entry, start } of batch) if (entry.kind === "file") files.push({ entry, start });
  }
  if (layout.files === null) return files;
  const byPath = new Map(files.map((file) => [file.entry.path, file]));
  const ordered = layout.files.map((path) => byPath.get(path));
  if (new Set(ordered).size !== files.length || ordered.includes(undefined)) {
    throw new AetherError("OBJECT_INVALID", "a view is of other files than its version has");
  }
  return ordered.map((file) => must(file, "all were found"));
}

/** The spans of the version's own stream that bytes `start` to `end` of the ordered files are, joined where they meet. */
export function spansWithin(files: readonly PlacedFile[], start: number, end: number): Span[] {
  const spans: { start: number; end: number }[] = [];
  let at = 0;
  for (const file of files) {
    if (at >= end) break;
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, file.entry.size);
    at += file.entry.size;
    if (from >= to) continue;
    const last = spans.at(-1);
    if (last?.end === file.start + from) last.end = file.start + to;
    else spans.push({ start: file.start + from, end: file.start + to });
  }
  return spans;
}
