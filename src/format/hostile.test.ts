/** Decoders on bytes that somebody made to harm them. `npm run fuzz` does the same for as long as one likes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { MiB } from "../base/limits.ts";
import { decodeFrame, decodeFrameWithin } from "./frame.ts";
import { encodeHeader } from "./header.ts";
import { decodeBundle, decodeManifestObject } from "./manifest.ts";
import { PAGE_BYTES_MAX } from "./page.ts";
import { decodePlan } from "./plan.ts";
import { hostileBytes, refusal, targets } from "./testing/hostile.ts";
import { WireWriter } from "./wire.ts";

for (const target of targets()) {
  test(`${target.name}, mutated or random bytes, is read or refused with a code of the format`, () => {
    let refused = 0;
    fc.assert(
      fc.property(hostileBytes(target), (bytes) => {
        if (refusal(target, bytes) !== undefined) refused++;
      }),
      { numRuns: 300 },
    );
    assert.ok(refused > 50, `only ${refused} were refused`);
  });
}

/** A zstd frame whose header promises this much, in one block of one repeated byte (RFC 8878 §3.1.1). */
function promisingFrame(contentBytes: bigint): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32LE(0xfd2fb528, 0);
  header.writeUInt8(0xe0, 4);
  header.writeBigUInt64LE(contentBytes, 5);
  const block = (1 << 1) | 1 | (100_000 << 3);
  return Buffer.concat([header, Buffer.of(block & 255, (block >> 8) & 255, (block >> 16) & 255, 7)]);
}

/** A frame that says little and refers back a long way: a window of 2 GiB. */
function wideFrame(): Buffer {
  return Buffer.from("28b52ffd00a8030000070000", "hex");
}

/** Resident memory that `act` adds at most, in bytes. */
function memoryOf(act: () => void): number {
  const before = process.memoryUsage().rss;
  act();
  return process.memoryUsage().rss - before;
}

test("a zstd frame that promises 4 GiB, or a window of 2 GiB, is refused without making room for it", () => {
  const grown = memoryOf(() => {
    for (const frame of [promisingFrame(2n ** 32n), promisingFrame(2n ** 63n), wideFrame()]) {
      assert.throws(() => decodeFrameWithin(1, frame, PAGE_BYTES_MAX), { code: "OBJECT_CORRUPT" });
      assert.throws(() => decodeFrame(1, frame, 100_000), { code: "OBJECT_CORRUPT" });
    }
  });
  assert.ok(grown < 64 * MiB, `${grown} bytes more`);
});

test("a zstd frame that holds 256 MiB of zeros, in a page, a plan and a manifest, is refused with little memory", () => {
  const bomb = zstdCompressSync(Buffer.alloc(256 * MiB), {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  });
  const plan = new WireWriter()
    .uint(1, 16 * MiB)
    .bytes(2, bomb)
    .finish();
  const manifest = new WireWriter()
    .uint(1, 1)
    .uint(2, 80 * 1024)
    .bytes(5, bomb)
    .finish();
  const grown = memoryOf(() => {
    assert.throws(() => decodeFrameWithin(1, bomb, PAGE_BYTES_MAX), { code: "OBJECT_CORRUPT" });
    const planObject = Buffer.concat([encodeHeader("plan"), plan]);
    assert.throws(() => decodePlan(planObject), { code: "OBJECT_CORRUPT" });
    const object = decodeManifestObject(Buffer.concat([encodeHeader("manifest"), manifest]));
    assert.throws(() => decodeBundle(object), { code: "OBJECT_CORRUPT" });
  });
  assert.ok(grown < 96 * MiB, `${grown} bytes more`);
});

test("a record of brackets nested a million deep is refused", () => {
  const nested = Buffer.alloc(1_000_000, "[");
  for (const target of targets().filter(({ name }) => name.endsWith("record"))) {
    assert.equal(refusal(target, nested), "OBJECT_INVALID");
  }
});
