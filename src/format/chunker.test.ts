import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { KiB, MiB } from "../base/limits.ts";
import { cutReference } from "./chunker-reference.ts";
import { Chunker, CHUNKER_DATA_BYTES_MAX, createChunkerMemory, type ChunkerMemory } from "./chunker.ts";
import { CHUNK_AVERAGE_MAX, CHUNK_AVERAGE_MIN, chunkBounds, type ChunkingParameters } from "./chunking.ts";
import { digestOf } from "./digest.ts";

/** Bytes without structure, the same for the same seed. */
function noise(seed: number, length: number): Uint8Array {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Lines that share most of their bytes. */
function text(seed: number, length: number): Uint8Array {
  let lines = "";
  for (let line = seed; lines.length < length; line++) lines += `{"id": ${line}, "square": ${line * line}}\n`;
  return Buffer.from(lines.slice(0, length));
}

function place(memory: ChunkerMemory, bytes: Uint8Array, at = memory.dataOffset): void {
  new Uint8Array(memory.memory.buffer).set(bytes, at);
}

/** What a Chunker gives for the bytes as one whole segment, as offsets in them. */
function cutWhole(parameters: ChunkingParameters, bytes: Uint8Array): number[] {
  const memory = createChunkerMemory(bytes.length);
  place(memory, bytes);
  const { dataOffset } = memory;
  const cuts = new Chunker(parameters, memory).cut(dataOffset, dataOffset + bytes.length, true);
  return Array.from(cuts, (cut) => cut - dataOffset);
}

/** The same for the bytes as they arrive in pieces: what is left of one call stands before the next piece. */
function cutPieces(parameters: ChunkingParameters, bytes: Uint8Array, pieceBytes: number[]): number[] {
  const { maxBytes } = chunkBounds(parameters);
  const memory = createChunkerMemory(maxBytes + Math.max(0, ...pieceBytes));
  const chunker = new Chunker(parameters, memory);
  const { dataOffset } = memory;
  const cuts: number[] = [];
  let carried = 0;
  let taken = 0;
  for (let piece = 0; taken < bytes.length; piece++) {
    const arriving = bytes.subarray(taken, taken + (pieceBytes[piece % pieceBytes.length] ?? 0));
    place(memory, arriving, dataOffset + carried);
    taken += arriving.length;
    const end = dataOffset + carried + arriving.length;
    const segmentOffset = taken - (end - dataOffset);
    const given = chunker.cut(dataOffset, end, taken === bytes.length);
    for (const cut of given) cuts.push(segmentOffset + cut - dataOffset);
    const rest = given.at(-1) ?? dataOffset;
    carried = end - rest;
    assert.ok(carried < maxBytes, `${carried} bytes were left of at most ${maxBytes}`);
    new Uint8Array(memory.memory.buffer).copyWithin(dataOffset, rest, end);
  }
  return cuts;
}

const smallParameters = fc.oneof(
  fc.constantFrom(4, 8, 16).map((size): ChunkingParameters => ({ kind: "cdc", averageBytes: size * KiB })),
  fc
    .integer({ min: 4 * KiB, max: 16 * KiB })
    .map((size): ChunkingParameters => ({ kind: "fixed", averageBytes: size })),
);

const input = fc
  .array(
    fc.record({
      seed: fc.nat(),
      length: fc.oneof(fc.nat(2 * KiB), fc.nat(150 * KiB)),
      form: fc.constantFrom("noise", "text", "zeros"),
    }),
    { maxLength: 4 },
  )
  .map((parts) =>
    Buffer.concat(
      parts.map(({ seed, length, form }) => {
        if (form === "zeros") return Buffer.alloc(length);
        return form === "noise" ? noise(seed, length) : text(seed % 1_000_000, length);
      }),
    ),
  );

const pieces = fc
  .array(fc.oneof(fc.nat(64), fc.nat(100 * KiB)), { minLength: 1, maxLength: 8 })
  .filter((sizes) => sizes.reduce((sum, size) => sum + size, 0) > 16 * KiB);

test("cuts of a segment, presented whole or in any pieces, are those of the reference", () => {
  fc.assert(
    fc.property(smallParameters, input, pieces, (parameters, bytes, pieceBytes) => {
      const expected = cutReference(parameters, bytes);
      assert.deepEqual(cutWhole(parameters, bytes), expected);
      assert.deepEqual(cutPieces(parameters, bytes, pieceBytes), expected);
    }),
    { numRuns: 100 },
  );
});

for (let averageBytes = CHUNK_AVERAGE_MIN; averageBytes <= CHUNK_AVERAGE_MAX; averageBytes *= 2) {
  test(`cuts at an average of ${averageBytes / KiB} KiB, in pieces, are those of the reference and within bounds`, () => {
    const parameters: ChunkingParameters = { kind: "cdc", averageBytes };
    const { minBytes, maxBytes } = chunkBounds(parameters);
    const bytes = Buffer.concat([
      noise(averageBytes, 4 * averageBytes),
      Buffer.alloc(maxBytes),
      noise(1, 1000),
    ]);
    const cuts = cutPieces(parameters, bytes, [1, maxBytes - 1, 0, averageBytes + 7, 3]);
    assert.deepEqual(cuts, cutReference(parameters, bytes));
    const lengths = cuts.map((cut, index) => cut - (cuts[index - 1] ?? 0));
    assert.ok(lengths.every((length) => length <= maxBytes));
    assert.ok(lengths.slice(0, -1).every((length) => length >= minBytes));
    assert.equal(cuts.at(-1), bytes.length);
  });
}

test("cuts of segments as long as a bound, a byte less or more, are those of the reference", () => {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes: 4 * KiB };
  const { minBytes, averageBytes, maxBytes } = chunkBounds(parameters);
  for (const bound of [1, minBytes, averageBytes, maxBytes]) {
    for (const length of [bound - 1, bound, bound + 1]) {
      for (const bytes of [noise(length, length), Buffer.alloc(length)]) {
        assert.deepEqual(cutWhole(parameters, bytes), cutReference(parameters, bytes), `${length} bytes`);
      }
    }
  }
});

