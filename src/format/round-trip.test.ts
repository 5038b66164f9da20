/** What is encoded and decoded again is the same, and what is decoded and encoded again too. */
import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { digestBytes, digestFromBytes, formatDigest, parseDigest } from "./digest.ts";
import { decodeIndex, encodeBlock, indexBytes } from "./block.ts";
import { CODECS, DELTA_BYTES_MAX, decodeFrame, encodeDelta, encodePlain } from "./frame.ts";
import { HEADER_BYTES } from "./header.ts";
import { decodeBundle, decodeManifestObject, decodeRoot, encodeManifest, encodeRoot } from "./manifest.ts";
import * as page from "./page.ts";
import { decodePlan, encodePlan } from "./plan.ts";
import * as any from "./testing/arbitraries.ts";
import { WireReader, WireWriter, unzigzag, zigzag } from "./wire.ts";

const number = fc.oneof(fc.maxSafeNat(), fc.nat({ max: 300 }));

test("a message, any values, is read as it was written", () => {
  const lists = {
    parts: fc.array(fc.uint8Array(), { maxLength: 8 }),
    numbers: fc.array(number, { maxLength: 8 }),
  };
  fc.assert(
    fc.property(number, fc.uint8Array(), fc.record(lists), (count, bytes, { parts, numbers }) => {
      const writer = new WireWriter().uint(1, count).bytes(2, bytes);
      for (const part of parts) writer.element(3, part);
      const reader = new WireReader(writer.packed(20, numbers).finish(), "a sample");
      assert.equal(reader.uint(1), count);
      assert.deepEqual([...reader.bytes(2)], [...bytes]);
      assert.deepEqual(
        reader.elements(3, 8).map((part) => [...part]),
        parts.map((part) => [...part]),
      );
      assert.deepEqual(reader.packed(20, 8), numbers);
      reader.end();
    }),
  );
});

test("zigzag, any number within 2^52, has its inverse and keeps small numbers small", () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.nat({ max: 2 ** 20 }), (high, low) => {
      const value = high * 2 ** 20 + low;
      assert.equal(unzigzag(zigzag(value)), value);
    }),
  );
  assert.deepEqual([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
});

test("a digest, any, is the same as bytes and as text", () => {
  fc.assert(
    fc.property(any.digests, (digest) => {
      assert.equal(digestFromBytes(digestBytes(digest)), digest);
      assert.equal(parseDigest(formatDigest(digest)), digest);
    }),
  );
});

test("a page of entries, any, is decoded as it was encoded", () => {
  fc.assert(
    fc.property(any.entryLists, (entries) => {
      const decoded = page.decodePage(page.encodeEntryPage(entries), "entries", 0);
      assert.deepEqual(decoded, { kind: "entries", level: 0, entries });
    }),
  );
});

test("pages of times and of chunks, any, are decoded as they were encoded", () => {
  const count = { minLength: 1, maxLength: 100 };
  fc.assert(
    fc.property(fc.array(any.times, count), fc.array(any.chunkItems, count), (times, chunks) => {
      assert.deepEqual(page.decodePage(page.encodeTimePage(times), "times", 0), {
        kind: "times",
        level: 0,
        times,
      });
      const decoded = page.decodePage(page.encodeChunkPage(chunks), "chunks", 0);
      assert.deepEqual(decoded, { kind: "chunks", level: 0, chunks });
    }),
  );
});

test("an inner page, of any tree and level, is decoded as it was encoded", () => {
  fc.assert(
    fc.property(any.childLists, fc.integer({ min: 1, max: 10 }), (children, level) => {
      for (const kind of ["entries", "times", "chunks"] as const) {
        const own = children.map(({ digest, items, bytes, firstPath }) => ({
          digest,
          items,
          bytes: kind === "times" ? 0 : bytes,
          firstPath: kind === "entries" ? firstPath : "",
        }));
        const decoded = page.decodePage(page.encodeInnerPage(kind, level, own), kind, level);
        assert.deepEqual(decoded, { kind, level, children: own });
      }
    }),
  );
});

