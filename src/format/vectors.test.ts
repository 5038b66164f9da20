/** Every vector of the format through this reader, and every valid one through its writer. docs/format.md §12 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { buildTrees, type TreeInput } from "../../scripts/vectors/trees.ts";
import { plain } from "../../scripts/vectors/case.ts";
import { changedFiles, vectorFiles } from "../../scripts/vectors.ts";
import { concatBytes } from "../base/bytes.ts";
import { AetherError } from "../base/errors.ts";
import { decodeIndex, encodeBlock, type BlockIndex } from "./block.ts";
import { digestBytes, digestFromBytes, digestOf } from "./digest.ts";
import { CODECS, decodeFrame } from "./frame.ts";
import { HEADER_BYTES, checkHeader, encodeHeader, type ObjectKind } from "./header.ts";
import * as manifest from "./manifest.ts";
import * as page from "./page.ts";
import type { ChunkItem } from "./page.ts";
import { decodePlan, encodePlan } from "./plan.ts";
import {
  decodeCondemned,
  decodeEpoch,
  decodeFloor,
  encodeCondemned,
  encodeEpoch,
  encodeFloor,
} from "./prune-record.ts";
import * as record from "./record.ts";
import { decodeSecret, encodeSecret } from "./secret-record.ts";
import { readVectors, type Vector } from "./testing/vectors.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** Reads a vector and compares; `again` gets what was read, to be written again. */
function check<T>(
  folder: string,
  read: (vector: Vector) => T,
  again: (value: T, vector: Vector) => void,
): void {
  suite(`${folder} vectors`, () => {
    for (const vector of readVectors(folder)) {
      const { name, description, error } = vector;
      test(`${name}, ${description}, ${error === undefined ? "is read" : `fails with ${error}`}`, () => {
        if (error !== undefined) {
          assert.throws(
            () => read(vector),
            (thrown) => thrown instanceof AetherError && thrown.code === error,
          );
          return;
        }
        const value = read(vector);
        assert.deepEqual(plain(value), vector.value);
        again(value, vector);
      });
    }
  });
}

interface Sample {
  readonly number: number;
  readonly text: Uint8Array;
  readonly parts: readonly Uint8Array[];
  readonly numbers: readonly number[];
}

function readSample({ bytes }: Vector): Sample {
  const reader = new WireReader(bytes, "a sample");
  const sample = {
    number: reader.uint(1),
    text: reader.bytes(2),
    parts: reader.elements(3, 4),
    numbers: reader.packed(4, 4),
  };
  reader.end();
  return sample;
}

check("wire", readSample, ({ number, text, parts, numbers }, { bytes }) => {
  const writer = new WireWriter().uint(1, number).bytes(2, text);
  for (const part of parts) writer.element(3, part);
  assert.deepEqual(Buffer.from(writer.packed(4, numbers).finish()), bytes);
});

check(
  "header",
  ({ content, bytes }) => {
    const kind = content["kind"] as ObjectKind;
    checkHeader(bytes, kind);
    return kind;
  },
  (kind, { bytes }) => assert.deepEqual(Buffer.from(encodeHeader(kind)), bytes),
);

check(
  "root",
  ({ bytes }) => manifest.decodeRoot(bytes),
  (root, { bytes, content }) => {
    assert.deepEqual(Buffer.from(manifest.encodeRoot(root)), bytes);
    assert.equal(digestOf(bytes), content["digest"]);
  },
);

function encodePage(value: page.Page): Uint8Array {
  if ("children" in value) return page.encodeInnerPage(value.kind, value.level, value.children);
  if (value.kind === "entries") return page.encodeEntryPage(value.entries);
  return value.kind === "times" ? page.encodeTimePage(value.times) : page.encodeChunkPage(value.chunks);
}

check(
  "page",
  ({ bytes, content }) =>
    page.decodePage(bytes, content["kind"] as page.TreeKind, content["level"] as number),
  (value, { bytes, content }) => {
    assert.deepEqual(Buffer.from(encodePage(value)), bytes);
    assert.equal(digestOf(bytes), content["digest"]);
  },
);

check(
  "tree",
  ({ content }) => buildTrees(content["input"] as TreeInput),
  () => undefined,
);

function baseOf({ content }: Vector): manifest.ManifestBundle | undefined {
  const base = content["base"] as { root: string; pages: string[] } | undefined;
  if (base === undefined) return undefined;
  return { root: Buffer.from(base.root, "hex"), pages: base.pages.map((bytes) => Buffer.from(bytes, "hex")) };
}

check(
  "manifest",
  (vector) => manifest.decodeBundle(manifest.decodeManifestObject(vector.bytes), baseOf(vector)),
  (bundle, vector) => {
    const pinned = manifest.decodeManifestObject(vector.bytes);
    const bundleBase = baseOf(vector);
    const base = bundleBase && { version: digestOf(bundleBase.root), depth: 0, bundle: bundleBase };
    const made = manifest.decodeManifestObject(manifest.encodeManifest(bundle, base));
    assert.deepEqual(plain(manifest.decodeBundle(made, bundleBase)), vector.value);
    const codec = pinned.codec === CODECS.raw ? CODECS.zstd : pinned.codec;
    assert.deepEqual({ ...made, payload: null }, { ...pinned, codec, payload: null });
  },
);

