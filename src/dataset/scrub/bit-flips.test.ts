/** A bit of any object of a store, changed: a check finds it. AETHERFS_BIT_FLIPS says how many (40), AETHERFS_BIT_FLIPS_SEED which. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { digestFromHex } from "../../format/digest.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { fractions } from "../../store/conformance/faulty-store.ts";
import type { Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import { noise } from "../testing/engine.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { readPlan } from "../version/load-plan.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { Traffic } from "../version/traffic.ts";
import { WorkerPool } from "../workers/pool.ts";
import { verifyStore } from "./verify-store.ts";

const FLIPS = Number(process.env["AETHERFS_BIT_FLIPS"] ?? "40");
const SEED = Number(process.env["AETHERFS_BIT_FLIPS_SEED"] ?? "1");
/** Each as often, however many bytes they have together. */
const KINDS = ["blocks", "manifests", "plans", "domain-plans"];
const OTHER = { name: parseDatasetName("@other/same"), tag: parseTag("latest") };

const pool = new WorkerPool(2);
after(() => pool.close());

/** Versions whose pages lie with the root and in blocks, deltas of both, and the same content in two domains. */
async function fill(bed: PushBed): Promise<void> {
  for (let edit = 0; edit < 3; edit++) {
    bed.write("text", `${"words and words\n".repeat(4000)}edit ${edit}\n${"more of it\n".repeat(4000)}`);
    const bytes = noise(1, 60_000);
    bytes.fill(edit, 20_000, 20_100);
    bed.write("noise", bytes);
    await bed.push();
    if (edit === 2) await bed.push({ tags: [OTHER] });
  }
  for (let file = 0; file < 1100; file++) bed.write(`many/${file}`, `file ${file}\n`);
  const many = { ...BED_TAG, tag: parseTag("many") };
  await bed.push({ tags: [many] });
  bed.write("many/500", "changed\n");
  await bed.push({ tags: [many] });
}

/** Works on the bed's store, opened anew. */
async function reopened<T>(bed: PushBed, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(bed.storeFolder, { create: false, clock: systemClock, random: systemRandom });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** What is wrong with the bed's store. */
function faultsOf(bed: PushBed): Promise<number> {
  return reopened(bed, async (store) => {
    const { faultCount, lostCount } = await verifyStore({ ...bed.engine, store, cacheDir: undefined });
    return faultCount + lostCount;
  });
}

/**
 * What readers get of a manifest object or a plan: its own bytes have no digest, and some of their bits say nothing. How deep a
 * plan says that a delta lies only bounds what is below it.
 */
function meaningOf(bed: PushBed, file: string): Promise<unknown> {
  return reopened(bed, async ({ datasets }) => {
    const digest = must(digestFromHex(file.split("/").slice(-2).join("")), "a file is named by a digest");
    const loading = { traffic: new Traffic() };
    if (file.includes("/manifests/")) return await loadBundle(datasets, digest, loading);
    const plan = await readPlan(datasets, fs.readFileSync(file), loading);
    return JSON.stringify(plan, (key, value: unknown) => (key === "depth" ? undefined : value));
  });
}

test(`each of ${FLIPS} bits of blocks, manifests and plans, changed, is found, or changes nothing that anybody reads`, async (t) => {
  t.diagnostic(`AETHERFS_BIT_FLIPS_SEED=${SEED}`);
  const next = fractions(SEED);
  const pick = (below: number): number => Math.floor(next() * below);
  await withPushBed(pool, async (bed) => {
    await fill(bed);
    assert.equal(await faultsOf(bed), 0);
    const files = KINDS.map((kind) => [...bed.files(kind).keys()]);
    assert.ok(files.every((each) => each.length > 0));
    const unfound: string[] = [];
    let idle = 0;
    for (let flip = 0; flip < FLIPS; flip++) {
      const some = files[pick(files.length)] ?? [];
      const file = some[pick(some.length)] ?? "";
      const bytes = fs.readFileSync(file);
      const at = pick(bytes.byteLength);
      const changed = Buffer.from(bytes);
      changed.writeUInt8(bytes.readUInt8(at) ^ (1 << pick(8)), at);
      const before = file.includes("/blocks/") ? undefined : await meaningOf(bed, file);
      fs.writeFileSync(file, changed);
      if ((await faultsOf(bed)) === 0) {
        const isIdle = before !== undefined && isDeepStrictEqual(await meaningOf(bed, file), before);
        if (isIdle) idle++;
        else unfound.push(`${path.relative(bed.storeFolder, file)} byte ${at}`);
      }
      fs.writeFileSync(file, bytes);
    }
    t.diagnostic(`${FLIPS - idle - unfound.length} found, ${idle} without any effect`);
    assert.deepEqual(unfound, []);
    assert.ok(idle <= 1 + FLIPS / 50, `${idle} bits have no effect`);
    assert.equal(await faultsOf(bed), 0);
  });
});
