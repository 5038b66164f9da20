/** Pruning real stores: what goes, what stays, and what may be brought back. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { KiB } from "../../base/limits.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { encodePlain } from "../../format/frame.ts";
import type { IngestFrame } from "../ingest/ingest.ts";
import { beginLocalSession } from "../ingest/local-ingest.ts";
import { pull } from "../pull/pull.ts";
import { removeTag, rollback, tagVersion } from "../tag-changes.ts";
import { noise } from "../testing/engine.ts";
import { comparable, readFolder } from "../testing/folder.ts";
import {
  contentFiles,
  fails,
  LONG_MS,
  NOTHING,
  pruned,
  release,
  SAYS,
  tagged,
} from "../testing/prune-bed.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const onBed = (work: (bed: PushBed) => Promise<void>) => (): Promise<void> => withPushBed(pool, work);

function plainOf(bytes: Uint8Array): IngestFrame {
  const chunks = [{ digest: digestOf(bytes), length: bytes.byteLength }];
  return { ...encodePlain(bytes, 3), chunks, base: undefined };
}

describe("a prune", () => {
  it(
    "of a store in which everything is needed changes nothing",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      bed.write("file", noise(2, 100 * KiB));
      await release(bed, "v2");
      const before = contentFiles(bed);
      const result = await pruned(bed);
      assert.deepEqual([result.removed, result.condemned, result.versions], [NOTHING, NOTHING, 2]);
      assert.deepEqual(contentFiles(bed), before);
      assert.equal(bed.files("leases", "epochs", "condemned").size, 0);
    }),
  );

  it(
    "of a store whose only tag was removed removes all content",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const { removed, kept } = await pruned(bed);
      assert.ok(removed.blocks === 1 && removed.blockBytes > 100 * KiB && removed.others === 2);
      assert.deepEqual(kept, NOTHING);
      assert.deepEqual(contentFiles(bed), []);
    }),
  );

  it(
    "that only looks says what would go, and writes nothing",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const before = [...bed.files("").keys()].filter((file) => !file.endsWith("lock"));
      const { condemned, removed } = await pruned(bed, { dryRun: true });
      assert.deepEqual([condemned.blocks, condemned.others, removed], [1, 2, NOTHING]);
      assert.deepEqual(
        [...bed.files("").keys()].filter((file) => !file.endsWith("lock")),
        before,
      );
    }),
  );

  it(
    "leaves what it condemns for the grace time, and then removes it",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      const digest = await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const first = await pruned(bed, { graceMs: LONG_MS });
      assert.deepEqual([first.removed, first.condemned.blocks, first.ripeInMs], [NOTHING, 1, LONG_MS]);
      const second = await pruned(bed, { graceMs: LONG_MS });
      assert.deepEqual([second.removed, second.condemned], [NOTHING, NOTHING]);
      assert.ok((second.ripeInMs ?? 0) > LONG_MS / 2);
      await bed.read(digest);
      assert.equal((await pruned(bed)).removed.blocks, 1);
    }),
  );

  it(
    "stops at a version that cannot be read, and removes nothing",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed, { graceMs: LONG_MS });
      bed.write("file", noise(2, 100 * KiB));
      const { digest } = await bed.push();
      for await (const plan of bed.store.datasets.listObjects("plans")) {
        if (plan === digest) await bed.store.datasets.removeObject("plans", plan);
      }
      const before = contentFiles(bed);
      await fails(pruned(bed), "OBJECT_MISSING");
      assert.deepEqual(contentFiles(bed), before);
      assert.equal(bed.files("leases").size, 0);
      // Pushed again, it is whole; and the epoch is still there to be swept.
      await bed.push({ rehash: true });
      assert.equal((await pruned(bed)).removed.blocks, 1);
      await bed.read(digest);
    }),
  );

  it(
    "waits for a session that began before it, and goes on when that has ended",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const session = await beginLocalSession(bed.engine, { tags: [BED_TAG], publisher: "slow" }, {});
      const held = await pruned(bed);
      assert.deepEqual([held.removed, held.holders.map(({ holder }) => holder)], [NOTHING, ["slow"]]);
      await session.abort();
      assert.equal((await pruned(bed)).removed.blocks, 1);
    }),
  );

  it(
    "does not wait for a session that began after it marked",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed, { graceMs: LONG_MS });
      const session = await beginLocalSession(bed.engine, { tags: [BED_TAG], publisher: "late" }, {});
      // The lease says so with its next renewal, which a block brings.
      await session.put([plainOf(noise(3, KiB))]);
      await session.keep();
      assert.equal((await pruned(bed)).removed.blocks, 1);
      await session.abort();
    }),
  );
});

describe("what a prune condemned", () => {
  it(
    "and is pushed again before it goes, stays whole",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      const digest = await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed, { graceMs: LONG_MS });
      const again = await bed.push({ tags: [tagged("v2")] });
      assert.deepEqual([again.digest, again.newChunks], [digest, 0]);
      assert.deepEqual((await pruned(bed)).removed, NOTHING);
      await bed.read(digest);
    }),
  );

  it(
    "comes back by a rollback within the grace time, and not after it",
    onBed(async (bed) => {
      bed.write("file", noise(1, 100 * KiB));
      const digest = await release(bed, "v1");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed, { graceMs: LONG_MS });
      await rollback(bed.engine, tagged("v1"), SAYS);
      assert.deepEqual((await pruned(bed)).removed, NOTHING);
      await bed.read(digest);
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed);
      await fails(rollback(bed.engine, tagged("v1"), SAYS), "VERSION_NOT_FOUND");
    }),
  );

  it(
    "cannot be tagged once a part of it is gone, though its manifest stays as the base of another's",
    onBed(async (bed) => {
      bed.write("file", noise(1, 200 * KiB));
      bed.write("other", noise(5, 200 * KiB));
      const first = await release(bed, "v1");
      bed.write("file", noise(2, 200 * KiB));
      const second = await bed.push({ tags: [tagged("v2")] });
      await removeTag(bed.engine, tagged("v1"), SAYS);
      await pruned(bed, { repackBelow: 0.9 });
      assert.equal(await bed.store.datasets.hasObject("manifests", first), true);
      const source = { host: undefined, name: BED_TAG.name, tag: undefined, digest: first };
      await fails(tagVersion(bed.engine, source, tagged("v3"), SAYS), "VERSION_NOT_FOUND");
      await bed.read(second.digest);
    }),
  );
});

describe("of many releases, in a row, a prune that repacks", () => {
  const RELEASES = 24;

  function edit(bed: PushBed, number: number): void {
    const data = Buffer.from(noise(7, 60 * KiB));
    for (let at = 0; at <= number; at++) data.set(noise(at, 24), (at * 7919) % (data.byteLength - 64));
    bed.write("data", data);
    bed.write(`files/${number % 5}`, noise(1000 + number, 3 * KiB));
    if (number % 6 === 5) fs.rmSync(path.join(bed.source, `files/${number % 5}`));
  }

  it(
    "leaves every version whole that a tag names, frees the rest, and pushes go on",
    onBed(async (bed) => {
      const versions: Digest[] = [];
      for (let number = 0; number < RELEASES; number++) {
        edit(bed, number);
        versions.push(await release(bed, `v${number}`));
      }
      const full = bed.contentBytes();
      const live = new Set(versions.keys());
      for (const dropped of [
        [0, 1, 2, 3, 4],
        [7, 9, 11, 13],
        [5, 6, 8, 10, 12, 14, 15, 16, 17, 18, 19],
      ]) {
        for (const number of dropped) {
          await removeTag(bed.engine, tagged(`v${number}`), SAYS);
          live.delete(number);
        }
        const { unusedBytes, kept } = await pruned(bed, { repackBelow: 0.8 });
        assert.ok(
          unusedBytes < kept.blockBytes / 3,
          `${unusedBytes} of ${kept.blockBytes} bytes are of no use`,
        );
        for (const number of live) await bed.read(versions[number] ?? assert.fail());
      }
      assert.ok(bed.contentBytes() < full * 0.75, `${bed.contentBytes()} of ${full} bytes are left`);
      for (let number = RELEASES; number < RELEASES + 6; number++) {
        edit(bed, number);
        const digest = await release(bed, `v${number}`);
        const target = path.join(bed.cacheDir, "target");
        await pull(bed.engine, { name: BED_TAG.name, version: digest, target, delete: true });
        assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(bed.source)));
        await pruned(bed, { repackBelow: 0.8 });
      }
    }),
  );

  it(
    "moves chunks, and the index knows where: pushing one of them again sends nothing",
    onBed(async (bed) => {
      for (let file = 0; file < 8; file++) bed.write(`f${file}`, noise(file, 40 * KiB));
      await release(bed, "v1");
      for (let file = 1; file < 8; file++) fs.rmSync(path.join(bed.source, `f${file}`));
      const kept = await release(bed, "v2");
      await removeTag(bed.engine, tagged("v1"), SAYS);
      const { repacked, removed } = await pruned(bed, { repackBelow: 0.5 });
      assert.ok(repacked.blocks === 1 && repacked.newBytes < 60 * KiB && removed.blocks >= 1);
      bed.write("new", "another file");
      const { newChunks } = await bed.push({ rehash: true });
      assert.equal(newChunks, 1);
      await bed.read(kept);
    }),
  );
});

describe("of versions whose pages lie in blocks, a prune", () => {
  const FILES = 2500;

  it(
    "keeps the pages and plans that live ones need, and no others",
    onBed(async (bed) => {
      for (let file = 0; file < FILES; file++) bed.write(`d${file % 20}/file-${file}`, noise(file, 60));
      const versions = [await release(bed, "v0")];
      for (let number = 1; number < 8; number++) {
        for (let step = 0; step < 5; step++)
          bed.write(`d${step}/file-${step + 20 * number}`, noise(number * 10_000 + step, 60));
        versions.push(await release(bed, `v${number}`));
      }
      for (const number of [0, 1, 2, 4, 5]) await removeTag(bed.engine, tagged(`v${number}`), SAYS);
      const plans = bed.files("plans").size;
      await pruned(bed, { repackBelow: 0.9 });
      assert.ok(bed.files("plans").size < plans);
      for (const number of [3, 6, 7]) await bed.read(versions[number] ?? assert.fail());
      assert.deepEqual((await pruned(bed, { repackBelow: 0.9 })).condemned, NOTHING);
    }),
  );
});
