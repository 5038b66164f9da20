import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { cutReference } from "./chunker-reference.ts";
import { Chunker, createChunkerMemory } from "./chunker.ts";
import { parseChunking } from "./chunking.ts";
import { digestOf } from "./digest.ts";
import { GEAR_SEED, gearTable } from "./gear.ts";

/** docs/format.md §12 */
type Part = { sha256Counter: string; bytes: number } | { repeat: string; bytes: number };

interface CutVector {
  readonly description: string;
  readonly chunking: string;
  readonly input: readonly Part[];
  readonly inputSha256: string;
  readonly cuts: readonly number[];
}

const FOLDER = new URL("../../test/vectors/chunking/", import.meta.url);

function readVector(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

function expand(part: Part): Buffer {
  if ("repeat" in part) return Buffer.alloc(part.bytes, Buffer.from(part.repeat, "hex"));
  const blocks = Array.from({ length: Math.ceil(part.bytes / 32) }, (_, index) => {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64LE(BigInt(index));
    return createHash("sha256").update(part.sha256Counter).update(counter).digest();
  });
  return Buffer.concat(blocks).subarray(0, part.bytes);
}

const names = readdirSync(FOLDER).filter((name) => name !== "gear.json");

test("the vectors of chunking, all twelve, are there", () => {
  assert.equal(names.length, 12);
});

for (const name of names) {
  const vector = readVector(name) as CutVector;
  test(`vector ${name}, ${vector.description}`, () => {
    const parameters = parseChunking(vector.chunking);
    const bytes = Buffer.concat(vector.input.map(expand));
    assert.equal(digestOf(bytes), vector.inputSha256);
    assert.deepEqual(cutReference(parameters, bytes), vector.cuts);
    const memory = createChunkerMemory(bytes.length);
    const { dataOffset } = memory;
    new Uint8Array(memory.memory.buffer).set(bytes, dataOffset);
    const cuts = new Chunker(parameters, memory).cut(dataOffset, dataOffset + bytes.length, true);
    assert.deepEqual(
      Array.from(cuts, (cut) => cut - dataOffset),
      vector.cuts,
    );
  });
}

test("gear table, derived from its seed, is the vector's", () => {
  const vector = readVector("gear.json") as { seed: string; sha256: string; first: string; last: string };
  const table = Buffer.from(gearTable());
  assert.equal(GEAR_SEED, vector.seed);
  assert.equal(digestOf(table), vector.sha256);
  assert.equal(table.toString("hex", 0, 8), vector.first);
  assert.equal(table.toString("hex", 2040), vector.last);
});
