import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { MiB } from "../../base/limits.ts";
import { noise } from "../testing/engine.ts";
import { readFolder } from "../testing/folder.ts";
import { openPushBed, type PushBed } from "../testing/push-bed.ts";
import { openVersion } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(() => bed.close());

/** Pushes, and holds the stored version to the folder. */
async function pushAndCompare(options: Parameters<PushBed["push"]>[0] = {}): ReturnType<PushBed["push"]> {
  const result = await bed.push(options);
  assert.deepEqual(await bed.read(result.digest), readFolder(bed.source));
  return result;
}

/** Text that compresses, different for each seed. */
function text(seed: number, bytes: number): Buffer {
  return Buffer.from(Buffer.from(noise(seed, bytes / 2)).toString("hex"));
}

function edited(bytes: Uint8Array, at: number, insert: string): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(insert), bytes.subarray(at + 10)]);
}

function makeMixed(): void {
  bed.write("a/b/c.txt", "hello");
  bed.write("a-b", "between a and a/b");
  bed.write("a.txt", "after a-b");
  bed.write("big.bin", noise(1, 3_000_000));
  bed.write("text", text(2, 400_000));
  bed.write("empty", "");
  for (let index = 0; index < 300; index++) bed.write(`many/${index}`, `number ${index}`.repeat(20));
  fs.mkdirSync(path.join(bed.source, "empty folder/inner"), { recursive: true });
  fs.symlinkSync("../nowhere", path.join(bed.source, "a/link"));
  fs.linkSync(path.join(bed.source, "text"), path.join(bed.source, "text again"));
  fs.chmodSync(path.join(bed.source, "a-b"), 0o4751);
  fs.utimesSync(path.join(bed.source, "a.txt"), -5.5, -5.5);
}

describe("push", () => {
  it("of a mixed folder, read back, is the identity", async () => {
    makeMixed();
    const result = await pushAndCompare();
    assert.deepEqual([result.files, result.moved, result.skipped], [307, [true], []]);
  });

  for (const [name, make] of [
    ["an empty folder", () => undefined],
    [
      "empty files and folders only",
      () => {
        bed.write("a/none", "");
        bed.write("none", "");
      },
    ],
    [
      "one byte",
      () => {
        bed.write("one", "x");
      },
    ],
    [
      "files of exactly the average size, one less and one more",
      () => {
        for (const size of [4095, 4096, 4097]) bed.write(`of-${size}`, noise(size, size));
      },
    ],
    [
      "a sparse file",
      () => {
        bed.write("sparse", "");
        fs.truncateSync(path.join(bed.source, "sparse"), 5_000_000);
      },
    ],
  ] as const) {
    it(`of ${name}, read back, is the identity`, async () => {
      make();
      await pushAndCompare();
    });
  }

  it("of a single file, also through a symlink, holds it by the name that was given", async () => {
    bed.write("file", "content");
    fs.symlinkSync("file", path.join(bed.source, "link"));
    for (const name of ["file", "link"]) {
      const { digest } = await bed.push({ source: path.join(bed.source, name) });
      assert.deepEqual(
        (await bed.read(digest)).map((entry) => entry.path),
        [name],
      );
    }
  });

  it("of a symlink to a folder holds the folder's content", async () => {
    makeMixed();
    const link = `${bed.source}-link`;
    fs.symlinkSync("source", link);
    assert.equal((await bed.push({ source: link })).digest, (await bed.push()).digest);
  });

  it("gives the same digest whatever memory, block size, compression, stat cache and version before", async () => {
    makeMixed();
    const { digest } = await bed.push();
    const again = [
      bed.push(),
      bed.push({ rehash: true }),
      bed.push({ blockBytes: MiB, compressionLevel: 0 }, { memoryBytes: 32 * MiB, cacheDir: undefined }),
      bed.push({ dryRun: true }, { cacheDir: path.join(bed.cacheDir, "other") }),
    ];
    for (const result of await Promise.all(again)) assert.equal(result.digest, digest);
    const other = await openPushBed(pool);
    try {
      other.write("before", text(2, 300_000));
      await other.push();
      const options = { source: bed.source, compressionLevel: 9, blockBytes: MiB };
      assert.equal((await other.push(options, { memoryBytes: 32 * MiB })).digest, digest);
      assert.deepEqual(await other.read(digest), readFolder(bed.source));
    } finally {
      await other.close();
    }
  });

  for (const chunking of [
    { kind: "cdc", averageBytes: 4096 },
    { kind: "cdc", averageBytes: 4 * MiB },
    { kind: "fixed", averageBytes: 5000 },
    { kind: "fixed", averageBytes: 4 * MiB },
  ] as const) {
    it(`cut by ${chunking.kind}:${chunking.averageBytes}, into small blocks with little memory, is the identity`, async () => {
      makeMixed();
      bed.write("huge", noise(4, 21 * MiB));
      const options = { chunking, blockBytes: MiB };
      const { digest } = await bed.push(options, { memoryBytes: 32 * MiB });
      assert.deepEqual(await bed.read(digest), readFolder(bed.source));
      assert.deepEqual((await openVersion(bed.engine, digest)).root.chunking, chunking);
    });
  }

  it("of version after version stores deltas, deeper than the limit too, and each is the identity", async () => {
    let bytes = text(5, 600_000);
    bed.write("data", bytes);
    await pushAndCompare();
    let changedBytes = 0;
    let blockBytes = 0;
    for (let version = 1; version < 8; version++) {
      bytes = edited(bytes, 1000 + 77_000 * version, `edit ${version}`);
      bytes = edited(bytes, 300_000, `in the same place ${version}`);
      bed.write("data", bytes);
      const { storedBytes, manifestBytes, newBytes } = await pushAndCompare();
      changedBytes += newBytes;
      blockBytes += storedBytes - manifestBytes;
    }
    assert.ok(
      blockBytes < changedBytes / 4,
      `${blockBytes} bytes of blocks for ${changedBytes} of new chunks`,
    );
  });

  it("counts the bytes by which blocks, manifests and plans grow, and they are none when nothing changed", async () => {
    makeMixed();
    for (const change of [
      () => undefined,
      () => {
        bed.write("text", text(9, 100_000));
      },
    ]) {
      change();
      const before = bed.contentBytes();
      const result = await bed.push();
      assert.equal(bed.contentBytes() - before, result.storedBytes);
      assert.equal(result.sentBytes, result.storedBytes);
      assert.ok(result.manifestBytes > 0 && result.manifestBytes < result.storedBytes);
    }
    const again = await bed.push();
    assert.deepEqual([again.storedBytes, again.newChunks, again.moved], [0, 0, [false]]);
  });

  it("as a dry run writes nothing into the store and says what it would", async () => {
    makeMixed();
    const before = bed.files("");
    const dry = await bed.push({ dryRun: true });
    assert.deepEqual(bed.files(""), before);
    assert.deepEqual(dry.moved, [false]);
    const real = await bed.push();
    assert.deepEqual([dry.digest, dry.newBytes, dry.chunks], [real.digest, real.newBytes, real.chunks]);
  });

  it("of an unchanged tree reads no file, unless it is told to", async (t) => {
    if (!fs.existsSync(IO_COUNTERS)) {
      t.skip(`only where ${IO_COUNTERS} tells what a process reads`);
      return;
    }
    bed.write("big.bin", noise(6, 8 * MiB));
    // What was changed a moment before the walk is not remembered: it may change again unseen.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { digest } = await bed.push();
    const atFirst = readBytes();
    assert.equal((await bed.push()).digest, digest);
    const unchanged = readBytes();
    assert.equal((await bed.push({ rehash: true })).digest, digest);
    assert.ok(unchanged - atFirst < 8 * MiB, `${unchanged - atFirst} bytes were read`);
    assert.ok(readBytes() - unchanged >= 8 * MiB);
  });

  it("after a change reads what changed, and takes the rest as it was", async () => {
    makeMixed();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await bed.push();
    bed.write("many/17", "changed");
    fs.chmodSync(path.join(bed.source, "text"), 0o600);
    fs.rmSync(path.join(bed.source, "a.txt"));
    const { newChunks } = await pushAndCompare();
    assert.ok(newChunks > 0 && newChunks < 10);
  });

  it("leaves neither lease nor temporary file behind", async () => {
    makeMixed();
    await bed.push();
    const left = [...bed.files("leases", "tmp").keys()].filter((file) => !file.endsWith("lock"));
    assert.deepEqual(left, []);
    assert.deepEqual(temporaries(), []);
  });

  it("of random trees and edits, several versions in a row, is the identity", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(editions(), { minLength: 1, maxLength: 5 }), async (versions) => {
        for (const edits of versions) {
          for (const edit of edits) apply(edit);
          await pushAndCompare();
        }
      }),
      { numRuns: 8 },
    );
  });
});

