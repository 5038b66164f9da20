/** The messages of the vectors, read by a protobuf library that knows proto/aetherfs/format/v1/format.proto alone. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import protobuf from "protobufjs";
import { plain } from "../../scripts/vectors/case.ts";
import { digestBytes, digestFromBytes, type Digest } from "./digest.ts";
import { CODECS, decodeFrame } from "./frame.ts";
import { HEADER_BYTES } from "./header.ts";
import { decodeIndex, indexBytes } from "./block.ts";
import { decodeManifestObject, decodeRoot } from "./manifest.ts";
import { decodePage, type ChunkItem, type Page, type TreeKind } from "./page.ts";
import { ELSEWHERE, decodePlan } from "./plan.ts";
import { readVectors, type Vector } from "./testing/vectors.ts";

const proto = readFileSync(new URL("../../proto/aetherfs/format/v1/format.proto", import.meta.url), "utf8");
const { root } = protobuf.parse(proto, { keepCase: false });
root.resolveAll();

/** A message as plain values: numbers, Buffers, lists; absent fields are there with their default. */
type Plain = Record<string, unknown>;

/** Decodes with the library, and checks that it encodes to the same bytes: it orders fields and leaves out defaults alike. */
function decode(message: string, bytes: Uint8Array): Plain {
  const type = root.lookupType(`aetherfs.format.v1.${message}`);
  const decoded = type.decode(bytes);
  assert.deepEqual(Buffer.from(type.encode(decoded).finish()), Buffer.from(bytes), message);
  return type.toObject(decoded, { longs: Number, defaults: true, bytes: Buffer });
}

function valid(folder: string): Vector[] {
  return readVectors(folder).filter((vector) => vector.error === undefined);
}

/** A test for each valid vector of a folder. */
function agree(folder: string, compare: (vector: Vector) => void): void {
  suite(`protobufjs on ${folder} vectors`, () => {
    for (const vector of valid(folder)) {
      test(`${vector.name}, read by both, says the same`, () => {
        compare(vector);
      });
    }
  });
}

function joined(digests: readonly Digest[]): Buffer {
  return Buffer.concat(digests.map(digestBytes));
}

const sample = `syntax = "proto3"; package aetherfs.format.v1;
  message Sample { uint64 number = 1; bytes text = 2; repeated bytes parts = 3; repeated uint64 numbers = 4; }`;
root.addJSON(protobuf.parse(sample).root.toJSON().nested ?? {});

agree("wire", ({ bytes, value }) => {
  assert.deepEqual(plain(decode("Sample", bytes)), value);
});

agree("root", ({ bytes }) => {
  const ours = decodeRoot(bytes);
  const ref = (tree: (typeof ours)["entries"]): unknown =>
    tree === undefined ? null : { ...tree, digest: Buffer.from(digestBytes(tree.digest)) };
  assert.deepEqual(decode("Root", bytes), {
    revision: 1,
    chunkingKind: ours.chunking.kind === "cdc" ? 1 : 2,
    averageBytes: ours.chunking.averageBytes,
    files: ours.files,
    directories: ours.directories,
    symlinks: ours.symlinks,
    bytes: ours.bytes,
    entries: ref(ours.entries),
    times: ref(ours.times),
    chunks: ref(ours.chunks),
  });
});

const LEAVES = { entries: "EntryPage", times: "TimePage", chunks: "ChunkPage" } as const;

agree("page", ({ bytes, content }) => {
  const ours = decodePage(bytes, content["kind"] as TreeKind, content["level"] as number);
  const theirs = decode("children" in ours ? "InnerPage" : LEAVES[ours.kind], bytes);
  comparePage(ours, theirs);
});

function comparePage(ours: Page, theirs: Plain): void {
  if ("children" in ours) {
    const { children } = ours;
    assert.deepEqual(theirs["digests"], joined(children.map((child) => child.digest)));
    assert.deepEqual(
      theirs["items"],
      children.map((child) => child.items),
    );
    assert.deepEqual(theirs["bytes"], ours.kind === "times" ? [] : children.map((child) => child.bytes));
    const paths = children.map((child) => Buffer.from(child.firstPath));
    assert.deepEqual(theirs["firstPaths"], ours.kind === "entries" ? paths : []);
  } else if (ours.kind === "times") {
    const steps = ours.times.map(({ seconds }, index) => seconds - (ours.times[index - 1]?.seconds ?? 0));
    assert.deepEqual(theirs["secondsSteps"], steps);
    const nanos = ours.times.map((time) => time.nanos);
    assert.deepEqual(theirs["nanos"], nanos.some((value) => value > 0) ? nanos : []);
  } else if (ours.kind === "chunks") {
    assert.deepEqual(theirs["digests"], joined(ours.chunks.map((chunk) => chunk.digest)));
    assert.deepEqual(
      theirs["lengths"],
      ours.chunks.map((chunk) => chunk.length),
    );
  } else {
    const files = ours.entries.filter((entry) => entry.kind === "file");
    assert.deepEqual(
      pathsOf(theirs),
      ours.entries.map((entry) => entry.path),
    );
    assert.deepEqual(
      theirs["modes"],
      ours.entries.map((entry) => entry.mode),
    );
    assert.deepEqual(
      theirs["sizes"],
      files.map((entry) => entry.size),
    );
    assert.deepEqual(theirs["digests"], joined(files.map((entry) => entry.digest)));
    const targets = ours.entries.flatMap((entry) => (entry.kind === "symlink" ? [entry.target] : []));
    assert.equal((theirs["targets"] as Buffer).toString("utf8"), targets.join(""));
  }
}

