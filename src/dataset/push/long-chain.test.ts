/** Hundreds of releases, one after another. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { KiB, MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { CODECS, DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import { ChunkIndex } from "../ingest/chunk-index.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { comparable, readFolder } from "../testing/folder.ts";
import { assertWithinLimits } from "../testing/frame-costs.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const RELEASES = 200;
const DATA_BYTES = 40 * KiB;
const LOG_BYTES_MAX = 24 * KiB;
/** Some tens for each chunk of each release; by every way down to a plain one it would be millions. */
const LOOKUPS_MAX = 200_000;

const withBed = (work: (bed: PushBed) => Promise<void>): Promise<void> => withPushBed(pool, work);

/** A source that goes on changing in the same few ways, and stays about as large as it is. */
class Series {
  #data = Buffer.from(noise(1, DATA_BYTES));
  #log = "";
  readonly #bed: PushBed;

  constructor(bed: PushBed) {
    this.#bed = bed;
    for (let index = 0; index < 8; index++) bed.write(`small/${index}`, noise(100 + index, 1500));
  }

  /** Writes the release's files: bytes changed, moved along, appended, a file renamed, one made anew. */
  write(release: number): void {
    const at = (release * 7919) % (DATA_BYTES - 64);
    this.#data.set(noise(release, 16), at);
    const shifted = [noise(500 + release, 5), this.#data.subarray(0, DATA_BYTES / 2)];
    this.#data = Buffer.concat([...shifted, this.#data.subarray(DATA_BYTES / 2 + 5)]);
    this.#log += Buffer.from(noise(900 + release, 200)).toString("hex");
    if (this.#log.length > LOG_BYTES_MAX) this.#log = this.#log.slice(LOG_BYTES_MAX / 2);
    this.#bed.write("data.bin", this.#data);
    this.#bed.write("log.txt", this.#log);
    this.#bed.write(`small/${release % 8}`, noise(100 + release, 1500));
    const named = (number: number): string => path.join(this.#bed.source, `named-${number}`);
    if (release === 0) fs.writeFileSync(named(0), noise(7, 6000));
    else fs.renameSync(named(release - 1), named(release));
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}

describe(`${RELEASES} releases pushed one after another`, () => {
  it("stay within the limits, cost at the end what they cost at the beginning, and come back as they were", () =>
    withBed(async (bed) => {
      const series = new Series(bed);
      const follower = path.join(bed.cacheDir, "follower");
      const kept: { digest: Digest; entries: Entry[] }[] = [];
      const stored: number[] = [];
      for (let release = 0; release < RELEASES; release++) {
        series.write(release);
        const { digest, storedBytes } = await bed.push();
        stored.push(storedBytes);
        await pull(bed.engine, { name: BED_TAG.name, version: digest, target: follower, delete: true });
        const entries = comparable(readFolder(bed.source));
        assert.deepEqual(comparable(readFolder(follower)), entries, `release ${release}, followed`);
        if (release % 10 === 0) kept.push({ digest, entries });
      }
      for (const [index, { digest, entries }] of kept.entries()) {
        const target = path.join(bed.cacheDir, `fresh-${index}`);
        await pull({ ...bed.engine, cacheDir: undefined }, { name: BED_TAG.name, version: digest, target });
        assert.deepEqual(
          comparable(readFolder(target)),
          entries,
          `release ${index * 10}, into a fresh folder`,
        );
      }
      assert.equal(assertWithinLimits(await bed.frames()).depth, DEPTH_MAX);
      const [early, late] = [sum(stored.slice(20, 40)), sum(stored.slice(-20))];
      assert.ok(late < 2 * early, `${early} bytes at the beginning, ${late} at the end`);
      assert.ok(late < 20 * DATA_BYTES, `${late} bytes for 20 releases`);
    }));
});

describe("releases of which each changes every chunk", () => {
  it("stay within what decoding may take, are soon placed, and come back as they were", (t) =>
    withBed(async (bed) => {
      const file = Buffer.from(noise(3, MiB));
      const versions: Digest[] = [];
      const lookups = t.mock.method(ChunkIndex.prototype, "find");
      let count = 0;
      for (let release = 0; release < 6; release++) {
        for (let at = release; at < file.byteLength; at += 2 * KiB) file[at] = release;
        bed.write("data.bin", file);
        versions.push((await bed.push()).digest);
        count += lookups.mock.callCount();
        lookups.mock.resetCalls();
      }
      assert.ok(count < LOOKUPS_MAX, `${count} times it was asked where a chunk lies`);
      const frames = await bed.frames();
      const { decodeBytes } = assertWithinLimits(frames);
      assert.ok(decodeBytes > DECODE_BYTES_MAX / 2, `${decodeBytes} bytes: the limit was hardly in reach`);
      assert.ok(frames.filter(({ codec }) => codec === CODECS.delta).length >= 6);
      for (const version of versions) await bed.read(version);
    }));
});
