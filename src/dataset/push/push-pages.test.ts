/** Versions whose pages lie in blocks, one after another. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { KiB } from "../../base/limits.ts";
import { CODECS, DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { FrameInfo } from "../../format/block.ts";
import type { PushResult } from "../contract.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { readFolder } from "../testing/folder.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { onHub } from "../testing/session-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { WorkerPool } from "../workers/pool.ts";
import { push } from "./push.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const FILES = 2500;

function writeAll(bed: PushBed): void {
  for (let file = 0; file < FILES; file++) bed.write(nameOf(file), noise(file, 60));
}

function nameOf(file: number): string {
  return `d${String(file % 20).padStart(2, "0")}/file-${file}`;
}

/** Five files get other contents. */
function change(bed: PushBed, release: number): void {
  for (let step = 0; step < 5; step++) bed.write(nameOf(step * 481), noise(release * 10_000 + step, 60));
}

async function pageFrames(bed: PushBed): Promise<FrameInfo[]> {
  return (await bed.frames()).filter(({ isPage }) => isPage);
}

function bytesOf(frames: readonly FrameInfo[]): number {
  return frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
}

/** Pushes releases and holds each to what a change of five files may cost. */
async function releases(bed: PushBed, push: () => Promise<PushResult>): Promise<void> {
  const target = path.join(bed.cacheDir, "target");
  writeAll(bed);
  let last = await push();
  await pull(bed.engine, { name: BED_TAG.name, version: last.digest, target });
  let before = await pageFrames(bed);
  assert.ok(before.every(({ codec }) => codec !== CODECS.delta));
  assert.ok(bytesOf(before) > 64 * KiB, "the pages lie in blocks");
  const versions = [last.digest];
  for (let release = 1; release <= 8; release++) {
    change(bed, release);
    last = await push();
    versions.push(last.digest);
    const all = await pageFrames(bed);
    const added = bytesOf(all) - bytesOf(before);
    assert.ok(added < 8 * KiB, `release ${release} stored ${added} bytes of pages`);
    before = all;
    await pull(bed.engine, { name: BED_TAG.name, version: last.digest, target });
    assert.deepEqual(readFolder(target), readFolder(bed.source));
  }
  for (const version of versions) await bed.read(version);
  const frames = await bed.frames();
  assert.ok(frames.every(({ depth, decodeBytes }) => depth <= DEPTH_MAX && decodeBytes <= DECODE_BYTES_MAX));
  assert.equal(Math.max(...before.map(({ depth }) => depth)), DEPTH_MAX);
}

describe("releases of many files", () => {
  it("store of their pages what changed, and can each be read", async () => {
    const bed = await openPushBed(pool);
    try {
      await releases(bed, () => bed.push());
    } finally {
      await bed.close();
    }
  });

  it(
    "do so through a hub, and send no more",
    onHub(pool, async ({ bed, sessions }) => {
      const engine = { ...bed.engine, ingest: producerOf(sessions) };
      const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
      await releases(bed, () => push(engine, options));
    }),
  );

  it("cost a consumer what changed, wherever the change before was", async () => {
    const bed = await openPushBed(pool);
    try {
      writeAll(bed);
      const target = path.join(bed.cacheDir, "target");
      const big = Array.from({ length: 5 }, (_, file) => Buffer.from(noise(file, 700 * KiB)));
      const fetched: number[] = [];
      let planBytes = 0;
      for (const changed of [0, 1, 4, 2, 1, 3]) {
        big[changed]?.write(`changed ${fetched.length}`, 100 * KiB * (1 + fetched.length));
        for (const [file, bytes] of big.entries()) bed.write(`big-${file}.bin`, bytes);
        const before = bed.files("plans");
        const { digest } = await bed.push();
        for (const [file, bytes] of bed.files("plans"))
          if (fetched.length > 0 && !before.has(file)) planBytes += bytes;
        const result = await pull(bed.engine, { name: BED_TAG.name, version: digest, target });
        fetched.push(result.fetchedBytes);
        assert.deepEqual(readFolder(target), readFolder(bed.source));
      }
      assert.ok(Math.max(...fetched.slice(1)) < 5 * KiB, `updates fetched ${fetched.join(", ")} bytes`);
      assert.ok(planBytes < 10 * KiB, `five updates stored plans of ${planBytes} bytes`);
    } finally {
      await bed.close();
    }
  });

  it("with files added, removed and moved in between, can each be read", async () => {
    const bed = await openPushBed(pool);
    try {
      writeAll(bed);
      const versions = [(await bed.push()).digest];
      for (let release = 1; release <= 5; release++) {
        change(bed, release);
        for (let file = 0; file < 40 * release; file++)
          bed.write(`d0${release}/more-${file}`, noise(file, 50));
        fs.rmSync(path.join(bed.source, `d1${release}`), { recursive: true });
        bed.write(`new-${release}/a`, noise(release, 5000));
        versions.push((await bed.push()).digest);
      }
      for (const version of versions) await bed.read(version);
      assert.equal((await bed.push({ tags: [BED_TAG] })).moved[0], false);
    } finally {
      await bed.close();
    }
  });
});
