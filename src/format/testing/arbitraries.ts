/** Values of the format as fast-check makes them: all valid. */
import fc from "fast-check";
import { compareUtf8 } from "../../base/bytes.ts";
import type { FrameInfo } from "../block.ts";
import { digestBytes, digestFromBytes, type Digest } from "../digest.ts";
import { pathFault, type FileTime } from "../entry.ts";
import type { ManifestRoot } from "../manifest.ts";
import type { ChildItem, ChunkItem, TimelessEntry } from "../page.ts";
import type { Plan, PlanDelta, PlanFrame } from "../plan.ts";
import type { TreeRef } from "../tree.ts";

/** As fc.record, of plain objects. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

/** Any digest. */
export const digests: fc.Arbitrary<Digest> = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => digestFromBytes(bytes));

/** Names that meet in their beginnings and around the slash: "a", "a!", "a.b", "a/b", characters beyond the BMP. */
const segments = fc
  .string({
    unit: fc.constantFrom("a", "b", "!", ".", "0", "é", "\uffff", "\u{10000}"),
    minLength: 1,
    maxLength: 4,
  })
  .filter((segment) => segment !== "." && segment !== "..");

/** Paths that may stand in a dataset. */
export const paths: fc.Arbitrary<string> = fc
  .array(segments, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"))
  .filter((path) => pathFault(path) === undefined);

const entryTails = fc.oneof(
  record({ kind: fc.constant("file" as const), size: fc.maxSafeNat(), digest: digests }),
  record({ kind: fc.constant("directory" as const) }),
  record({ kind: fc.constant("symlink" as const), target: fc.string({ unit: "grapheme", minLength: 1 }) }),
);

/** Any entry whose path is valid. */
const timeless: fc.Arbitrary<TimelessEntry> = fc
  .tuple(paths, fc.nat({ max: 0o7777 }), entryTails)
  .map(([path, mode, tail]) => ({ path, mode, ...tail }))
  .filter((entry) => entry.kind !== "symlink" || !entry.target.includes("\0"));

/** Entries as a page has them: ascending; their parents may be missing. */
export const entryLists: fc.Arbitrary<TimelessEntry[]> = fc
  .uniqueArray(timeless, { minLength: 1, maxLength: 40, selector: (entry) => entry.path })
  .map((entries) => entries.sort((a, b) => compareUtf8(a.path, b.path)));

/** Points in time within the limits. */
export const times: fc.Arbitrary<FileTime> = record({
  seconds: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((seconds) => seconds * 512),
  nanos: fc.oneof(fc.constant(0), fc.nat({ max: 999_999_999 })),
});

/** Chunks of any allowed length. */
export const chunkItems: fc.Arbitrary<ChunkItem> = record({
  digest: digests,
  length: fc.integer({ min: 1, max: 2 ** 24 }),
});

/** Children of an inner page of entries. */
export const childLists: fc.Arbitrary<ChildItem[]> = fc
  .uniqueArray(paths, { minLength: 1, maxLength: 30 })
  .chain((firstPaths) =>
    fc.tuple(
      ...firstPaths.sort(compareUtf8).map((firstPath) =>
        record({
          digest: digests,
          items: fc.integer({ min: 1, max: 2 ** 40 }),
          bytes: fc.nat(),
          firstPath: fc.constant(firstPath),
        }),
      ),
    ),
  );

function treeRefs(items: number): fc.Arbitrary<TreeRef | undefined> {
  if (items === 0) return fc.constant(undefined);
  return record({ digest: digests, level: fc.nat({ max: 10 }), items: fc.constant(items) });
}

/** Roots that do not contradict themselves. */
export const roots: fc.Arbitrary<ManifestRoot> = record({
  averageBits: fc.integer({ min: 12, max: 22 }),
  files: fc.nat(),
  directories: fc.nat(),
  symlinks: fc.nat(),
  chunks: fc.nat({ max: 2 ** 20 }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
}).chain(({ averageBits, files, directories, symlinks, chunks: wanted, share }) => {
  const averageBytes = 2 ** averageBits;
  const chunks = files === 0 ? 0 : wanted;
  const bytes = chunks + Math.floor(share * chunks * (4 * averageBytes - 1));
  const entries = files + directories + symlinks;
  return record({
    chunking: fc.constant({ kind: "cdc" as const, averageBytes }),
    ...{
      files: fc.constant(files),
      directories: fc.constant(directories),
      symlinks: fc.constant(symlinks),
    },
    bytes: fc.constant(bytes),
    entries: treeRefs(entries),
    times: treeRefs(entries),
    chunks: treeRefs(chunks),
  });
});

function joined(list: readonly Digest[]): Uint8Array {
  return Buffer.concat(list.map(digestBytes));
}

const smallChunks = fc.array(record({ digest: digests, length: fc.integer({ min: 1, max: 2000 }) }), {
  minLength: 1,
  maxLength: 20,
});

const plainFrames: fc.Arbitrary<FrameInfo> = fc
  .tuple(
    digests,
    fc.integer({ min: 1, max: 65_536 }),
    fc.integer({ min: 1, max: 1000 }),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([digest, length, stored, isRaw, isPage]) => {
    const columns = { digests: joined([digest]), lengths: [length] };
    const codec = isRaw ? (0 as const) : (1 as const);
    const more = { base: undefined, depth: 0, decodeBytes: 0, isPage };
    return { codec, storedBytes: isRaw ? length : stored, ...columns, ...more };
  });

const deltaFrames: fc.Arbitrary<FrameInfo> = fc
  .tuple(
    smallChunks,
    smallChunks,
    fc.integer({ min: 1, max: 1000 }),
    fc.integer({ min: 1, max: 3 }),
    fc.nat(),
  )
  .map(([run, bases, storedBytes, depth, at]) => {
    const lengths = run.map((chunk) => chunk.length);
    const baseLengths = bases.map((chunk) => chunk.length);
    const baseBytes = baseLengths.reduce((sum, length) => sum + length, 0);
    const offset = at % baseBytes;
    const base = {
      digests: joined(bases.map(({ digest }) => digest)),
      lengths: baseLengths,
      offset,
      bytes: baseBytes - offset,
    };
    const decodeBytes = lengths.reduce((sum, length) => sum + length, baseBytes);
    const columns = { digests: joined(run.map(({ digest }) => digest)), lengths };
    return { codec: 2, storedBytes, ...columns, base, depth, decodeBytes, isPage: false };
  });

/** Frames of a block as its index describes them. */
export const frameLists: fc.Arbitrary<FrameInfo[]> = fc.array(fc.oneof(plainFrames, deltaFrames), {
  maxLength: 20,
});

/** Plans whose deltas lie on frames before them. */
export const plans: fc.Arbitrary<Plan> = record({
  covers: fc.constantFrom("items" as const, "version" as const),
  blocks: fc.array(digests, { minLength: 1, maxLength: 4 }),
  frames: fc.array(
    record({
      block: fc.nat(),
      offset: fc.integer({ min: 32, max: 2 ** 29 }),
      storedBytes: fc.integer({ min: 1, max: 2 ** 20 }),
      isDelta: fc.boolean(),
      base: fc.nat(),
      digest: digests,
    }),
    { maxLength: 20 },
  ),
  places: fc.array(record({ frame: fc.nat(), offset: fc.nat({ max: 2 ** 20 }) }), { maxLength: 30 }),
}).map(({ covers, blocks, frames: drafts, places }) => {
  const frames: PlanFrame[] = [];
  for (const draft of drafts) {
    const base = draft.base % Math.max(frames.length, 1);
    const depth = (frames[base]?.delta?.depth ?? 0) + 1;
    const { storedBytes, offset, digest } = draft;
    const source = { digest, bytes: 100, frame: base, offset: 7 };
    const delta: PlanDelta = { decodedBytes: 50, depth, sources: [source], baseOffset: 1, baseBytes: 99 };
    const isDelta = draft.isDelta && frames.length > 0 && depth <= 3;
    const block = blocks[draft.block % blocks.length] ?? digest;
    frames.push({ block, offset, storedBytes, codec: isDelta ? 2 : 1, delta: isDelta ? delta : undefined });
  }
  const kept = frames.length === 0 ? [] : places;
  return {
    covers,
    frames,
    places: kept.map(({ frame, offset }) => ({ frame: frame % frames.length, offset })),
  };
});
