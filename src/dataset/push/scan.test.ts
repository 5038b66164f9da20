import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { concatBytes } from "../../base/bytes.ts";
import { codeOf } from "../../base/errors.ts";
import { cutReference } from "../../format/chunker-reference.ts";
import { createChunkerMemory } from "../../format/chunker.ts";
import { digestOf } from "../../format/digest.ts";
import { noise } from "../testing/engine.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { folderFiles } from "./source-files.ts";
import { SegmentScanner, type ScannedPiece, type SegmentRequest } from "./scan.ts";

/** Twice the longest chunk: the least that a slot may be. */
const SLOT_BYTES = 32 * 1024;

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const memory = createChunkerMemory(SLOT_BYTES);
const scanners: SegmentScanner[] = [];
after(() => {
  for (const scanner of scanners) scanner.close();
});

function scannerOf(): SegmentScanner {
  const scanner = new SegmentScanner(
    folderFiles((name) => path.join(folder.path, name)),
    TEST_CHUNKING,
    memory,
  );
  scanners.push(scanner);
  return scanner;
}

function write(name: string, bytes: Uint8Array): { readonly path: string; readonly size: number } {
  fs.writeFileSync(path.join(folder.path, name), bytes);
  return { path: name, size: bytes.byteLength };
}

/** Fills the slot until nothing waits; the chunks' bytes of each segment that was scanned to its end. */
function scanAll(
  scanner: SegmentScanner,
  between: (piece: ScannedPiece) => void = () => undefined,
): Uint8Array[][] {
  const bytes = new Uint8Array(memory.memory.buffer);
  const segments: Uint8Array[][] = [];
  let chunks: Uint8Array[] = [];
  for (;;) {
    const pieces = scanner.fill(memory.dataOffset, memory.dataOffset + SLOT_BYTES);
    if (pieces.length === 0) return segments;
    for (const piece of pieces) {
      if (piece.restarted) chunks = [];
      let from = piece.start;
      for (const [index, end] of piece.chunkEnds.entries()) {
        const chunk = new Uint8Array(bytes.slice(from, end));
        assert.equal(
          Buffer.from(piece.digests.subarray(32 * index, 32 * index + 32)).toString("hex"),
          digestOf(chunk),
        );
        chunks.push(chunk);
        from = end;
      }
      between(piece);
      if (!piece.done) continue;
      segments.push(chunks);
      chunks = [];
    }
  }
}

function cutBytes(bytes: Uint8Array): string[] {
  let start = 0;
  return cutReference(TEST_CHUNKING, bytes).map((end) => {
    const digest = digestOf(bytes.subarray(start, end));
    start = end;
    return digest;
  });
}

test("scan of a file of many slots cuts it as the reference does", () => {
  const bytes = noise(1, 500_000);
  const scanner = scannerOf();
  scanner.enqueue([{ id: 1, files: [write("large", bytes)], continues: false }]);
  assert.deepEqual(
    scanAll(scanner).map((chunks) => chunks.map(digestOf)),
    [cutBytes(bytes)],
  );
});

test("scan of a run in one request or in parts, with or without files in the last, gives the same chunks", () => {
  const parts = Array.from({ length: 60 }, (_, index) => noise(index, 100 + 61 * index));
  const files = parts.map((bytes, index) => write(`small-${index}`, bytes));
  const expected = [cutBytes(concatBytes(parts))];
  const requests: SegmentRequest[][] = [
    [{ id: 1, files, continues: false }],
    [
      { id: 1, files: files.slice(0, 1), continues: true },
      { id: 1, files: files.slice(1, 33), continues: true },
      { id: 1, files: files.slice(33), continues: false },
    ],
    [
      { id: 1, files, continues: true },
      { id: 1, files: [], continues: false },
    ],
  ];
  for (const request of requests) {
    const scanner = scannerOf();
    scanner.enqueue(request);
    assert.deepEqual(
      scanAll(scanner).map((chunks) => chunks.map(digestOf)),
      expected,
    );
  }
});

test("scan of a file that grows or is rewritten while it is read begins anew and gives what it became", () => {
  for (const change of [
    (name: string) => {
      fs.appendFileSync(name, "more");
    },
    (name: string) => {
      fs.writeFileSync(name, noise(3, 200_000));
    },
    (name: string) => {
      fs.truncateSync(name, 100_000);
    },
  ]) {
    const scanner = scannerOf();
    scanner.enqueue([{ id: 1, files: [write("file", noise(2, 300_000))], continues: false }]);
    const name = path.join(folder.path, "file");
    let isChanged = false;
    let restarts = 0;
    const [chunks = []] = scanAll(scanner, (piece) => {
      if (!isChanged) change(name);
      isChanged = true;
      if (piece.restarted) restarts++;
    });
    assert.equal(restarts, 1);
    assert.deepEqual(concatBytes(chunks), fs.readFileSync(name));
  }
});

test("scan of a file that does not hold still gives up with SOURCE_CHANGED", () => {
  const scanner = scannerOf();
  scanner.enqueue([{ id: 1, files: [write("file", noise(2, 300_000))], continues: false }]);
  const touch = (): void => {
    fs.appendFileSync(path.join(folder.path, "file"), "x");
  };
  assert.throws(
    () => scanAll(scanner, touch),
    (error) => codeOf(error) === "SOURCE_CHANGED",
  );
});

test("scan of a file that is not what the walk saw fails with SOURCE_CHANGED", () => {
  const changes: ((name: string) => void)[] = [
    (name) => {
      fs.rmSync(name);
    },
    (name) => {
      fs.rmSync(name);
      fs.mkdirSync(name);
    },
    (name) => {
      fs.rmSync(name);
      fs.symlinkSync("/etc/passwd", name);
    },
    (name) => {
      fs.truncateSync(name, 0);
    },
    (name) => {
      fs.writeFileSync(name, noise(1, 9000));
    },
  ];
  for (const size of [100, 4096]) {
    for (const [index, change] of changes.entries()) {
      const name = `file-${size}-${index}`;
      const scanner = scannerOf();
      scanner.enqueue([{ id: 1, files: [write(name, noise(1, size))], continues: false }]);
      change(path.join(folder.path, name));
      const isGrownLarge = size === 4096 && index === changes.length - 1;
      if (isGrownLarge) assert.equal(scanAll(scanner).length, 1);
      else
        assert.throws(
          () => scanAll(scanner),
          (error) => codeOf(error) === "SOURCE_CHANGED",
        );
    }
  }
});
