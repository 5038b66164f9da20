import assert from "node:assert/strict";
import { after, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { RangeReader } from "../../store/block-store.ts";
import { noise } from "../testing/engine.ts";
import { withPushBed } from "../testing/push-bed.ts";
import { openVersion } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { StreamReader } from "./stream-reader.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

it("reading ahead over a page's end, of content that is gone, harms nobody: no failure is left unseen", () =>
  withPushBed(pool, async (bed) => {
    bed.write("a.bin", noise(1, 48 * MiB));
    const { digest } = await bed.push();
    const { blocks } = bed.store;
    const failing: RangeReader = {
      stat: (...parameters) => blocks.stat(...parameters),
      read: async (block, range, options) => {
        // Content is read into memory that is at hand; pages are not, and are slow.
        if (options?.into !== undefined) throw new AetherError("OBJECT_MISSING", "it was pruned");
        await systemClock.sleep(30);
        return blocks.read(block, range, options);
      },
    };
    const engine = { ...bed.engine, store: { ...bed.store, datasets: bed.store.datasets, blocks: failing } };
    const version = await openVersion(engine, digest, { isEager: true });
    assert.equal(version.bundle.pages.length, 0, "its pages lie in blocks");
    const reader = new StreamReader(engine, { isLocal: false, pieceBytes: 64 * KiB, disk: undefined });
    const unseen: unknown[] = [];
    const note = (error: unknown): void => void unseen.push(error);
    process.on("unhandledRejection", note);
    try {
      await reader.prefetch(version, { start: 0, end: 8 * MiB });
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off("unhandledRejection", note);
    }
    assert.deepEqual(unseen, []);
  }));