test("cut of an empty range gives nothing, whether or not bytes follow", () => {
  const memory = createChunkerMemory(1);
  for (const kind of ["cdc", "fixed"] as const) {
    const chunker = new Chunker({ kind, averageBytes: 64 * KiB }, memory);
    assert.deepEqual([...chunker.cut(memory.dataOffset, memory.dataOffset, true)], []);
    assert.deepEqual([...chunker.cut(memory.dataOffset, memory.dataOffset, false)], []);
  }
});

test("cut of bytes that others follow, shorter than the largest chunk, gives only what the hash decides", () => {
  const memory = createChunkerMemory(64 * KiB);
  const chunker = new Chunker({ kind: "cdc", averageBytes: 4 * KiB }, memory);
  const start = memory.dataOffset;
  assert.deepEqual([...chunker.cut(start, start + 16 * KiB - 1, false)], []);
  assert.deepEqual([...chunker.cut(start, start + 16 * KiB, false)], [start + 16 * KiB]);
});

/** Runs of 64 bytes whose hash makes a cut at an average of 4 KiB: before the average, or only from there on. */
function findTriggers(): { early: Uint8Array[]; late: Uint8Array[] } {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes: 4 * KiB };
  const bytes = noise(21, 2 * MiB);
  const cuts = cutReference(parameters, bytes);
  const select = (from: number, to: number): Uint8Array[] =>
    cuts
      .filter(
        (cut, index) => index > 0 && cut - (cuts[index - 1] ?? 0) > from && cut - (cuts[index - 1] ?? 0) < to,
      )
      .map((cut) => bytes.slice(cut - 64, cut))
      .slice(0, 10);
  return { early: select(2 * KiB, 4 * KiB), late: select(4 * KiB, 16 * KiB) };
}

test("a chunk that content ends is cut at that byte, near each bound, once that byte is there and not before", () => {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes: 4 * KiB };
  const { minBytes, averageBytes, maxBytes } = chunkBounds(parameters);
  const { early, late } = findTriggers();
  const memory = createChunkerMemory(2 * maxBytes);
  const chunker = new Chunker(parameters, memory);
  const start = memory.dataOffset;
  const expectCutAt = (length: number, trigger: Uint8Array): void => {
    place(memory, Buffer.concat([Buffer.alloc(length - 64), trigger, Buffer.alloc(maxBytes)]));
    assert.deepEqual([...chunker.cut(start, start + length - 1, false)], []);
    assert.deepEqual([...chunker.cut(start, start + length, false)], [start + length]);
    assert.equal(chunker.cut(start, start + length + 1, false)[0], start + length);
    const segment = new Uint8Array(memory.memory.buffer).slice(start, start + length + 1);
    assert.equal(cutReference(parameters, segment)[0], length);
  };
  assert.ok(early.length === 10 && late.length === 10);
  for (let offset = 0; offset < 8; offset++) {
    for (const trigger of early) {
      expectCutAt(minBytes + offset, trigger);
      expectCutAt(averageBytes - 1 - offset, trigger);
    }
    for (const trigger of late) {
      expectCutAt(averageBytes + offset, trigger);
      expectCutAt(maxBytes - 1 - offset, trigger);
    }
  }
});

test("cuts do not depend on the bytes around the range, nor on where it lies", () => {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes: 4 * KiB };
  const bytes = noise(7, 200 * KiB);
  const expected = cutReference(parameters, bytes);
  const memory = createChunkerMemory(1 * MiB);
  const chunker = new Chunker(parameters, memory);
  for (const [seed, shift] of [0, 1, 63, 64, 65, 4099].entries()) {
    place(memory, noise(seed, 1 * MiB));
    const start = memory.dataOffset + shift;
    place(memory, bytes, start);
    const cuts = chunker.cut(start, start + bytes.length, true);
    assert.deepEqual(
      Array.from(cuts, (cut) => cut - start),
      expected,
    );
  }
});

