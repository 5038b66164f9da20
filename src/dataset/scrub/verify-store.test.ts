/** Stores that lost or damaged something: what a check says of it, and how they are mended. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { SILENT_LOG } from "../../base/log.ts";
import type { Clock } from "../../base/clock.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { parseReference, parseTag } from "../../format/reference.ts";
import { copyVersion } from "../copy/copy-version.ts";
import { withCheckedIngest } from "../ingest/checked-ingest.ts";
import { tagVersion } from "../tag-changes.ts";
import { noise } from "../testing/engine.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { verifyVersion } from "../verify.ts";
import { WorkerPool } from "../workers/pool.ts";
import { healStore } from "./heal.ts";
import { Pace } from "../pace.ts";
import { Scrubber } from "./scrubber.ts";
import { verifyStore } from "./verify-store.ts";

const pool = new WorkerPool(2);
after(() => pool.close());
const STOP = new AbortController().signal;

/** Three versions of `latest`, each with a block of its own, and `other`, which has `aside` alone. */
async function fill(bed: PushBed): Promise<{ versions: Digest[]; other: Digest; blocks: string[] }> {
  const blocks: string[] = [];
  const versions: Digest[] = [];
  const known = new Set<string>();
  const push = async (tag = BED_TAG.tag): Promise<Digest> => {
    const { digest } = await bed.push({ tags: [{ ...BED_TAG, tag }] });
    for (const file of bed.files("blocks").keys()) {
      if (!known.has(file)) blocks.push(file);
      known.add(file);
    }
    return digest;
  };
  bed.write("aside", noise(9, 30_000));
  const other = await push(parseTag("other"));
  bed.write("big", noise(1, 60_000));
  bed.write("same", noise(2, 20_000));
  for (let edit = 0; edit < 3; edit++) {
    const bytes = noise(1, 60_000);
    bytes.fill(edit, 20_000, 20_000 + 50 * edit);
    bed.write("big", bytes);
    versions.push(await push());
  }
  return { versions, other, blocks };
}

function flip(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  fs.writeFileSync(file, bytes);
}

function digestOfFile(file: string): Digest {
  return file.split("/").slice(-2).join("") as Digest;
}

/** The store's files that are in quarantine, below it. */
function quarantined(bed: PushBed): string[] {
  const top = path.join(bed.storeFolder, "aetherfs/v1/quarantine");
  return [...bed.files("quarantine").keys()].map((file) => path.relative(top, file));
}

describe("a check of a store", () => {
  it("that is sound, finds nothing and counts what there is", () =>
    withPushBed(pool, async (bed) => {
      await fill(bed);
      const found = await verifyStore(bed.engine);
      assert.deepEqual([found.faults, found.lost], [[], []]);
      const { datasets, tags, entries, versions, blocks, bytes } = found;
      assert.deepEqual([datasets, tags, entries, versions, blocks], [1, 2, 4, 4, 4]);
      assert.equal(
        bytes,
        [...bed.files("blocks").values()].reduce((sum, size) => sum + size, 0),
      );
      const quick = await verifyStore(bed.engine, { structureOnly: true });
      assert.deepEqual([quick.faultCount, quick.versions, quick.blocks], [0, 4, 0]);
    }));

  it("with a damaged frame, names the block, and the versions, tags and paths that are lost", () =>
    withPushBed(pool, async (bed) => {
      const { versions, blocks } = await fill(bed);
      // The block of the first version of latest: `big` and `same`, in this order.
      const block = must(blocks[1], "a block each");
      flip(block, fs.statSync(block).size - 2500);
      const found = await verifyStore(bed.engine);
      assert.ok(found.faults.length > 0);
      for (const { object, code, isDamaged } of found.faults)
        assert.deepEqual(
          [object, code, isDamaged],
          [{ kind: "blocks", digest: digestOfFile(block) }, "OBJECT_CORRUPT", true],
        );
      assert.deepEqual(
        found.lost.map(({ version, paths, places }) => [version, paths, places.map(({ tag }) => tag)]),
        [...versions].reverse().map((version) => [version, ["same"], ["latest"]]),
      );
      assert.deepEqual(
        found.lost.map(({ places }) => places[0]?.isCurrent),
        [true, false, false],
      );
    }));

  it("with a missing block, manifest or plan, says so without reading bytes", () =>
    withPushBed(pool, async (bed) => {
      const { versions, blocks, other } = await fill(bed);
      fs.rmSync(must(blocks[0], "a block each"));
      const missing = await verifyStore(bed.engine, { structureOnly: true });
      assert.deepEqual(
        missing.faults.map(({ object, code }) => [object.kind, code]),
        [["blocks", "OBJECT_MISSING"]],
      );
      assert.equal(missing.lost.length, 4);
      assert.ok(missing.lost.every(({ paths }) => paths?.join() === "aside"));
      const third = must(versions[2], "the newest");
      const file = (kind: string, digest: Digest): string =>
        path.join(bed.storeFolder, "aetherfs/v1", kind, digest.slice(0, 2), digest.slice(2));
      fs.rmSync(file("manifests", third));
      fs.rmSync(file("plans", other));
      const { faults } = await verifyStore(bed.engine, { structureOnly: true });
      const told = faults.map(({ object }) => `${object.kind} ${"digest" in object ? object.digest : ""}`);
      assert.ok(told.includes(`manifests ${third}`) && told.includes(`plans ${other}`), told.join());
    }));

  it("with a missing manifest that one tag points at and another did before, says so", () =>
    withPushBed(pool, async (bed) => {
      const { versions } = await fill(bed);
      const first = must(versions[0], "the oldest");
      const source = parseReference(`${BED_TAG.name}@${formatDigest(first)}`);
      const said = { publisher: "", message: "", labels: {} };
      await tagVersion(bed.engine, source, { ...BED_TAG, tag: parseTag("zz") }, said);
      const [file = ""] = [...bed.files("manifests").keys()].filter((each) => each.endsWith(first.slice(2)));
      fs.rmSync(file);
      const { lost } = await verifyStore(bed.engine, { structureOnly: true });
      const places = lost.filter(({ version }) => version === first).flatMap((each) => each.places);
      assert.deepEqual(
        places.map(({ tag, isCurrent }) => [tag, isCurrent]),
        [
          ["latest", false],
          ["zz", true],
        ],
      );
    }));

  it("of records that are damaged, or say what is not so, names them", () =>
    withPushBed(pool, async (bed) => {
      await fill(bed);
      const [file = ""] = [...bed.files("datasets/test/history/latest").keys()].sort();
      fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/"bytes":\d+/, '"bytes":7'));
      const [other = ""] = [...bed.files("datasets/test/history/other").keys()];
      fs.writeFileSync(other, "{");
      const { faults } = await verifyStore(bed.engine, { structureOnly: true });
      assert.deepEqual(
        faults.map(({ where, code }) => [where, code]),
        [
          ["test:latest 1", "OBJECT_INVALID"],
          ["test:other", "OBJECT_INVALID"],
        ],
      );
    }));
});