test("a root, any, is decoded as it was encoded", () => {
  fc.assert(fc.property(any.roots, (root) => assert.deepEqual(decodeRoot(encodeRoot(root)), root)));
});

test("a manifest object, plain or against any other, gives its bundle back", () => {
  const pages = fc.array(any.entryLists.map(page.encodeEntryPage), { maxLength: 4 });
  const bundles = fc
    .tuple(any.roots, pages)
    .map(([root, inline]) => ({ root: encodeRoot(root), pages: inline }));
  fc.assert(
    fc.property(bundles, bundles, any.digests, fc.nat({ max: 3 }), (bundle, other, version, depth) => {
      const base = { version, depth, bundle: other };
      assert.deepEqual(decodeBundle(decodeManifestObject(encodeManifest(bundle))), bundle);
      const object = decodeManifestObject(encodeManifest(bundle, base));
      assert.ok(object.base === undefined || object.depth === depth + 1);
      assert.deepEqual(decodeBundle(object, object.base === undefined ? undefined : other), bundle);
    }),
    { numRuns: 50 },
  );
});

test("a block's index, any frames, is decoded as it was encoded, from the block's end alone", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 20 }), any.frameLists, (domain, frames) => {
      const { head, tail } = encodeBlock(domain, frames);
      const storedBytes = frames.reduce((sum, frame) => sum + frame.storedBytes, 0);
      assert.equal(indexBytes(tail), tail.byteLength);
      const index = decodeIndex(head, tail, HEADER_BYTES + storedBytes + tail.byteLength);
      assert.equal(index.domain, domain);
      const numbers = (list: typeof frames) =>
        list.map((frame) => ({
          ...frame,
          digests: [...frame.digests],
          base: frame.base && { ...frame.base, digests: [...frame.base.digests] },
        }));
      assert.deepEqual(numbers([...index.frames]), numbers(frames));
    }),
  );
});

test("a plan, any, is decoded as it was encoded", () => {
  fc.assert(fc.property(any.plans, (plan) => assert.deepEqual(decodePlan(encodePlan(plan)), plan)));
});

test("a frame, of any bytes and level, decodes to them, alone and against a dictionary", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 5000 });
  fc.assert(
    fc.property(bytes, bytes, fc.integer({ min: 0, max: 22 }), (chunk, dictionary, level) => {
      const plain = encodePlain(chunk, level);
      assert.deepEqual([...decodeFrame(plain.codec, plain.stored, chunk.byteLength)], [...chunk]);
      const delta = encodeDelta(chunk, dictionary, Math.max(level, 1));
      assert.equal(delta.codec, CODECS.delta);
      assert.deepEqual([...decodeFrame(delta.codec, delta.stored, chunk.byteLength, dictionary)], [...chunk]);
    }),
    { numRuns: 50 },
  );
});

test("a frame of the largest chunk, at every level, stays within the window that decoders allow", () => {
  const chunk = Buffer.alloc(2 ** 24, "all is in order here ");
  for (const level of [1, 3, 19, 22]) {
    const { codec, stored } = encodePlain(chunk, level);
    assert.ok(chunk.equals(decodeFrame(codec, stored, chunk.byteLength)), `level ${level}`);
  }
});

test("a delta of bytes that do not compress, on a dictionary of any length that has them, is next to nothing", () => {
  const random = new Uint8Array(DELTA_BYTES_MAX);
  createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(random).copy(random);
  for (const [runBytes, from, dictionaryBytes] of [
    [60_000, 0, 60_000],
    [200_000, 64_000, 330_000],
    [500_000, 0, 655_360],
    [500_000, 500_000, DELTA_BYTES_MAX],
    [DELTA_BYTES_MAX, 0, DELTA_BYTES_MAX],
  ] as const) {
    const dictionary = random.subarray(0, dictionaryBytes);
    const run = new Uint8Array(dictionary.subarray(from, from + runBytes));
    for (let at = 5000; at < run.byteLength; at += 50_000) run[at] = (run[at] ?? 0) ^ 1;
    const { stored } = encodeDelta(run, dictionary, 9);
    assert.ok(stored.byteLength < 1000, `${stored.byteLength} bytes for ${runBytes} of ${dictionaryBytes}`);
  }
});
