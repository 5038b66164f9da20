/** Many releases, one after another. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { KiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import { CODECS, DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const FILE_BYTES = 200 * KiB;

const withBed = (work: (bed: PushBed) => Promise<void>): Promise<void> => withPushBed(pool, work);

/** Some bytes of each tenth of the file become others. */
function change(file: Buffer, release: number): void {
  for (let at = 0; at < file.byteLength; at += FILE_BYTES / 10) file.set(noise(release * 1000 + at, 16), at);
}

describe("releases pushed one after another", () => {
  it("cost about their changes, stay within the limits of decoding, and can each be read", () =>
    withBed(async (bed) => {
      const file = Buffer.from(noise(1, FILE_BYTES));
      const versions: Digest[] = [];
      const stored: number[] = [];
      for (let release = 0; release < 60; release++) {
        if (release > 0) change(file, release);
        bed.write("data.bin", file);
        const { digest, storedBytes } = await bed.push();
        versions.push(digest);
        stored.push(storedBytes);
      }
      for (const version of versions) await bed.read(version);
      const frames = await bed.frames();
      assert.ok(
        frames.every(({ depth, decodeBytes }) => depth <= DEPTH_MAX && decodeBytes <= DECODE_BYTES_MAX),
      );
      assert.ok(frames.filter(({ codec, isPage }) => codec !== CODECS.delta && !isPage).length < 60);
      const updates = stored.slice(1).sort((one, other) => one - other);
      const median = updates[updates.length >>> 1] ?? NaN;
      assert.ok(median < FILE_BYTES / 8, `${median} bytes were stored for the median update`);
    }));

  it("cost a consumer of each about the change, in any folder that holds the one before", () =>
    withBed(async (bed) => {
      const file = Buffer.from(noise(1, FILE_BYTES));
      for (let small = 0; small < 20; small++) bed.write(`small/${small}`, noise(100 + small, 3000));
      const target = path.join(bed.cacheDir, "target");
      const fetched: number[] = [];
      for (let release = 0; release < 12; release++) {
        if (release > 0) change(file, release);
        bed.write("data.bin", file);
        bed.write(`small/${release}`, noise(200 + release, 3000).subarray(0, 40));
        const { digest } = await bed.push();
        const result = await pull(bed.engine, { name: BED_TAG.name, version: digest, target });
        fetched.push(result.fetchedBytes);
        assert.ok(fs.readFileSync(path.join(target, "data.bin")).equals(file));
      }
      const updates = fetched.slice(1).sort((one, other) => one - other);
      assert.ok((updates[8] ?? NaN) < 12 * KiB, `updates fetched ${updates.join(", ")} bytes`);
    }));

  it("of any sizes and changes, give each back as it was", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.nat(60_000), fc.nat(30_000), fc.nat(255)), { maxLength: 6 }), {
          minLength: 4,
          maxLength: 9,
        }),
        (releases) =>
          withBed(async (bed) => {
            let file = Buffer.from(noise(7, 60_000));
            const versions: Digest[] = [];
            for (const splices of releases) {
              for (const [at, bytes, byte] of splices) {
                const put = Buffer.alloc(bytes >>> 4, byte);
                file = Buffer.concat([file.subarray(0, at), put, file.subarray(at + (bytes >>> 5))]);
              }
              bed.write("data.bin", file);
              versions.push((await bed.push()).digest);
            }
            for (const version of versions) await bed.read(version);
          }),
      ),
      { numRuns: 15 },
    ));
});
