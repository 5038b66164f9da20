import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { SILENT_LOG } from "../../base/log.ts";
import { KiB } from "../../base/limits.ts";
import { openSessions } from "../ingest/hub-sessions.ts";
import { noise } from "../testing/engine.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { WorkerPool } from "../workers/pool.ts";
import { push } from "./push.ts";
import type { PushResult } from "../contract.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

/** Pushes the bed's source into its store. */
type Push = () => Promise<PushResult>;

/** The ways in: into the store itself, and through a hub's sessions. */
const WAYS: readonly (readonly [
  string,
  (bed: PushBed, use: (push: Push) => Promise<void>) => Promise<void>,
])[] = [
  ["into a store", (bed, use) => use(() => bed.push())],
  [
    "through a hub",
    async (bed, use) => {
      const sessions = openSessions(bed.engine, { log: SILENT_LOG });
      const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
      try {
        await use(() => push({ ...bed.engine, ingest: producerOf(sessions) }, options));
      } finally {
        await sessions.close();
      }
    },
  ],
];

/** The bytes with a few of them overwritten in every 40 KB. */
function edited(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (let at = 9000; at < copy.length; at += 40_000) copy.set(Buffer.from("edited"), at);
  return copy;
}

const BIG = noise(11, 300_000);
const OTHER = noise(12, 200_000);

function move(bed: PushBed, from: string, to: string, change: (bytes: Uint8Array) => Uint8Array): void {
  const file = path.join(bed.source, from);
  bed.write(to, change(fs.readFileSync(file)));
  if (from !== to) fs.rmSync(file);
}

const CHANGES: readonly (readonly [string, (bed: PushBed) => void])[] = [
  ["a file that was renamed and edited", (bed) => move(bed, "m/big", "a/renamed", edited)],
  ["a file that was renamed to a later path and edited", (bed) => move(bed, "m/big", "z/renamed", edited)],
  [
    "a folder that was moved, its files edited",
    (bed) => {
      for (const name of ["big", "other"]) move(bed, `m/${name}`, `moved/deep/${name}`, edited);
    },
  ],
  ["an edited copy", (bed) => bed.write("m/copy", edited(BIG))],
  ["files put together, and edited", (bed) => bed.write("m/all", edited(Buffer.concat([OTHER, BIG])))],
  [
    "a file whose halves were swapped, and edited throughout",
    (bed) => bed.write("m/big", edited(Buffer.concat([BIG.subarray(150_000), BIG.subarray(0, 150_000)]))),
  ],
];

for (const [way, withPush] of WAYS) {
  describe(`pushed ${way}`, () => {
    for (const [what, change] of CHANGES) {
      it(`${what}, is stored as deltas on what it resembles`, async () => {
        const bed = await openPushBed(pool);
        try {
          bed.write("m/big", BIG);
          bed.write("m/other", OTHER);
          await withPush(bed, async (pushSource) => {
            await pushSource();
            change(bed);
            const result = await pushSource();
            await bed.read(result.digest);
            assert.ok(result.newBytes > 20 * KiB, `${result.newBytes} bytes are new`);
            const contentBytes = result.storedBytes - result.manifestBytes;
            assert.ok(contentBytes < result.newBytes / 4, `${contentBytes} for ${result.newBytes}`);
          });
        } finally {
          await bed.close();
        }
      });
    }
  });
}

describe("a push into a store whose similar content is damaged", () => {
  it("stores plain what would have been a delta on it", async () => {
    const bed = await openPushBed(pool);
    try {
      bed.write("m/big", BIG);
      await bed.push();
      for (const file of bed.files("blocks").keys()) {
        const bytes = fs.readFileSync(file);
        for (let at = 100; at < 300_000; at += 1000) bytes[at] = (bytes[at] ?? 0) ^ 1;
        fs.chmodSync(file, 0o600);
        fs.writeFileSync(file, bytes);
      }
      fs.rmSync(path.join(bed.source, "m/big"));
      // Nothing of what is damaged remains: only similar chunks lie there.
      const unlike = edited(BIG);
      for (let at = 500; at < unlike.length; at += 3000) unlike[at] = 1;
      bed.write("a/new", unlike);
      await bed.read((await bed.push()).digest);
    } finally {
      await bed.close();
    }
  });
});
