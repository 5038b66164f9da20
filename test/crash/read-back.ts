/** What a store says a tag and a version hold, read completely. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { must } from "../../src/base/assert.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import type { Engine } from "../../src/dataset/engine.ts";
import { resolve } from "../../src/dataset/resolve.ts";
import { ChunkReader } from "../../src/dataset/version/chunk-reader.ts";
import { entries } from "../../src/dataset/version/entries.ts";
import { openVersion } from "../../src/dataset/version/version.ts";
import type { Digest } from "../../src/format/digest.ts";
import type { Entry } from "../../src/format/entry.ts";
import { parseReference } from "../../src/format/reference.ts";
import { NAME, TAG } from "./crash-task.ts";

/** The version that the tag points at. */
export async function readTag(engine: Engine): Promise<Digest> {
  return (await resolve(engine, parseReference(`${NAME}:${TAG}`))).version;
}

/** A version's entries, after each of its files was read and found to have its digest. */
export async function readVersion(engine: Engine, digest: Digest): Promise<Entry[]> {
  const version = await openVersion(engine, digest);
  const all: Entry[] = [];
  for await (const batch of entries(version)) all.push(...batch.map(({ entry }) => entry));
  const pieces: Uint8Array[] = [];
  for await (const piece of new ChunkReader(engine, version).readRange(0, version.root.bytes)) {
    pieces.push(piece);
  }
  const bytes = concatBytes(pieces);
  let start = 0;
  for (const entry of all) {
    if (entry.kind !== "file") continue;
    const content = bytes.subarray(start, start + entry.size);
    assert.equal(createHash("sha256").update(content).digest("hex"), entry.digest, entry.path);
    start += entry.size;
  }
  assert.equal(start, bytes.byteLength);
  return all;
}

/** What a file or symlink holds, as one string; folders hold nothing of their own. */
export function contentOf(entry: Entry): string {
  if (entry.kind === "file") return `file ${entry.digest}`;
  return entry.kind === "symlink" ? `symlink ${entry.target}` : "directory";
}

/** Path → all contents that it may have, of several trees. */
export function possibleContents(trees: Iterable<readonly Entry[]>): Map<string, Set<string>> {
  const possible = new Map<string, Set<string>>();
  for (const tree of trees) {
    for (const entry of tree) {
      const contents = possible.get(entry.path) ?? new Set();
      possible.set(entry.path, contents.add(contentOf(entry)));
    }
  }
  return possible;
}

/** Fails unless each entry of a folder is as in one of the trees. */
export function assertFromTrees(found: readonly Entry[], possible: ReadonlyMap<string, Set<string>>): void {
  for (const entry of found) {
    const contents = must(possible.get(entry.path), `${entry.path} is of none of the versions`);
    assert.ok(contents.has(contentOf(entry)), `${entry.path} is torn or foreign: ${contentOf(entry)}`);
  }
}
