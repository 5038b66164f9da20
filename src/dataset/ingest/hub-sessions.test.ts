import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { KiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { noise } from "../testing/engine.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { push } from "../push/push.ts";
import type { PushResult } from "../contract.ts";
import { WorkerPool } from "../workers/pool.ts";
import { openSessions } from "./hub-sessions.ts";
import type { IngestSessions } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

function pushThrough(bed: PushBed, sessions: IngestSessions): Promise<PushResult> {
  const engine = { ...bed.engine, cacheDir: undefined, ingest: producerOf(sessions) };
  const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
  return push(engine, options);
}

describe("a hub's sessions", () => {
  it("a push through them, then another, both versions can be read and unchanged chunks were kept", async () => {
    const bed = await openPushBed(pool);
    const sessions = openSessions(bed.engine, { log: SILENT_LOG });
    try {
      for (let file = 0; file < 60; file++) bed.write(`d${file % 7}/f${file}`, noise(file, 40 * KiB));
      const first = await pushThrough(bed, sessions);
      assert.equal((await bed.read(first.digest)).filter((entry) => entry.kind === "file").length, 60);
      const bytes = noise(3, 40 * KiB);
      bytes.set(noise(99, 500), 7000);
      bed.write("d3/f3", bytes);
      const second = await pushThrough(bed, sessions);
      await bed.read(second.digest);
      assert.notEqual(second.digest, first.digest);
      assert.ok(second.newBytes < 200 * KiB, `${second.newBytes} bytes were new`);
    } finally {
      await sessions.close();
      await bed.close();
    }
  });

  it("the same tree pushed to a hub and to a store, gives the same version", async () => {
    const bed = await openPushBed(pool);
    const other = await openPushBed(pool);
    const sessions = openSessions(bed.engine, { log: SILENT_LOG });
    try {
      for (const each of [bed, other]) {
        for (let file = 0; file < 2000; file++) each.write(`d${file % 50}/f${file}`, noise(file, 100 + file));
      }
      const through = await pushThrough(bed, sessions);
      const local = await other.push();
      assert.equal(through.chunks, local.chunks);
      assert.equal(through.files, local.files);
      await bed.read(through.digest);
    } finally {
      await sessions.close();
      await bed.close();
      await other.close();
    }
  });
});
