import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import type { RangeReader } from "../../store/block-store.ts";
import { collect, noise } from "../testing/engine.ts";
import { openPushBed, type PushBed } from "../testing/push-bed.ts";
import { openVersion, type Version } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { DiskPieces } from "./disk-pieces.ts";
import { StreamReader, type StreamReaderOptions } from "./stream-reader.ts";

const LOCAL: StreamReaderOptions = { isLocal: true, pieceBytes: 512 * KiB, disk: undefined };

/** Of the stream's first file, which is stored raw. */
const RAW_BYTES = 3 * MiB + 17;

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
    bed.write("a.bin", noise(1, RAW_BYTES));
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
  it("asked for any range, on this machine's disk or elsewhere, in pieces of any size, gives what the stream has there", async () => {
    await withVersion(async (bed, version, stream) => {
      const folder = path.join(bed.cacheDir, "pieces");
      const disk = new DiskPieces({ ...bed.engine, folder, bytesMax: 3 * MiB, log: SILENT_LOG });
      for (const options of [
        LOCAL,
        { ...LOCAL, isLocal: false },
        { isLocal: false, pieceBytes: 16 * KiB, disk },
        { isLocal: true, pieceBytes: 100_000, disk },
        { isLocal: false, pieceBytes: MiB, disk: undefined },
      ]) {
        const reader = new StreamReader(bed.engine, options);
        const ends = fc.nat(stream.byteLength);
        await fc.assert(
          fc.asyncProperty(ends, ends, fc.boolean(), async (one, other, isAhead) => {
            const [start, end] = [Math.min(one, other), Math.max(one, other)];
            if (isAhead) await reader.prefetch(version, { start, end });
            const bytes = await collect(copied(reader.read(version, { start, end })));
            assert.ok(bytes.equals(stream.subarray(start, end)));
            const held = await reader.hold(version, { start, end });
            assert.ok(Buffer.concat(held.parts).equals(stream.subarray(start, end)));
            held.release(true);
          }),
          { numRuns: 25 },
        );
      }
    });
  });

  it("whose folder of pieces another process filled, decodes nothing, and believes nothing that is damaged", async () => {
    await withVersion(async (bed, version, stream) => {
      const folder = path.join(bed.cacheDir, "pieces");
      const open = (): StreamReader => {
        const disk = new DiskPieces({ ...bed.engine, folder, bytesMax: 64 * MiB, log: SILENT_LOG });
        return new StreamReader(bed.engine, { isLocal: false, pieceBytes: 128 * KiB, disk });
      };
      const whole = { start: 0, end: stream.byteLength };
      const readAll = (reader = open()): Promise<Buffer> => collect(copied(reader.read(version, whole)));
      assert.ok((await readAll()).equals(stream));
      const blocks = new Map([...bed.files("blocks").keys()].map((file) => [file, fs.readFileSync(file)]));
      for (const file of blocks.keys()) fs.renameSync(file, `${file}.away`);
      const reader = open();
      for (let turn = 0; turn < 2; turn++)
        assert.ok((await readAll(reader)).equals(stream), "without any block");
      const { memory, disk, decoded } = reader.figures;
      assert.deepEqual([memory.bytes, disk.bytes, decoded.bytes], [stream.byteLength, stream.byteLength, 0]);
      for (const file of blocks.keys()) fs.renameSync(`${file}.away`, file);
      const kept = fs
        .readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((item) => item.isFile())
        .map((item) => path.join(item.parentPath, item.name));
      assert.ok(kept.length > 10);
      for (const [index, file] of kept.entries()) {
        const bytes = fs.readFileSync(file);
        const at = (index * 7919) % bytes.byteLength;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        fs.writeFileSync(file, index % 2 === 0 ? bytes : bytes.subarray(0, at));
      }
      assert.ok((await readAll()).equals(stream), "all damaged");
      for (const file of blocks.keys()) fs.renameSync(file, `${file}.away`);
      assert.ok((await readAll()).equals(stream), "what was damaged was kept anew");
    });
  });

  it("with little memory, and many who read slowly at once, gives each the same", async () => {
    await withVersion(async (bed, version, stream) => {
      const engine = { ...bed.engine, memoryBytes: 64 * KiB };
      const reader = new StreamReader(engine, LOCAL);
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

  it("the first of what lies raw on this machine's disk, has each byte read once, whether it is read ahead or not", async () => {
    await withVersion(async (bed, version, stream) => {
      const { blocks } = bed.store;
      let readBytes = 0;
      const counting: RangeReader = {
        stat: (...parameters) => blocks.stat(...parameters),
        read: async (block, range, options) => {
          const bytes = await blocks.read(block, range, options);
          // Content is read into memory that is at hand; pages are not.
          if (options?.into !== undefined) readBytes += bytes.byteLength;
          return bytes;
        },
      };
      const store = { ...bed.store, datasets: bed.store.datasets, blocks: counting };
      const reader = new StreamReader({ ...bed.engine, store }, LOCAL);
      await reader.prefetch(version, { start: 0, end: 2 * MiB });
      for (let turn = 0; turn < 2; turn++) {
        const read = await collect(copied(reader.read(version, { start: 0, end: RAW_BYTES })));
        assert.ok(read.equals(stream.subarray(0, RAW_BYTES)));
        assert.equal(readBytes, RAW_BYTES);
      }
    });
  });

  it("left before its end, gives its memory back", async () => {
    await withVersion(async (bed, version, stream) => {
      const reader = new StreamReader({ ...bed.engine, memoryBytes: 16 * MiB }, LOCAL);
      // What is read first comes in other pieces.
      await collect(copied(reader.read(version, { start: 0, end: stream.byteLength })));
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
      const reader = new StreamReader({ ...bed.engine, memoryBytes: MiB }, LOCAL);
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
      const reader = new StreamReader(bed.engine, LOCAL);
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
      const reader = new StreamReader({ ...bed.engine, memoryBytes: MiB }, LOCAL);
      const range = { start: 0, end: MiB };
      for (const end of [MiB, stream.byteLength])
        assert.ok(
          (await collect(copied(reader.read(version, { start: 0, end })))).equals(stream.subarray(0, end)),
        );
      for await (const { digest } of bed.store.blocks.list()) await bed.store.blocks.remove(digest);
      await assert.rejects(collect(copied(reader.read(version, range))), { code: "OBJECT_MISSING" });
    });
  });
});

/** Pieces that stay as they are. */
async function* copied(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Uint8Array.from(piece);
}
