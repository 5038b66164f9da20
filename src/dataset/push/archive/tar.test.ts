import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { GiB, MiB } from "../../../base/limits.ts";
import { systemRandom } from "../../../base/random.ts";
import { createPathFilter } from "../../path-filter.ts";
import { tarMember } from "../../testing/archives.ts";
import { temporaryFolder } from "../../testing/folder.ts";
import { ArchiveIndex } from "./archive-index.ts";
import { Members } from "./members.ts";
import { Spool } from "./spool.ts";
import { readTar } from "./tar.ts";

const BLOCK_BYTES = 512;

/** Zeros, with these bytes at their offsets, up to `end`. */
function* mostlyZeros(marks: ReadonlyMap<number, Buffer>, end: number): Generator<Buffer> {
  const zeros = Buffer.alloc(8 * MiB);
  let at = 0;
  for (const [offset, bytes] of [...marks, [end, Buffer.alloc(0)] as const]) {
    for (; at < offset; at += Math.min(zeros.byteLength, offset - at)) yield zeros.subarray(0, offset - at);
    yield bytes;
    at += bytes.byteLength;
  }
}

it("tar members of 5 and of 12 GiB, in octal and in base 256, lie where they lie", async () => {
  const folder = temporaryFolder();
  const file = fs.openSync(path.join(folder.path, "sparse.tar"), "w+");
  const spool = await Spool.open(folder.path, systemRandom, MiB);
  const index = new ArchiveIndex(spool);
  try {
    const octal = 5 * GiB;
    const base256 = 12 * GiB;
    const field = Buffer.alloc(12);
    field.writeBigUInt64BE(BigInt(base256), 4);
    field[0] = 0x80;
    const second = BLOCK_BYTES + octal;
    const third = second + BLOCK_BYTES + base256;
    const marks = new Map([
      [0, tarMember({ name: "a", size: octal })],
      [second, tarMember({ name: "b", size: field })],
      [third, tarMember({ name: "c", bytes: "" })],
    ]);
    for (const [offset, bytes] of marks) fs.writeSync(file, bytes, 0, bytes.byteLength, offset);
    const end = third + 3 * BLOCK_BYTES;
    fs.ftruncateSync(file, end);
    const members = new Members(index, createPathFilter({}), (_path, error) => assert.fail(error));
    await readTar(pieces(marks, end), file, members, undefined);
    assert.deepEqual(
      [...index.entries()].map(({ path: name, size, offset }) => [name, size, offset]),
      [
        ["a", octal, BLOCK_BYTES],
        ["b", base256, second + BLOCK_BYTES],
        ["c", 0, third + BLOCK_BYTES],
      ],
    );
  } finally {
    index.close();
    await spool.close();
    fs.closeSync(file);
    folder.remove();
  }
});

async function* pieces(marks: ReadonlyMap<number, Buffer>, end: number): AsyncGenerator<Buffer> {
  yield* mostlyZeros(marks, end);
  await Promise.resolve();
}
