/** The figures beside what a push then says. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import { DEFAULT_CHUNKING, parseChunking } from "../../format/chunking.ts";
import type { Progress } from "../contract.ts";
import { tarMember, tarOf } from "../testing/archives.ts";
import { noise } from "../testing/engine.ts";
import { openPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { analyze } from "./analyze.ts";
import type { AnalyzeInput, AnalyzeResult, ChunkingReport } from "./contract.ts";
import { formOf } from "./recommend.ts";

let pool: WorkerPool;
before(() => void (pool = new WorkerPool(2)));
after(() => pool.close());

async function onBed(work: (bed: PushBed) => Promise<void>): Promise<void> {
  const bed = await openPushBed(pool);
  try {
    await work(bed);
  } finally {
    await bed.close();
  }
}

/** Lines that compress, with some that only the seed's have. */
function lines(seed: number, count: number, every: number): string {
  const text = Array.from({ length: count }, (_, index) => `line ${index} of ${(index * 7919) % 10_007}\n`);
  for (let index = seed; seed > 0 && index < count; index += every) text[index] = `changed by ${seed}\n`;
  return text.join("");
}

function fill(bed: PushBed, seed: number): void {
  bed.write("table.csv", lines(seed, 150_000, 20_000));
  for (let index = 0; index < 60; index++)
    bed.write(`small/${index}.txt`, lines(index === 7 ? seed : 0, 200, 50));
  const bytes = noise(5, MiB);
  bytes.fill(seed, 500_000, 500_100);
  bed.write("dense.bin", bytes);
}

function usual(result: AnalyzeResult): ChunkingReport {
  const { averageBytes } = DEFAULT_CHUNKING;
  const found = result.chunkings.find((one) => one.chunking === "cdc" && one.chunkSize === averageBytes);
  return must(found, "the default is always measured");
}

function near(figure: number | undefined, actual: number, share: number, slackBytes = 0): void {
  const isNear = Math.abs((figure ?? NaN) - actual) <= share * actual + slackBytes;
  assert.ok(isNear, `${figure} foretold, ${actual} in fact`);
}

/** The files of a folder as a tar. */
function writeTar(archive: string, folder: string): void {
  const found = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  const members = found
    .filter((item) => item.isFile())
    .map((item) => {
      const file = path.join(item.parentPath, item.name);
      return tarMember({ name: path.relative(folder, file), bytes: fs.readFileSync(file) });
    });
  fs.writeFileSync(archive, tarOf(...members));
}

const input = (bed: PushBed, more: Partial<AnalyzeInput> = {}): AnalyzeInput => ({
  versions: [],
  source: { source: bed.source },
  ...more,
});

