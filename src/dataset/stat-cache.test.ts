import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { compareUtf8 } from "../base/bytes.ts";
import { digestOf } from "../format/digest.ts";
import {
  StatCacheReader,
  StatCacheWriter,
  isRacy,
  removeAbandoned,
  sameStat,
  statCacheVersion,
  type StatRecord,
} from "./stat-cache.ts";
import { temporaryFolder } from "./testing/folder.ts";

const VERSION = digestOf(Buffer.from("a version"));
const OTHER = digestOf(Buffer.from("another"));

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder.path, "cache");
});
afterEach(() => {
  folder.remove();
});

function record(name: string, change: Partial<StatRecord> = {}): StatRecord {
  return { path: name, size: 5, mode: 0o644, mtimeNs: -7n, ctimeNs: 9n, ino: 2n ** 64n - 1n, ...change };
}

function write(records: readonly StatRecord[], id = "1"): void {
  const writer = new StatCacheWriter(file, id);
  for (const one of records) writer.add(one);
  writer.commit(VERSION);
}

test("a stat cache of any records gives each back, and no others", () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const records = fc.uniqueArray(
    fc.record(
      {
        path: fc.string({ unit: "grapheme", minLength: 1 }),
        size: fc.nat(),
        mode: fc.nat({ max: 0o7777 }),
        mtimeNs: int64,
        ctimeNs: int64,
        ino: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      },
      { noNullPrototype: true },
    ),
    { selector: (one) => one.path },
  );
  fc.assert(
    fc.property(records, (all) => {
      const sorted = all.toSorted((a, b) => compareUtf8(a.path, b.path));
      const kept = sorted.filter((_, index) => index % 3 !== 1);
      write(kept);
      const reader = new StatCacheReader(file, VERSION);
      for (const [index, one] of sorted.entries()) {
        assert.deepEqual(reader.find(one.path), index % 3 === 1 ? undefined : one);
      }
      reader.close();
    }),
    { numRuns: 50 },
  );
});

test("a stat cache larger than its buffers gives each record back", () => {
  const names = Array.from({ length: 30_000 }, (_, index) => `folder/${String(index).padStart(8, "0")}`);
  write(names.map((name) => record(name)));
  const reader = new StatCacheReader(file, VERSION);
  for (const name of names) assert.deepEqual(reader.find(name), record(name));
  reader.close();
});

test("a stat cache about another version reads as empty", () => {
  write([record("a")]);
  assert.equal(statCacheVersion(file), VERSION);
  assert.equal(new StatCacheReader(file, OTHER).find("a"), undefined);
});

test("a stat cache cut anywhere, or with any byte changed, reads as empty", () => {
  write([record("a"), record("b")]);
  const bytes = fs.readFileSync(file);
  for (let length = 0; length < bytes.byteLength; length++) {
    fs.writeFileSync(file, bytes.subarray(0, length));
    assert.equal(new StatCacheReader(file, VERSION).find("a"), undefined);
    const changed = Buffer.from(bytes);
    changed[length] = (changed[length] ?? 0) ^ 1;
    fs.writeFileSync(file, changed);
    const reader = new StatCacheReader(file, VERSION);
    assert.equal(reader.find("a"), undefined);
    reader.close();
  }
});

test("a reader that was closed finds nothing, and may be closed again", () => {
  write([record("a")]);
  const reader = new StatCacheReader(file, VERSION);
  reader.close();
  reader.close();
  assert.equal(reader.find("a"), undefined);
});

test("a writer that is closed leaves the cache before it, and no file of its own", () => {
  write([record("a")]);
  const writer = new StatCacheWriter(file, "2");
  writer.add(record("b"));
  writer.close();
  assert.deepEqual(fs.readdirSync(folder.path), ["cache"]);
  assert.deepEqual(new StatCacheReader(file, VERSION).find("a"), record("a"));
});

test("a writer whose folder is gone writes nothing and does not fail", () => {
  const writer = new StatCacheWriter(path.join(folder.path, "none/cache"), "1");
  writer.add(record("a"));
  writer.commit(VERSION);
  writer.close();
  assert.deepEqual(fs.readdirSync(folder.path), []);
});

test("a time that no cache can hold makes its file read again", () => {
  const far = record("a", { mtimeNs: 2n ** 70n });
  write([far]);
  const found = new StatCacheReader(file, VERSION).find("a");
  assert.ok(found !== undefined && !sameStat(found, far));
});

test("each field of a record tells a file from a changed one", () => {
  const one = record("a");
  assert.ok(sameStat(one, record("a")));
  const changes = [{ size: 6 }, { mode: 0o600 }, { mtimeNs: -8n }, { ctimeNs: 10n }, { ino: 1n }];
  for (const change of changes) assert.ok(!sameStat(one, record("a", change)));
});

test("a change just before it was seen is racy, for longer where times are whole seconds", () => {
  const ns = 1_000_000_000n;
  assert.ok(isRacy(10n * ns + 5n, 10n * ns + 10_000_000n));
  assert.ok(!isRacy(10n * ns + 5n, 10n * ns + 200_000_000n));
  assert.ok(isRacy(10n * ns, 11n * ns));
  assert.ok(!isRacy(10n * ns, 13n * ns));
  assert.ok(isRacy(20n * ns, 10n * ns), "a time to come");
});

test("what writers left that died long ago is removed, and nothing younger", () => {
  fs.writeFileSync(`${file}.1.tmp`, "");
  write([record("a")], "2");
  const nowMs = Date.now();
  removeAbandoned(folder.path, nowMs + 3_600_000);
  assert.deepEqual(fs.readdirSync(folder.path).sort(), ["cache", "cache.1.tmp"]);
  removeAbandoned(folder.path, nowMs + 48 * 3_600_000);
  assert.deepEqual(fs.readdirSync(folder.path), ["cache"]);
});
