import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { concatBytes } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import type { FrameInfo } from "../../format/block.ts";
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import { CODECS, type Codec } from "../../format/frame.ts";
import { noise } from "../testing/engine.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { ChunkIndex, type IndexedBlock } from "./chunk-index.ts";

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder.path, "a folder/index.db");
});
afterEach(() => {
  folder.remove();
});

function named(name: string): Digest {
  return digestOf(Buffer.from(name));
}

/** A block of one frame that holds these chunks, of 10 bytes each. */
function blockOf(
  name: string,
  chunks: readonly string[],
  codec: Codec = CODECS.zstd,
  depth = codec === CODECS.delta ? 1 : 0,
): IndexedBlock {
  const digests = concatBytes(chunks.map((chunk) => digestBytes(named(chunk))));
  const lengths = chunks.map(() => 10);
  const rest = { base: undefined, depth, decodeBytes: codec === CODECS.delta ? 100 : 0, isPage: false };
  const frame: FrameInfo = { codec, storedBytes: 7, digests, lengths, ...rest };
  return { digest: named(name), bytes: 1000, frames: [frame], offsets: [16] };
}

test("an index, opened again, knows its blocks and where their chunks lie", () => {
  const first = new ChunkIndex(file);
  first.add(blockOf("block", ["a", "b"], CODECS.delta));
  first.close();
  const index = new ChunkIndex(file);
  assert.equal(index.bytesOf(named("block")), 1000);
  assert.deepEqual([...index.blocks()], [named("block")]);
  assert.deepEqual(index.find(named("b")), {
    block: named("block"),
    frame: 0,
    frameOffset: 16,
    storedBytes: 7,
    codec: CODECS.delta,
    depth: 1,
    chunkOffset: 10,
    chunkBytes: 10,
  });
  assert.equal(index.find(named("c")), undefined);
  index.close();
});

test("a chunk in two blocks is found in the second, unless it lies on more others there", () => {
  const index = new ChunkIndex(undefined);
  index.add(blockOf("deep", ["a"], CODECS.delta, 3));
  index.add(blockOf("delta", ["a"], CODECS.delta, 1));
  index.add(blockOf("delta 2", ["a"], CODECS.delta, 1));
  index.add(blockOf("deep 2", ["a"], CODECS.delta, 2));
  assert.equal(index.find(named("a"))?.block, named("delta 2"));
  index.add(blockOf("plain", ["a"]));
  assert.equal(index.find(named("a"))?.block, named("plain"));
  index.add(blockOf("plain 2", ["a"]));
  assert.equal(index.find(named("a"))?.block, named("plain 2"));
  index.close();
});

test("a chunk whose second place takes more to decode stays in the first, though that is deeper", () => {
  const index = new ChunkIndex(undefined);
  const withCost = (name: string, depth: number, decodeBytes: number): IndexedBlock => {
    const block = blockOf(name, ["a"], CODECS.delta, depth);
    return { ...block, frames: block.frames.map((frame) => ({ ...frame, decodeBytes })) };
  };
  index.add(withCost("deep", 3, 1000));
  index.add(withCost("dear", 1, 1001));
  assert.equal(index.find(named("a"))?.block, named("deep"));
  index.add(withCost("cheap", 2, 1000));
  assert.equal(index.find(named("a"))?.block, named("cheap"));
  index.close();
});

test("a chunk that is forgotten is found where it is added next", () => {
  const index = new ChunkIndex(undefined);
  index.add(blockOf("one", ["a"]));
  index.forget(named("a"));
  assert.equal(index.find(named("a")), undefined);
  index.add(blockOf("two", ["a"], CODECS.delta));
  assert.equal(index.find(named("a"))?.block, named("two"));
  index.close();
});

test("blocks that are removed go with their chunks, and their numbers are never used again", () => {
  const index = new ChunkIndex(file);
  for (const name of ["one", "two", "three"]) index.add(blockOf(name, [`in ${name}`]));
  const other = new ChunkIndex(file);
  index.remove([named("two"), named("three"), named("never was")]);
  index.add(blockOf("four", ["in four"]));
  assert.deepEqual([...index.blocks()], [named("one"), named("four")]);
  assert.equal(index.find(named("in three")), undefined);
  assert.equal(other.find(named("in four"))?.block, named("four"));
  other.close();
  index.close();
});

test("two indexes on one file see what the other adds, and both may add the same block", () => {
  const one = new ChunkIndex(file);
  const two = new ChunkIndex(file);
  one.add(blockOf("block", ["a"]));
  assert.equal(two.find(named("a"))?.block, named("block"));
  two.add(blockOf("block", ["a"]));
  one.add(blockOf("another", ["b"]));
  two.add(blockOf("another", ["b"]));
  assert.equal(two.bytesOf(named("another")), 1000);
  one.close();
  two.close();
});

test("a file that is no index is replaced, also one of an older form", () => {
  fs.mkdirSync(path.dirname(file));
  fs.writeFileSync(file, noise(1, 10_000));
  const index = new ChunkIndex(file);
  index.add(blockOf("block", ["a"]));
  index.close();
  const again = new ChunkIndex(file);
  assert.equal(again.bytesOf(named("block")), 1000);
  again.close();
});

test("an index that turns out damaged says so, and the next one begins anew", () => {
  const index = new ChunkIndex(file);
  const chunks = Array.from({ length: 500 }, (_, number) => `chunk ${number}`);
  index.add(blockOf("block", chunks));
  index.close();
  const bytes = fs.readFileSync(file);
  bytes.fill(0xa5, 4096 * 5);
  fs.writeFileSync(file, bytes);
  const damaged = new ChunkIndex(file);
  assert.throws(
    () => chunks.map((chunk) => damaged.find(named(chunk))),
    (error) => codeOf(error) === "OBJECT_INVALID",
  );
  damaged.close();
  const next = new ChunkIndex(file);
  assert.deepEqual([...next.blocks()], []);
  next.close();
});

test("an index whose folder cannot be made lies in memory", () => {
  fs.writeFileSync(path.dirname(file), "a file");
  const index = new ChunkIndex(file);
  index.add(blockOf("block", ["a"]));
  assert.equal(index.find(named("a"))?.block, named("block"));
  index.close();
});

test("chunks are found by what they are like, those with most of it first, of equal ones the last", () => {
  const index = new ChunkIndex(file);
  index.add(blockOf("block", ["a", "b", "c"]));
  index.addSketches([
    [named("a"), [1, 2, 2 ** 48 - 1, 10, 11, 12]],
    [named("b"), [4, 5, 6, 20, 21, 22]],
  ]);
  const similar = (...features: number[]): (Digest | number)[][] =>
    index.similar(features).map(({ digest, strong, all }) => [digest, strong, all]);
  assert.deepEqual(similar(1, 7, 2 ** 48 - 1, 10), [[named("a"), 2, 3]]);
  assert.deepEqual(similar(4, 8, 9, 10, 11, 12), [
    [named("b"), 1, 1],
    [named("a"), 0, 3],
  ]);
  assert.deepEqual(similar(7, 8, 9), []);
  index.addSketches([[named("c"), [1, 2, 2 ** 48 - 1]]]);
  assert.deepEqual(similar(1, 2, 3), [[named("c"), 2, 2]]);
  index.close();
});