describe("a damaged store", () => {
  it("is healed from another one: what is damaged lies in quarantine, tags stay, and all is sound", () =>
    withPushBed(pool, (bed) =>
      withPushBed(pool, async (mirror) => {
        const { versions, blocks } = await fill(bed);
        for (const version of versions) {
          const wanted = {
            version,
            place: [BED_TAG],
            tags: [BED_TAG],
            publisher: "",
            message: "",
            labels: {},
          };
          await copyVersion(bed.engine, withCheckedIngest(mirror.engine), wanted, {});
        }
        const [, first = "", second = ""] = blocks;
        flip(first, 100);
        flip(second, fs.statSync(second).size - 3);
        for (const kind of ["plans", "manifests"]) {
          const [file = ""] = [...bed.files(kind).keys()].filter(
            (each) => !each.endsWith(must(versions[0], "one").slice(2)),
          );
          flip(file, 40);
        }
        const history = bed.files("datasets");
        const found = await verifyStore(bed.engine);
        assert.ok(found.lostCount >= 3);
        const { healed, left } = await healStore(bed.engine, found, () => mirror.engine, {});
        assert.deepEqual(
          left.lost.map(({ places }) => places.map(({ tag }) => tag)),
          left.lost.map(() => ["other"]),
        );
        assert.ok(healed.length >= 3);
        for (const version of versions) await verifyVersion(bed.engine, version);
        const names = quarantined(bed);
        for (const file of [first, second])
          assert.ok(names.includes(`blocks/${file.split("/").slice(-2).join("/")}`), names.join());
        assert.deepEqual(bed.files("datasets"), history);
      }),
    ));

  it("scrubbed, loses the damaged block to quarantine, and gets it again by the next push", () =>
    withPushBed(pool, async (bed) => {
      const { versions, blocks } = await fill(bed);
      const latest = must(versions.at(-1), "the newest");
      const scrubber = new Scrubber(bed.engine, { log: SILENT_LOG, rateBytes: Infinity, signal: STOP });
      await scrubber.round();
      assert.deepEqual([scrubber.figures.rounds, scrubber.figures.faults], [1, 0]);
      const block = must(blocks[1], "a block each");
      flip(block, 500);
      await scrubber.round();
      const { faults, quarantined: moved } = scrubber.figures;
      // The block, and that what plans lead to is missing.
      assert.deepEqual([faults, moved], [2, 1]);
      assert.deepEqual(quarantined(bed), [`blocks/${block.split("/").slice(-2).join("/")}`]);
      await assert.rejects(verifyVersion(bed.engine, latest), new RegExp(formatDigest(digestOfFile(block))));
      const again = await bed.push({ rehash: true });
      assert.equal(again.digest, latest);
      await verifyVersion(bed.engine, latest);
      bed.write("more", noise(5, 100));
      const next = await bed.push();
      await verifyVersion(bed.engine, next.digest);
    }));
});

describe("a pace", () => {
  it("keeps to its bytes a second, and does not save up what was not used", async () => {
    let nowMs = 0;
    const clock: Clock = {
      nowMs: () => nowMs,
      elapsedMs: () => nowMs,
      sleep: (delayMs) => {
        nowMs += delayMs;
        return Promise.resolve();
      },
    };
    const pace = new Pace(clock, 1000);
    for (let taken = 0; taken < 10; taken++) await pace.take(1000, undefined);
    assert.ok(nowMs >= 9900 && nowMs <= 10_000, `${nowMs}`);
    nowMs += 100_000;
    const beforeMs = nowMs;
    for (let taken = 0; taken < 10; taken++) await pace.take(1000, undefined);
    assert.ok(nowMs - beforeMs >= 9900, `${nowMs - beforeMs}`);
  });
});
