import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock, type Clock } from "../../base/clock.ts";
import { SILENT_LOG, type Log } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { DiskPieces } from "./disk-pieces.ts";

const PIECE_BYTES = 1000;
const MINUTE_MS = 60_000;

/** A cache in a folder of its own, whose clock is moved by hand. */
class Bed {
  readonly folder: string;
  readonly warnings: string[] = [];
  nowMs = systemClock.nowMs();

  constructor(folder: string) {
    this.folder = path.join(folder, "pieces");
  }

  open(bytesMax: number): DiskPieces {
    const clock: Clock = { ...systemClock, nowMs: () => this.nowMs, elapsedMs: () => this.nowMs };
    const log: Log = { ...SILENT_LOG, warn: (_facts, message) => void this.warnings.push(message) };
    return new DiskPieces({ folder: this.folder, bytesMax, clock, random: systemRandom, log });
  }

  names(): string[] {
    if (!fs.existsSync(this.folder)) return [];
    const items = fs.readdirSync(this.folder, { recursive: true, withFileTypes: true });
    return items.filter((item) => item.isFile()).map(({ name }) => name);
  }

  /** Writes a piece, as if it had been so at the bed's time. */
  async write(pieces: DiskPieces, key: string): Promise<void> {
    await pieces.write(key, new Uint8Array(PIECE_BYTES).fill(key.length));
    await pieces.rest();
    const file = path.join(this.folder, "once", key);
    const now = new Date(this.nowMs);
    if (fs.existsSync(file)) fs.utimesSync(file, now, now);
  }

  /** Whether the piece is there, with its bytes. */
  async has(pieces: DiskPieces, key: string): Promise<boolean> {
    const into = new Uint8Array(PIECE_BYTES);
    const found = await pieces.read(key, into);
    if (found) assert.deepEqual(into, new Uint8Array(PIECE_BYTES).fill(key.length));
    return found;
  }
}

async function withBed(work: (bed: Bed) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "aetherfs-test-"));
  try {
    await work(new Bed(folder));
  } finally {
    fs.chmodSync(folder, 0o700);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

describe("decoded pieces on the disk", () => {
  it("written by one process, are there for another, and for nobody else of the machine", () =>
    withBed(async (bed) => {
      await bed.write(bed.open(100_000), "a");
      assert.ok(await bed.has(bed.open(100_000), "a"));
      assert.equal(await bed.has(bed.open(100_000), "b"), false);
      assert.equal(fs.statSync(path.join(bed.folder, "again", "a")).mode & 0o777, 0o600);
      assert.equal(fs.statSync(path.join(bed.folder, "again")).mode & 0o777, 0o700);
    }));

  it("read again and again, are marked as used each minute, and are absent when they were cut short or are gone", () =>
    withBed(async (bed) => {
      const pieces = bed.open(100_000);
      await bed.write(pieces, "a");
      assert.ok(await bed.has(pieces, "a"));
      const file = path.join(bed.folder, "again", "a");
      const usedMs = (): number => fs.statSync(file).mtimeMs;
      const before = usedMs();
      bed.nowMs += MINUTE_MS / 2;
      assert.ok(await bed.has(pieces, "a"));
      assert.equal(usedMs(), before);
      bed.nowMs += MINUTE_MS;
      assert.ok(await bed.has(pieces, "a"));
      assert.ok(usedMs() > before);
      fs.truncateSync(file, PIECE_BYTES - 1);
      assert.equal(await bed.has(pieces, "a"), false);
      fs.rmSync(file);
      assert.equal(await bed.has(pieces, "a"), false);
    }));

  it("of another length, or that are links, count as absent", () =>
    withBed(async (bed) => {
      const pieces = bed.open(100_000);
      await bed.write(pieces, "a");
      assert.equal(await pieces.read("a", new Uint8Array(PIECE_BYTES - 1)), false);
      const other = path.join(bed.folder, "other");
      fs.writeFileSync(other, new Uint8Array(PIECE_BYTES).fill(1));
      fs.symlinkSync(other, path.join(bed.folder, "once", "b"));
      assert.equal(await bed.has(pieces, "b"), false);
    }));

  it("more than there is room for, make way: those used longest ago, and before them those never used again", () =>
    withBed(async (bed) => {
      const pieces = bed.open(40 * PIECE_BYTES);
      for (const key of ["hot-1", "hot-22", "hot-333"]) {
        await bed.write(pieces, key);
        assert.ok(await bed.has(pieces, key));
      }
      for (let index = 0; index < 200; index++) {
        bed.nowMs += MINUTE_MS;
        await bed.write(pieces, `scan-${index}`);
      }
      // A last sweep, of a process that knows nothing of what is there.
      await bed.write(bed.open(40 * PIECE_BYTES), "last");
      const names = bed.names();
      assert.ok(names.length > 20 && names.length <= 40, `${names.length} pieces are there`);
      for (const key of ["hot-1", "hot-22", "hot-333"]) assert.ok(await bed.has(pieces, key), key);
      assert.equal(await bed.has(pieces, "scan-0"), false);
      assert.ok(await bed.has(pieces, "scan-199"));
    }));

  it("shared by several, stay near the budget whoever writes", () =>
    withBed(async (bed) => {
      const all = Array.from({ length: 4 }, () => bed.open(40 * PIECE_BYTES));
      for (let index = 0; index < 50; index++) {
        bed.nowMs += MINUTE_MS;
        for (const [number, pieces] of all.entries()) await bed.write(pieces, `${number}-${index}`);
      }
      await bed.write(bed.open(40 * PIECE_BYTES), "last");
      assert.ok(bed.names().length <= 40, `${bed.names().length} pieces are there`);
    }));

  it("that a dead process left half written, are removed after a while", () =>
    withBed(async (bed) => {
      await bed.write(bed.open(100_000), "a");
      fs.writeFileSync(path.join(bed.folder, "x.tmp"), "half");
      bed.nowMs += 2 * 3_600_000;
      await bed.write(bed.open(100_000), "b");
      assert.deepEqual(bed.names().toSorted(), ["a", "b"]);
    }));

  it("where nothing can be written, are not kept, which is told once a minute and fails nobody", () =>
    withBed(async (bed) => {
      fs.mkdirSync(path.dirname(bed.folder), { recursive: true });
      fs.writeFileSync(bed.folder, "no folder");
      const pieces = bed.open(100_000);
      for (let index = 0; index < 5; index++) {
        await pieces.write("a", new Uint8Array(PIECE_BYTES));
        assert.equal(await pieces.read("a", new Uint8Array(PIECE_BYTES)), false);
      }
      assert.equal(bed.warnings.length, 1);
      fs.rmSync(bed.folder);
      bed.nowMs += 2 * MINUTE_MS;
      await bed.write(pieces, "a");
      assert.ok(await bed.has(pieces, "a"));
    }));

  it("in a folder that a link leads to, are removed by nobody who makes room", () =>
    withBed(async (bed) => {
      const other = `${bed.folder}-other`;
      for (const folder of [bed.folder, other]) fs.mkdirSync(folder, { recursive: true });
      for (let index = 0; index < 100; index++)
        fs.writeFileSync(path.join(other, `mine-${index}`), new Uint8Array(PIECE_BYTES));
      fs.symlinkSync(other, path.join(bed.folder, "once"));
      for (let index = 0; index < 20; index++) await bed.write(bed.open(10 * PIECE_BYTES), `a-${index}`);
      assert.equal(fs.readdirSync(other).filter((name) => name.startsWith("mine-")).length, 100);
      assert.ok(bed.warnings.length > 0);
    }));
});