const IO_COUNTERS = "/proc/self/io";

/** Bytes that this process has read in all. */
function readBytes(): number {
  return Number(/^rchar: (\d+)/m.exec(fs.readFileSync(IO_COUNTERS, "utf8"))?.[1]);
}

function temporaries(): string[] {
  const names = fs.readdirSync(bed.cacheDir, { recursive: true }) as string[];
  return names.filter((name) => name.endsWith(".tmp"));
}

interface Edit {
  readonly name: string;
  readonly kind: "write" | "insert" | "remove" | "link";
  readonly seed: number;
  readonly size: number;
}

function editions(): fc.Arbitrary<Edit[]> {
  const name = fc.constantFrom("a", "b/c", "b/d", "b-", "é/ü", "z/y/x/w", "m1", "m2", "m3", "m4");
  const size = fc.oneof(fc.constantFrom(0, 1, 4095, 4096), fc.nat({ max: 20_000 }), fc.nat({ max: 400_000 }));
  const kind = fc.constantFrom("write", "insert", "insert", "remove", "link");
  return fc.array(fc.record({ name, kind, seed: fc.nat({ max: 3 }), size }), { minLength: 1, maxLength: 8 });
}

function apply({ name, kind, seed, size }: Edit): void {
  const file = path.join(bed.source, name);
  const present = fs.lstatSync(file, { throwIfNoEntry: false });
  if (kind === "insert" && present?.isFile() === true) {
    const bytes = fs.readFileSync(file);
    bed.write(name, edited(bytes, size % (bytes.byteLength + 1), `edit ${seed}`));
    return;
  }
  fs.rmSync(file, { recursive: true, force: true });
  fs.mkdirSync(path.dirname(file), { recursive: true });
  if (kind === "link") fs.symlinkSync(`target ${seed}`, file);
  else if (kind !== "remove") bed.write(name, seed === 0 ? noise(seed, size) : text(seed, size & ~1));
}
