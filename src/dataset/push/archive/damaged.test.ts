import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { MiB } from "../../../base/limits.ts";
import { must } from "../../../base/assert.ts";
import { AetherError } from "../../../base/errors.ts";
import { EntrySequence } from "../../../format/entry.ts";
import { createPathFilter } from "../../path-filter.ts";
import { paxHeader, tarOf, zipOf } from "../../testing/archives.ts";
import { noise } from "../../testing/engine.ts";
import { temporaryFolder } from "../../testing/folder.ts";
import { openPushBed, type PushBed, BED_TAG } from "../../testing/push-bed.ts";
import { WorkerPool } from "../../workers/pool.ts";
import { ArchivedFiles, walkArchive } from "./archive-source.ts";
import { openArchive, type Archive } from "./archive.ts";

const CODES: ReadonlySet<string> = new Set([
  "SOURCE_UNREADABLE",
  "SOURCE_UNSUPPORTED",
  "PATH_INVALID",
  "LIMIT_EXCEEDED",
]);

/** A parser that waits for what does not come fails the test. */
const TEST_TIMEOUT_MS = 120_000;

let pool: WorkerPool;
let bed: PushBed;
before(async () => {
  pool = new WorkerPool(1);
  bed = await openPushBed(pool);
});
after(async () => {
  await bed.close();
  await pool.close();
});

const members = ["a/b", "a/c", "d", "e/f/g"].map((name, index) => ({
  name,
  bytes: noise(index, 300 * (index + 1)),
}));
const tar = tarOf(
  { name: "a", type: "5" },
  ...members,
  paxHeader({ path: "ü", mtime: "5.5" }),
  { name: "u", type: "2", link: "../x" },
  { name: "hard", type: "1", link: "d" },
);
const ARCHIVES = {
  tar,
  gzip: gzipSync(tar),
  zstd: zstdCompressSync(tar),
  zip: zipOf([
    ...members.map((member) => ({ ...member, mode: 0o100644 })),
    { name: "l", bytes: "x", mode: 0o120777 },
  ]),
};

type Edit = readonly [kind: "flip" | "cut" | "drop" | "insert" | "zero", at: number, amount: number];

const edits = fc.array(
  fc.tuple(
    fc.constantFrom<Edit[0]>("flip", "flip", "cut", "drop", "insert", "zero"),
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.integer({ min: 1, max: 600 }),
  ),
  { minLength: 1, maxLength: 4 },
);

function edited(bytes: Buffer, [kind, place, amount]: Edit): Buffer {
  const at = Math.floor(place * bytes.byteLength);
  const result = Buffer.from(bytes);
  switch (kind) {
    case "flip":
      if (result.byteLength > 0) result[at] = (result[at] ?? 0) ^ (1 << (amount % 8));
      return result;
    case "cut":
      return result.subarray(0, at);
    case "drop":
      return Buffer.concat([result.subarray(0, at), result.subarray(at + amount)]);
    case "insert":
      return Buffer.concat([result.subarray(0, at), noise(amount, amount), result.subarray(at)]);
    case "zero":
      result.subarray(at, at + amount).fill(0);
      return result;
  }
}

/** Reads all that an open archive lists, and holds it to what a version may hold. */
function readAll(archive: Archive): void {
  const sequence = new EntrySequence();
  const files = new ArchivedFiles(archive.files);
  for (const entry of walkArchive(archive.files, createPathFilter({}))) {
    sequence.next(entry.path, entry.kind === "directory");
    if (entry.kind !== "file" || entry.size === 0) continue;
    const file = files.open(entry.path);
    assert.equal(file.read(new Uint8Array(entry.size)), entry.size);
    assert.ok(file.isUnchanged());
  }
}

function openFiles(): number {
  return fs.readdirSync("/dev/fd").length;
}

describe("a damaged archive", { timeout: TEST_TIMEOUT_MS }, () => {
  for (const [kind, bytes] of Object.entries(ARCHIVES)) {
    it(`${kind}, is listed soundly or refused with a code, and leaves nothing behind`, async () => {
      const folder = temporaryFolder();
      const engine = { ...bed.engine, cacheDir: path.join(folder.path, "cache") };
      const source = path.join(folder.path, `archive.${kind === "zip" ? "zip" : "tar"}`);
      let listed = 0;
      const open = async (damaged: Buffer, isStream: boolean): Promise<void> => {
        fs.writeFileSync(source, damaged);
        const input = isStream ? { source: "-", input: Readable.from([damaged]) } : { source };
        try {
          const options = { ...input, tags: [BED_TAG], publisher: "test", spoolBytes: 4 * MiB };
          const archive = must(await openArchive(engine, options), "it is an archive");
          listed++;
          try {
            readAll(archive);
          } finally {
            await archive.close();
          }
        } catch (error) {
          assert.ok(error instanceof AetherError && CODES.has(error.code), String(error));
        }
      };
      try {
        await open(bytes, false);
        assert.equal(listed, 1);
        const openBefore = openFiles();
        await fc.assert(
          fc.asyncProperty(edits, fc.boolean(), async (changes, isStream) => {
            await open(changes.reduce(edited, bytes), isStream);
          }),
          { numRuns: 200 },
        );
        assert.deepEqual(fs.readdirSync(path.join(folder.path, "cache/spool")), []);
        assert.deepEqual(fs.readdirSync(folder.path).sort(), [path.basename(source), "cache"].sort());
        assert.equal(openFiles(), openBefore);
      } finally {
        folder.remove();
      }
    });
  }
});
