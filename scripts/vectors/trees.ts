/** Vectors of trees: where pages end, and what names the top one. docs/format.md §6.4, §12 */
import type { FileTime } from "../../src/format/entry.ts";
import { digestOf } from "../../src/format/digest.ts";
import type { ChunkItem, EncodedPage, TimelessEntry } from "../../src/format/page.ts";
import { ChunkTreeBuilder, EntryTreesBuilder } from "../../src/format/tree.ts";
import { plain, seededBytes, seededDigest, type VectorCase } from "./case.ts";

/** Says which entries and chunks a case has. docs/format.md §12 */
export interface TreeInput {
  readonly seed: string;
  readonly entries: number;
  readonly chunks: number;
  /** Each file's path ends in this many times "x". */
  readonly padding: number;
}

/** Entry `index` of a case. */
export function treeEntry(
  { seed, padding }: TreeInput,
  index: number,
): { entry: TimelessEntry; mtime: FileTime } {
  const seconds = 1_700_000_000 + 60 * index;
  if (index === 0)
    return { entry: { path: "d", kind: "directory", mode: 0o755 }, mtime: { seconds, nanos: 0 } };
  const random = seededBytes(seed, index);
  const path = `d/${String(index).padStart(7, "0")}${"x".repeat(padding)}`;
  const size = random.readUInt32LE(0) % 100_000;
  const nanos = index % 2 === 0 ? random.readUInt32LE(4) % 1_000_000_000 : 0;
  return {
    entry: { path, kind: "file", mode: 0o644, size, digest: seededDigest(seed, index) },
    mtime: { seconds, nanos },
  };
}

/** Chunk `index` of a case. */
export function treeChunk({ seed }: TreeInput, index: number): ChunkItem {
  const random = seededBytes(`${seed} chunk`, index);
  return { digest: seededDigest(`${seed} chunk`, index), length: 1 + (random.readUInt32LE(0) % 200_000) };
}

/** What building the trees of a case gives. */
export function buildTrees(input: TreeInput): object {
  const pages: EncodedPage[] = [];
  const emit = (page: EncodedPage): void => void pages.push(page);
  const entryTrees = new EntryTreesBuilder(emit);
  for (let index = 0; index < input.entries; index++) {
    const { entry, mtime } = treeEntry(input, index);
    entryTrees.add(entry, mtime);
  }
  const chunkTree = new ChunkTreeBuilder(emit);
  for (let index = 0; index < input.chunks; index++) chunkTree.add(treeChunk(input, index));
  const { entries, times } = entryTrees.finish();
  const trees = plain({ entries, times, chunks: chunkTree.finish() }) as object;
  const counts: Record<string, number> = {};
  for (const { kind, level } of pages) counts[`${kind} ${level}`] = (counts[`${kind} ${level}`] ?? 0) + 1;
  const digests = pages.map((page) => page.digest).sort();
  return { ...trees, pages: counts, pagesSha256: digestOf(Buffer.from(digests.join(""), "hex")) };
}

/** Trees of several sizes: of one page, of pages cut by weight, of two and three levels. */
export function treeCases(): VectorCase[] {
  const tree = (
    name: string,
    description: string,
    entries: number,
    chunks: number,
    padding = 0,
  ): VectorCase => {
    const input = { seed: `aetherfs tree ${name}`, entries, chunks, padding };
    return {
      path: `tree/${name}.json`,
      content: { description, input, expect: { value: buildTrees(input) } },
    };
  };
  return [
    tree("none", "nothing at all", 0, 0),
    tree("one", "one folder and one chunk", 1, 1),
    tree("few", "a page each", 12, 50),
    tree("hundreds", "two levels of entries", 500, 700),
    tree("thousands", "two levels of all", 6000, 10_000),
    tree("long-paths", "pages that end by weight", 300, 0, 4000),
    tree("many", "three levels", 40_000, 40_000),
  ];
}