check(
  "block",
  ({ bytes }) => decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength),
  (index, { bytes, content }) => {
    const { head, tail } = encodeBlock(index.domain, index.frames);
    const framesEnd = bytes.byteLength - tail.byteLength;
    assert.deepEqual(Buffer.concat([head, bytes.subarray(HEADER_BYTES, framesEnd), tail]), bytes);
    assert.equal(digestOf(bytes), content["digest"]);
    assert.deepEqual(plain(decodeChunks(index, bytes)), content["chunks"]);
  },
);

/** The chunks of a block whose bases lie in it, in front of what needs them; each verified. */
function decodeChunks({ frames, offsets }: BlockIndex, block: Uint8Array): Uint8Array[] {
  const chunks = new Map<string, Uint8Array>();
  for (const [number, frame] of frames.entries()) {
    const offset = offsets[number] ?? 0;
    const bases = splitDigests(frame.base?.digests ?? new Uint8Array(0)).map((digest) => chunks.get(digest));
    assert.ok(bases.every((base) => base !== undefined));
    const start = frame.base?.offset ?? 0;
    const dictionary = frame.base && concatBytes(bases).subarray(start, start + frame.base.bytes);
    const decodedBytes = frame.lengths.reduce((sum, length) => sum + length, 0);
    const stored = block.subarray(offset, offset + frame.storedBytes);
    const decoded = decodeFrame(frame.codec, stored, decodedBytes, dictionary);
    let at = 0;
    for (const [index, digest] of splitDigests(frame.digests).entries()) {
      const chunk = decoded.subarray(at, (at += frame.lengths[index] ?? 0));
      assert.equal(digestOf(chunk), digest);
      chunks.set(digest, chunk);
    }
  }
  return [...chunks.values()];
}

function splitDigests(joined: Uint8Array): string[] {
  return Array.from({ length: joined.byteLength / 32 }, (_, index) => digestFromBytes(joined, index * 32));
}

function baseChunksOf(content: Readonly<Record<string, unknown>>): readonly ChunkItem[] {
  return (content["baseChunks"] ?? []) as readonly ChunkItem[];
}

/** The message inside of a plan object. */
function planBody(object: Uint8Array): Uint8Array {
  const reader = new WireReader(object.subarray(HEADER_BYTES), "a plan object");
  const bytes = reader.uint(1);
  return decodeFrame(CODECS.zstd, reader.bytes(2), bytes);
}

check(
  "plan",
  ({ bytes, content }) => decodePlan(bytes, baseChunksOf(content)),
  (plan, { bytes, content }) => {
    assert.equal(plain(planBody(bytes)), content["body"]);
    assert.equal(plain(planBody(encodePlan(plan))), content["body"]);
  },
);

interface Codec<T> {
  readonly decode: (bytes: Uint8Array) => T;
  readonly encode: (value: T) => Uint8Array;
}

/** Reads a record, and writes what was read. */
function rewrite<T>({ decode, encode }: Codec<T>, bytes: Uint8Array): { value: T; written: Uint8Array } {
  const value = decode(bytes);
  return { value, written: encode(value) };
}

const RECORDS: Readonly<Record<string, (bytes: Uint8Array) => { value: object; written: Uint8Array }>> = {
  store: (bytes) => rewrite({ decode: record.decodeStore, encode: record.encodeStore }, bytes),
  dataset: (bytes) => rewrite({ decode: record.decodeDataset, encode: record.encodeDataset }, bytes),
  history: (bytes) => rewrite({ decode: record.decodeHistory, encode: record.encodeHistory }, bytes),
  hint: (bytes) => rewrite({ decode: record.decodeHint, encode: record.encodeHint }, bytes),
  event: (bytes) => rewrite({ decode: record.decodeEvent, encode: record.encodeEvent }, bytes),
  epoch: (bytes) => rewrite({ decode: decodeEpoch, encode: encodeEpoch }, bytes),
  floor: (bytes) => rewrite({ decode: decodeFloor, encode: encodeFloor }, bytes),
  condemned: (bytes) => rewrite({ decode: decodeCondemned, encode: encodeCondemned }, bytes),
  secret: (bytes) => rewrite({ decode: decodeSecret, encode: encodeSecret }, bytes),
  lease: (bytes) => rewrite({ decode: record.decodeLease, encode: record.encodeLease }, bytes),
};

suite("record vectors", () => {
  for (const { name, description, content, error, value } of readVectors("record")) {
    test(`${name}, ${description}, ${error === undefined ? "is read and written" : `fails with ${error}`}`, () => {
      const read = RECORDS[content["kind"] as string];
      assert.ok(read);
      const bytes = Buffer.from(content["text"] as string);
      if (error !== undefined) assert.throws(() => read(bytes), { name: "AetherError", code: error });
      else {
        const again = read(bytes);
        assert.deepEqual(plain(again.value), value);
        assert.equal(Buffer.from(again.written).toString("utf8"), content["text"]);
      }
    });
  }
});

test("vectors, made again, are the same", () => {
  assert.deepEqual(changedFiles(vectorFiles()), [], "node scripts/vectors.ts says what changes");
});

test("a digest of a vector, as bytes and back, is the same", () => {
  const digest = digestOf(Buffer.from("x"));
  assert.equal(digestFromBytes(digestBytes(digest)), digest);
});
