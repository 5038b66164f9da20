/** Copies killed at any point. AETHERFS_CRASH_SEED repeats a run, as far as time allows. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { comparable, readFolder, temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { WorkerPool } from "../../src/dataset/workers/pool.ts";
import type { Digest } from "../../src/format/digest.ts";
import { NAME, TAG, complete, engineOptions, withEngine, type CrashTask } from "./crash-task.ts";
import { readVersion } from "./read-back.ts";
import { resolve } from "../../src/dataset/resolve.ts";
import { codeOf } from "../../src/base/errors.ts";
import { bytesOf, chooseSeed, fractionsOf } from "./seeded.ts";
import { killPoint, Victims } from "./victims.ts";

/** Kills of one copy after another, on one target. */
const KILLS = 10;
const FILE_BYTES = 6 * MiB;
/** Memory of the target's engine: its blocks are a sixth of it. */
const MEMORY_BYTES = 12 * MiB;
const BLOCK_BYTES = MEMORY_BYTES / 6;

const seed = chooseSeed();
const shared = temporaryFolder();
const victims = new Victims(shared.path);
const pool = new WorkerPool(2);
after(async () => {
  await victims.close();
  await pool.close();
  shared.remove();
});

function blockBytes(store: string): number {
  const all = fs.readdirSync(path.join(store, "aetherfs/v1/blocks"), {
    recursive: true,
    withFileTypes: true,
  });
  return all
    .filter((item) => item.isFile())
    .reduce((sum, item) => sum + fs.statSync(path.join(item.parentPath, item.name)).size, 0);
}

async function headOf(task: CrashTask): Promise<Digest | undefined> {
  return await withEngine(task.engine, pool, async (engine) => {
    try {
      return (await resolve(engine, { host: undefined, name: NAME, tag: TAG, digest: undefined })).version;
    } catch (error) {
      if (codeOf(error) === "DATASET_NOT_FOUND" || codeOf(error) === "TAG_NOT_FOUND") return undefined;
      throw error;
    }
  });
}

test(`copy, killed ${KILLS} times, moves no tag before all is there, and the next one copies the rest`, async (t) => {
  t.diagnostic(`AETHERFS_CRASH_SEED=${seed}`);
  const fractions = fractionsOf(seed);
  const folder = path.join(shared.path, "copy");
  const source = path.join(folder, "source");
  const from = path.join(folder, "from");
  fs.mkdirSync(source, { recursive: true });
  fs.writeFileSync(path.join(source, "data"), bytesOf(fractions, FILE_BYTES));
  const version = await complete({ kind: "push", source, engine: engineOptions(from, from) }, pool);
  const taskAt = (to: string): CrashTask => {
    const options = { ...engineOptions(path.join(folder, to), path.join(folder, `${to}-cache`)) };
    return { kind: "copy", from, version, engine: { ...options, memoryBytes: MEMORY_BYTES } };
  };
  const whole = taskAt("whole");
  fs.mkdirSync(whole.engine.store);
  const calibration = await victims.calibrate(whole, whole.engine.store);
  const task = taskAt("killed");
  fs.mkdirSync(task.engine.store);
  let kills = 0;
  for (let tries = 0; kills < KILLS && tries < 4 * KILLS; tries++) {
    if (await victims.kill(task, task.engine.store, killPoint(fractions, calibration))) kills++;
    const head = await headOf(task);
    if (head === undefined) continue;
    // It came to its end, or died after the commit: all of it is there.
    assert.equal(head, version);
    await withEngine(task.engine, pool, (engine) => readVersion(engine, version));
    if (kills < KILLS) fs.rmSync(task.engine.store, { recursive: true });
    if (kills < KILLS) fs.mkdirSync(task.engine.store);
  }
  assert.ok(kills > 0, "every kill came too late");
  const before = fs.existsSync(path.join(task.engine.store, "aetherfs/v1/blocks"))
    ? blockBytes(task.engine.store)
    : 0;
  assert.equal(await complete(task, pool), version);
  const entries = await withEngine(task.engine, pool, (engine) => readVersion(engine, version));
  assert.deepEqual(comparable(entries), comparable(readFolder(source)));
  const all = blockBytes(task.engine.store);
  // Each kill may have stored a block whose copy was not complete, never all of it once more.
  assert.ok(all < FILE_BYTES + BLOCK_BYTES + MiB, `${all} bytes are stored, ${before} before the last copy`);
  t.diagnostic(`${kills} copies were killed; ${before} of ${all} bytes were there before the last one`);
});