/** Paths put together by the rule of §6.3, apart from the code that reads them. */
function pathsOf(theirs: Plain): string[] {
  const shared = theirs["sharedBytes"] as number[];
  const lengths = theirs["suffixBytes"] as number[];
  const suffixes = theirs["suffixes"] as Buffer;
  const paths: Buffer[] = [];
  let at = 0;
  for (const [index, length] of lengths.entries()) {
    const before = paths.at(-1)?.subarray(0, shared[index]) ?? Buffer.alloc(0);
    paths.push(Buffer.concat([before, suffixes.subarray(at, at + length)]));
    at += length;
  }
  return paths.map((path) => path.toString("utf8"));
}

agree("manifest", ({ bytes }) => {
  const ours = decodeManifestObject(bytes);
  const theirs = decode("ManifestObject", bytes.subarray(HEADER_BYTES));
  const base = ours.base === undefined ? Buffer.alloc(0) : Buffer.from(digestBytes(ours.base));
  assert.deepEqual(theirs, { ...ours, base, payload: Buffer.from(ours.payload) });
});

agree("block", ({ bytes }) => {
  const ours = decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength);
  const index = bytes.subarray(bytes.byteLength - indexBytes(bytes), bytes.byteLength - 8);
  const theirs = decode("BlockIndex", index);
  assert.equal((theirs["domain"] as Buffer).toString("utf8"), ours.domain);
  const frames = ours.frames.map((frame) => ({
    codec: frame.codec,
    storedBytes: frame.storedBytes,
    digests: Buffer.from(frame.digests),
    lengths: frame.lengths,
    baseDigests: Buffer.from(frame.base?.digests ?? []),
    baseLengths: frame.base?.lengths ?? [],
    baseOffset: frame.base?.offset ?? 0,
    baseBytes: frame.base?.bytes ?? 0,
    depth: frame.depth,
    decodeBytes: frame.decodeBytes,
    isPage: frame.isPage ? 1 : 0,
  }));
  assert.deepEqual(theirs["frames"], frames);
});

agree("plan", ({ bytes, content }) => {
  const ours = decodePlan(bytes, (content["baseChunks"] ?? []) as readonly ChunkItem[]);
  const own = ours.places.filter((place) => place.frame !== ELSEWHERE);
  const object = decode("PlanObject", bytes.subarray(HEADER_BYTES));
  const theirs = decode(
    "Plan",
    decodeFrame(CODECS.zstd, object["payload"] as Buffer, object["planBytes"] as number),
  );
  const blocks = theirs["blocks"] as Buffer;
  const numbers = theirs["frameBlocks"] as number[];
  assert.deepEqual(
    numbers.map((number) => digestFromBytes(blocks, number * 32)),
    ours.frames.map((frame) => frame.block),
  );
  assert.deepEqual(
    theirs["storedBytes"],
    ours.frames.map((frame) => frame.storedBytes),
  );
  assert.deepEqual(
    theirs["codecs"],
    ours.frames.map((frame) => frame.codec),
  );
  let frame = -1;
  const places = (theirs["placeSteps"] as number[]).map((step) => (frame += 1 + step));
  assert.deepEqual(
    places,
    own.map((place) => place.frame),
  );
  assert.deepEqual(
    theirs["placeOffsets"],
    own.map((place) => place.offset),
  );
  const runs = theirs["runs"] as number[];
  const others = ours.places.length - own.length;
  assert.equal(
    runs.filter((_, index) => index % 3 === 2).reduce((sum, count) => sum + count, 0),
    others,
  );
  assert.equal((object["base"] as Buffer).toString("hex"), ours.base?.key ?? "");
  assert.equal(object["height"], ours.base?.height ?? 0);
  const ends = new Map<number, number>();
  const offsets = (theirs["frameGaps"] as number[]).map((gap, index) => {
    const block = numbers[index] ?? 0;
    const offset = (ends.get(block) ?? HEADER_BYTES) + gap;
    ends.set(block, offset + (ours.frames[index]?.storedBytes ?? 0));
    return offset;
  });
  assert.deepEqual(
    offsets,
    ours.frames.map((one) => one.offset),
  );
});