test("cut leaves the memory as it was", () => {
  const memory = createChunkerMemory(256 * KiB);
  place(memory, noise(3, 256 * KiB));
  const before = new Uint8Array(memory.memory.buffer).slice();
  const chunker = new Chunker({ kind: "cdc", averageBytes: 4 * KiB }, memory);
  chunker.cut(memory.dataOffset, memory.dataOffset + 256 * KiB, true);
  assert.ok(Buffer.from(memory.memory.buffer).equals(before));
});

test("chunks of bytes with an insertion, a deletion or a change are the same but for a few", () => {
  const parameters: ChunkingParameters = { kind: "cdc", averageBytes: 8 * KiB };
  const digests = (bytes: Uint8Array): string[] =>
    cutReference(parameters, bytes).map((cut, index, cuts) =>
      digestOf(bytes.subarray(cuts[index - 1] ?? 0, cut)),
    );
  const original = noise(11, 2 * MiB);
  const known = new Set(digests(original));
  assert.ok(known.size > 150);
  for (const at of [0, 12_345, 1 * MiB, 2 * MiB - 10]) {
    const [head, tail] = [original.subarray(0, at), original.subarray(at)];
    const edits = [
      Buffer.concat([head, noise(12, 100), tail]),
      Buffer.concat([head, tail.subarray(1)]),
      Buffer.concat([head, noise(13, 5), tail.subarray(5)]),
    ];
    for (const edited of edits) {
      const unknown = digests(edited).filter((digest) => !known.has(digest));
      assert.ok(unknown.length >= 1 && unknown.length <= 6, `${unknown.length} chunks differ`);
    }
  }
});

const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.module).then(({ Chunker }) => {
    const chunker = new Chunker(workerData.parameters, workerData.memory);
    const { dataOffset } = workerData.memory;
    let cuts;
    for (let round = 0; round < 20; round++) cuts = chunker.cut(dataOffset, dataOffset + workerData.length, true);
    parentPort.postMessage(Array.from(cuts, (cut) => cut - dataOffset));
  });
`;

test("chunkers of several threads on the same bytes of one memory give each its own cuts", async () => {
  const bytes = noise(5, 1 * MiB);
  const memory = createChunkerMemory(bytes.length);
  place(memory, bytes);
  const module = new URL("./chunker.ts", import.meta.url).href;
  const averages = [4 * KiB, 16 * KiB, 64 * KiB];
  const answers = averages.map(async (averageBytes) => {
    const parameters: ChunkingParameters = { kind: "cdc", averageBytes };
    const worker = new Worker(WORKER, {
      eval: true,
      workerData: { module, memory, parameters, length: bytes.length },
    });
    const [cuts] = (await once(worker, "message")) as [number[]];
    await worker.terminate();
    assert.deepEqual(cuts, cutReference(parameters, bytes));
  });
  await Promise.all(answers);
});

test("a range outside of the memory's data is an assertion, not a read", () => {
  const memory = createChunkerMemory(64 * KiB);
  const chunker = new Chunker({ kind: "cdc", averageBytes: 4 * KiB }, memory);
  const { dataOffset } = memory;
  const ranges = [
    [0, dataOffset],
    [dataOffset, dataOffset + 64 * KiB + 1],
    [dataOffset + 2, dataOffset + 1],
    [dataOffset, dataOffset + 0.5],
  ] as const;
  for (const [start, end] of ranges) assert.throws(() => chunker.cut(start, end, true), /assertion failed/);
});

test("parameters that are not allowed, or more memory than there may be, are refused with a code", () => {
  const memory = createChunkerMemory(0);
  assert.throws(() => new Chunker({ kind: "cdc", averageBytes: 5000 }, memory), { code: "ARGUMENT_INVALID" });
  assert.throws(() => cutReference({ kind: "fixed", averageBytes: 0 }, new Uint8Array(1)), {
    code: "ARGUMENT_INVALID",
  });
  assert.throws(() => createChunkerMemory(CHUNKER_DATA_BYTES_MAX + 1), { code: "LIMIT_EXCEEDED" });
});

test("the last chunk of the largest memory ends at its end", () => {
  const memory = createChunkerMemory(CHUNKER_DATA_BYTES_MAX);
  const end = memory.memory.buffer.byteLength;
  const chunker = new Chunker({ kind: "cdc", averageBytes: 64 * KiB }, memory);
  assert.deepEqual([...chunker.cut(end - 300 * KiB, end, true)], [end - 44 * KiB, end]);
  assert.deepEqual([...chunker.cut(end - 256 * KiB, end, false)], [end]);
});
