import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { collect, noise } from "../testing/engine.ts";
import { openPushBed, type PushBed } from "../testing/push-bed.ts";
import { openVersion, type Version } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { StreamReader } from "./stream-reader.ts";

let pool: WorkerPool;
before(() => {
  pool = new WorkerPool(2);
});
after(() => pool.close());

/** A version whose stream has raw, zstd and delta frames, and its stream. */
async function withVersion(
  work: (bed: PushBed, version: Version, stream: Buffer) => Promise<void>,
): Promise<void> {
  const bed = await openPushBed(pool);
  try {
    const text = Buffer.from(
      Array.from({ length: 40_000 }, (_, line) => `${line} ${line * 7919}\n`).join(""),
    );
    bed.write("a.bin", noise(1, 3 * MiB + 17));
    bed.write("b.txt", text);
    await bed.push();
    text.write("changed", 200_000);
    bed.write("b.txt", text);
    bed.write("c.bin", noise(2, 300_000));
    const { digest } = await bed.push();
    const stream = Buffer.concat(
      ["a.bin", "b.txt", "c.bin"].map((name) => fs.readFileSync(`${bed.source}/${name}`)),
    );
    await work(bed, await openVersion(bed.engine, digest), stream);
  } finally {
    await bed.close();
  }
}

describe("a reader of streams", () => {
  it("asked for any range, on this machine's disk or elsewhere, gives what the stream has there", async () => {
    await withVersion(async (bed, version, stream) => {
      for (const isLocal of [true, false]) {
        const reader = new StreamReader(bed.engine, { isLocal });
        const ends = fc.nat(stream.byteLength);
        await fc.assert(
          fc.asyncProperty(ends, ends, async (one, other) => {
            const [start, end] = [Math.min(one, other), Math.max(one, other)];
            const bytes = await collect(copied(reader.read(version, { start, end })));
            assert.ok(bytes.equals(stream.subarray(start, end)));
          }),
          { numRuns: 40 },
        );
      }
    });
  });

  it("with little memory, and many who read slowly at once, gives each the same", async () => {
    await withVersion(async (bed, version, stream) => {
      const engine = { ...bed.engine, memoryBytes: 64 * KiB };
      const reader = new StreamReader(engine, { isLocal: true });
      const slowly = async (start: number): Promise<void> => {
        let at = start;
        for await (const piece of reader.read(version, { start, end: stream.byteLength })) {
          await systemClock.sleep(1);
          assert.ok(stream.subarray(at, at + piece.byteLength).equals(piece));
          at += piece.byteLength;
        }
        assert.equal(at, stream.byteLength);
      };
      await Promise.all(Array.from({ length: 12 }, (_, index) => slowly(index * 100_000)));
    });
  });

  it("left before its end, gives its memory back", async () => {
    await withVersion(async (bed, version, stream) => {
      const reader = new StreamReader({ ...bed.engine, memoryBytes: 16 * MiB }, { isLocal: true });
      const sizes = new Set<number>();
      for (let turn = 0; turn < 20; turn++) {
        let last = 0;
        for await (const piece of reader.read(version, { start: 0, end: stream.byteLength })) {
          const isSecond = last > 0;
          last = piece.byteLength;
          if (isSecond) break;
        }
        sizes.add(last);
      }
      assert.deepEqual([...sizes].length, 1, "as much at last as at first");
    });
  });

  it("left while a piece may still be on its way to a client, changes nothing of that piece", async () => {
    await withVersion(async (bed, version, stream) => {
      const reader = new StreamReader({ ...bed.engine, memoryBytes: MiB }, { isLocal: true });
      const whole = { start: 0, end: stream.byteLength };
      const left: [number, Uint8Array][] = [];
      for (const start of [0, 1_000_000, stream.byteLength - 700_000]) {
        for await (const piece of reader.read(version, { start, end: stream.byteLength })) {
          left.push([start, piece]);
          break;
        }
      }
      for (let turn = 0; turn < 3; turn++) await collect(copied(reader.read(version, whole)));
      for (const [start, piece] of left) {
        assert.ok(stream.subarray(start, start + piece.byteLength).equals(piece));
      }
    });
  });

  it("of a block that is damaged, fails with OBJECT_CORRUPT, as often as it is asked", async () => {
    await withVersion(async (bed, version, stream) => {
      for (const file of bed.files("blocks").keys()) {
        fs.chmodSync(file, 0o600);
        const bytes = fs.readFileSync(file);
        for (let at = 1000; at < bytes.byteLength; at += 5000) bytes[at] = (bytes[at] ?? 0) ^ 1;
        fs.writeFileSync(file, bytes);
      }
      const reader = new StreamReader(bed.engine, { isLocal: true });
      for (const range of [
        { start: 0, end: 10 * KiB },
        { start: 0, end: 10 * KiB },
        { start: 0, end: stream.byteLength },
      ]) {
        await assert.rejects(collect(copied(reader.read(version, range))), { code: "OBJECT_CORRUPT" });
      }
    });
  });

  it("of a block that is gone, fails with OBJECT_MISSING, also after it was read", async () => {
    await withVersion(async (bed, version, stream) => {
      const reader = new StreamReader(bed.engine, { isLocal: true });
      const range = { start: 0, end: MiB };
      assert.ok((await collect(copied(reader.read(version, range)))).equals(stream.subarray(0, MiB)));
      for await (const { digest } of bed.store.blocks.list()) await bed.store.blocks.remove(digest);
      await assert.rejects(collect(copied(reader.read(version, range))), { code: "OBJECT_MISSING" });
    });
  });
});

/** Pieces that stay as they are. */
async function* copied(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Uint8Array.from(piece);
}