describe("analyze", () => {
  it("of a first version, foretells what a push stores, and stores nothing itself", () =>
    onBed(async (bed) => {
      fill(bed, 1);
      const result = await analyze(bed.engine, input(bed));
      assert.deepEqual(
        [...bed.files("").keys()].filter((file) => /blocks|manifests|plans/.test(file)),
        [],
      );
      assert.deepEqual(
        result.chunkings.map((one) => one.update),
        result.chunkings.map(() => null),
      );
      const { first, chunks } = usual(result);
      const pushed = await bed.push({ chunking: DEFAULT_CHUNKING });
      assert.deepEqual([chunks, first.newBytes], [pushed.chunks, pushed.newBytes]);
      near(formOf(first, "zstd", false)?.totalBytes, pushed.storedBytes, 0.01);
      near(first.manifestBytes + first.planBytes, pushed.manifestBytes, 0.01);
      near(formOf(first, "none", false)?.payloadBytes, pushed.newBytes, 0);
      const { files, bytes } = pushed;
      assert.deepEqual(result.versions, [{ digest: null, files, bytes }]);
    }));

  it("of an update, foretells what a push then stores", () =>
    onBed(async (bed) => {
      fill(bed, 1);
      const { digest } = await bed.push({ chunking: DEFAULT_CHUNKING });
      fill(bed, 2);
      const result = await analyze(bed.engine, input(bed, { versions: [digest] }));
      const pushed = await bed.push({ chunking: DEFAULT_CHUNKING });
      const update = must(usual(result).update, "an update was measured");
      assert.deepEqual([update.chunks, update.newBytes], [pushed.newChunks, pushed.newBytes]);
      near(formOf(update, "zstd", true)?.totalBytes, pushed.storedBytes, 0.05, 100);
      const payloads = update.forms.map((form) => form.payloadBytes);
      const [plain = 0, zstd = 0, , deltas = 0] = payloads;
      assert.ok(plain === pushed.newBytes && zstd < plain && deltas < zstd, String(payloads));
      assert.deepEqual(result.current, { chunking: "cdc", chunkSize: DEFAULT_CHUNKING.averageBytes });
      assert.deepEqual(result.churn.map((file) => [file.path, file.updates]).sort(), [
        ["dense.bin", 1],
        ["small/7.txt", 1],
        ["table.csv", 1],
      ]);
      assert.deepEqual(result.changes, { added: 0, removed: 0, changed: 3 });
    }));

  it("of versions in a row, measures each with the one before, and counts how often a file changed", () =>
    onBed(async (bed) => {
      const chunking = parseChunking("cdc:8192");
      bed.write("same.txt", lines(0, 2000, 1));
      const versions = [];
      for (const seed of [1, 2, 3]) {
        bed.write("often.txt", lines(seed, 20_000, 3000));
        if (seed === 2) bed.write("once.txt", "new\n");
        versions.push((await bed.push({ chunking })).digest);
      }
      const seen: Progress[] = [];
      const result = await analyze(bed.engine, { versions, onProgress: (progress) => seen.push(progress) });
      assert.deepEqual(
        result.versions.map(({ digest }) => digest),
        versions,
      );
      assert.deepEqual(
        result.chunkings.map(({ updates }) => updates.length),
        Array(7).fill(2),
      );
      assert.deepEqual(result.chunkings.at(-1)?.chunkSize, 8192);
      assert.deepEqual(
        result.churn.map(({ path: file, updates }) => [file, updates]),
        [
          ["often.txt", 2],
          ["once.txt", 1],
        ],
      );
      assert.ok(seen.every(({ bytes, totalBytes = Infinity }) => bytes <= totalBytes));
    }));

  it("of an archive, finds what it finds of its folder", () =>
    onBed(async (bed) => {
      fill(bed, 1);
      const archive = path.join(path.dirname(bed.source), "data.tar");
      writeTar(archive, bed.source);
      const folder = await analyze(bed.engine, input(bed));
      const packed = await analyze(bed.engine, { versions: [], source: { source: archive } });
      const sizes = ({ chunkings }: AnalyzeResult): unknown =>
        chunkings.map(({ chunks, first }) => [chunks, first.newBytes]);
      assert.deepEqual(sizes(packed), sizes(folder));
    }));

  it("of more than its limit, measures a sample of both sides and says so", () =>
    onBed(async (bed) => {
      const write = (text: string): void => {
        for (let index = 0; index < 400; index++) bed.write(`f/${index}`, noise(index, 5000));
        for (let index = 0; index < 400; index += 4)
          bed.write(`f/${index}`, `${text} ${index}\n`.repeat(300));
      };
      write("one");
      const { digest } = await bed.push({ chunking: DEFAULT_CHUNKING });
      write("two");
      const result = await analyze(bed.engine, input(bed, { versions: [digest], sampleBytes: 500_000 }));
      const { bytes = 0, totalBytes = 0 } = result.sampled ?? {};
      assert.equal(totalBytes, result.versions.at(-1)?.bytes);
      assert.ok(bytes > 300_000 && bytes < 700_000, `${bytes}`);
      const { changed, added, removed } = result.changes;
      assert.ok(changed > 5 && changed < 60, `${changed} changed`);
      assert.deepEqual([added, removed], [0, 0]);
      const archive = path.join(path.dirname(bed.source), "data.tar");
      writeTar(archive, bed.source);
      const packed = { versions: [digest], source: { source: archive }, sampleBytes: 500_000 };
      assert.deepEqual((await analyze(bed.engine, packed)).churn, result.churn);
    }));

  it("of an empty folder, and after an abort, ends well", () =>
    onBed(async (bed) => {
      const { recommendation } = await analyze(bed.engine, input(bed));
      assert.deepEqual(recommendation.reasons, ["default"]);
      fill(bed, 1);
      const stop = new AbortController();
      const aborted = analyze(
        bed.engine,
        input(bed, {
          signal: stop.signal,
          onProgress: () => {
            stop.abort();
          },
        }),
      );
      await assert.rejects(aborted, { name: "AbortError" });
      fs.rmSync(bed.source, { recursive: true });
      await assert.rejects(analyze(bed.engine, input(bed)), { code: "SOURCE_NOT_FOUND" });
      await assert.rejects(analyze(bed.engine, { versions: [] }), { code: "ARGUMENT_INVALID" });
    }));

  it("beyond the temporary space that it may take, fails with LIMIT_EXCEEDED", () =>
    onBed(async (bed) => {
      fill(bed, 1);
      await assert.rejects(analyze(bed.engine, input(bed, { spoolBytes: 1000 })), { code: "LIMIT_EXCEEDED" });
    }));
});
