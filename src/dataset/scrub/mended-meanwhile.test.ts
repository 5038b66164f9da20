/** Blocks that are mended, or moved to quarantine, while somebody else is at work. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { KiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { noise } from "../testing/engine.ts";
import { halted } from "../testing/halted.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { healStore } from "./heal.ts";
import { Scrubber } from "./scrubber.ts";
import { verifyStore } from "./verify-store.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

/** Pushes one file, whose only block's file it gives, ready to be damaged; the index is gone. */
async function pushOne(bed: PushBed): Promise<string> {
  bed.write("file", noise(1, 60 * KiB));
  await bed.push();
  const [block] = bed.files("blocks").keys();
  fs.rmSync(bed.cacheDir, { recursive: true });
  fs.chmodSync(must(block, "it has one"), 0o600);
  return must(block, "it has one");
}

describe("a block that is damaged", () => {
  it("in its index, and moved to quarantine while a push stores it anew, is stored again before the push ends", () =>
    withPushBed(pool, async (bed) => {
      const block = await pushOne(bed);
      const bytes = fs.readFileSync(block);
      const last = bytes.length - 3;
      bytes[last] = (bytes[last] ?? 0) ^ 1;
      fs.writeFileSync(block, bytes);
      const signal = new AbortController().signal;
      const scrubber = new Scrubber(bed.engine, { log: SILENT_LOG, rateBytes: 1e12, signal });
      const store = halted(bed.store, "datasets", "addManifest", () => scrubber.round());
      const tags = [{ name: parseDatasetName("other"), tag: BED_TAG.tag }];
      const { digest } = await bed.push({ tags, rehash: true }, { store });
      await bed.read(digest);
    }));

  it("was found, and was mended by a push since, is left where it is by who heals from another place", () =>
    withPushBed(pool, async (bed) => {
      const block = await pushOne(bed);
      fs.truncateSync(block, 1000);
      const found = await verifyStore(bed.engine, {});
      assert.ok(found.faultCount > 0);
      const { digest } = await bed.push({ rehash: true });
      await bed.read(digest);
      await healStore(bed.engine, found, () => bed.engine, {});
      await bed.read(digest);
    }));
});
