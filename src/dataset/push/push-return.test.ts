/** Content that goes back to what it was. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { MiB } from "../../base/limits.ts";
import { CODECS, DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { PullResult, PushResult } from "../contract.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const PLACES = [50_000, 300_000, 600_000];

/** The file, with these places overwritten, and one that is different in each release. */
function release(number: number, places: readonly number[]): Uint8Array {
  const file = noise(1, MiB);
  for (const place of places) file.set(Buffer.from("overwritten"), place);
  file.set(Buffer.from(`release ${number}`), 900_000);
  return file;
}

async function pushFile(bed: PushBed, file: Uint8Array): Promise<PushResult> {
  bed.write("file", file);
  return bed.push();
}

function pullInto(bed: PushBed, folder: string, { digest }: PushResult): Promise<PullResult> {
  const target = path.join(bed.cacheDir, folder);
  return pull(bed.engine, { name: BED_TAG.name, version: digest, target });
}

describe("a file in which places go back to what they were", () => {
  it("costs who has the release before about the change, and others nothing more", async () => {
    const bed = await openPushBed(pool);
    try {
      await pullInto(bed, "follows", await pushFile(bed, release(1, [])));
      for (const [number, places] of [PLACES, [], PLACES, []].entries()) {
        const file = release(number + 2, places);
        const pushed = await pushFile(bed, file);
        const { fetchedBytes, manifestBytes } = await pullInto(bed, "follows", pushed);
        assert.ok(fs.readFileSync(path.join(bed.cacheDir, "follows/file")).equals(file));
        const content = fetchedBytes - manifestBytes;
        assert.ok(content < 3000, `release ${number + 2} fetched ${content} bytes`);
        assert.ok(pushed.storedBytes - pushed.manifestBytes < 20_000, `${pushed.storedBytes} stored`);
        const fresh = await pullInto(bed, `fresh-${number}`, pushed);
        assert.ok(fresh.fetchedBytes < 1.1 * MiB, `${fresh.fetchedBytes} fetched at once`);
        await bed.read(pushed.digest);
      }
      for (const { depth, decodeBytes } of await bed.frames()) {
        assert.ok(depth <= DEPTH_MAX && decodeBytes <= DECODE_BYTES_MAX);
      }
    } finally {
      await bed.close();
    }
  });

  it("is not stored once more where the release before has it elsewhere, or the push has it twice", async () => {
    const bed = await openPushBed(pool);
    try {
      bed.write("m/file", noise(1, MiB));
      bed.write("other", noise(2, MiB));
      await bed.push();
      fs.renameSync(path.join(bed.source, "m/file"), path.join(bed.source, "z"));
      bed.write("n/new", noise(3, 100_000));
      bed.write("p/same", noise(3, 100_000));
      const { newBytes, digest } = await bed.push();
      await bed.read(digest);
      assert.equal(newBytes, 100_000);
      assert.ok((await bed.frames()).every(({ codec, isPage }) => isPage || codec !== CODECS.delta));
    } finally {
      await bed.close();
    }
  });
});
