/** Encoding frames in a thread, from memory that it shares with the scanner. */
import { copyBytes } from "../../base/bytes.ts";
import { CODECS, encodeDelta, encodePlainInto, type Codec, type EncodedFrame } from "../../format/frame.ts";
import { compressBound } from "../../format/zstd.ts";
import type { TaskResult } from "./tasks.ts";

/** One frame to make: a piece of the shared memory, against a dictionary when there is one. */
export interface EncodeRequest {
  readonly start: number;
  readonly end: number;
  /** Cut points within [start,end) when it is a run of several chunks: the ends of its chunks. */
  readonly chunkEnds: readonly number[];
  readonly dictionary: Uint8Array | undefined;
  /** So many bytes of the dictionary are what readers most likely have: the rest is used where that makes a great difference. */
  readonly nearBytes?: number | undefined;
}

/** Requests as they go to a thread: numbers in one array, since a message of many small objects costs more than its work. */
export interface EncodeInput {
  readonly memory: SharedArrayBuffer;
  readonly level: number;
  /** Of each request: its start, the dictionary's near bytes, how many chunks it has, and their ends. */
  readonly requests: Uint32Array<ArrayBuffer>;
  /** Of each request. */
  readonly dictionaries: readonly (Uint8Array | undefined)[];
}

/** A frame made; a request that was better off plain gives one frame for each of its chunks. */
export interface EncodedItem {
  readonly codec: Codec;
  /** Index of the request, and of the chunk in it (0 for a delta, which holds them all). */
  readonly request: number;
  readonly chunk: number;
  /** Where the stored bytes lie in the shared memory, and how many they are. */
  readonly start: number;
  readonly storedBytes: number;
  /** What its chunks take as plain frames; of a delta that is far shorter, estimated from one of them. */
  readonly plainBytes: number;
  /** Of a delta: how much of the dictionary it was made with, either the near bytes or all; else 0. */
  readonly dictionaryBytes: number;
}

const ITEM_FIELDS = 7;

/** The requests as one message. */
export function packRequests(
  memory: SharedArrayBuffer,
  level: number,
  requests: readonly EncodeRequest[],
): EncodeInput {
  const numbers = requests.flatMap(({ start, chunkEnds, nearBytes = 0 }) => [
    start,
    nearBytes,
    chunkEnds.length,
    ...chunkEnds,
  ]);
  const dictionaries = requests.map((request) => request.dictionary);
  return { memory, level, requests: Uint32Array.from(numbers), dictionaries };
}

function unpackRequests({ requests, dictionaries }: EncodeInput): EncodeRequest[] {
  let at = 0;
  return dictionaries.map((dictionary) => {
    const [start = 0, nearBytes = 0, count = 0] = requests.subarray(at, at + 3);
    const chunkEnds = [...requests.subarray(at + 3, at + 3 + count)];
    at += 3 + count;
    return { start, end: chunkEnds.at(-1) ?? start, chunkEnds, dictionary, nearBytes };
  });
}

function packItems(items: readonly EncodedItem[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    items.flatMap(({ codec, request, chunk, start, storedBytes, plainBytes, dictionaryBytes }) => [
      codec,
      request,
      chunk,
      start,
      storedBytes,
      plainBytes,
      dictionaryBytes,
    ]),
  );
}

/** The items that a thread answered with. */
export function unpackItems(packed: Uint32Array): EncodedItem[] {
  const items: EncodedItem[] = [];
  for (let at = 0; at < packed.length; at += ITEM_FIELDS) {
    const [codec, request = 0, chunk = 0, start = 0, ...sizes] = packed.subarray(at, at + ITEM_FIELDS);
    const [storedBytes = 0, plainBytes = 0, dictionaryBytes = 0] = sizes;
    items.push({ codec: codec as Codec, request, chunk, start, storedBytes, plainBytes, dictionaryBytes });
  }
  return items;
}

/**
 * zstd's level for deltas at least: beside a dictionary it makes them a fifth to a third shorter than level 3, and still
 * takes in over 100 MB/s (docs/decisions/0008).
 */
const DELTA_LEVEL_MIN = 9;
/** A delta that is this much shorter than its run is kept without trying the plain form. */
const CLEAR_GAIN = 1 / 16;
/** Others are kept when they are this much shorter than the plain form, which later deltas build on more cheaply. */
const WORTHWHILE_GAIN = 0.7;

/** Where a chunk is compressed before it is known to be worth it; one for each thread. */
let scratch = new Uint8Array(0);

/** Encodes in place: a frame is written over the bytes that it was made of, and is never longer than they are. */
export function encodeFrames(input: EncodeInput): TaskResult<Uint32Array<ArrayBuffer>> {
  const memory = new Uint8Array(input.memory);
  const items: EncodedItem[] = [];
  for (const [request, wanted] of unpackRequests(input).entries()) {
    const delta = encodeDeltaIfShorter(memory, wanted, input.level);
    if (delta === undefined) items.push(...encodeChunks(memory, wanted, input.level, request));
    else {
      const { start } = wanted;
      const { stored, ...made } = delta;
      copyBytes(stored, memory, start);
      items.push({ ...made, request, chunk: 0, start, storedBytes: stored.byteLength });
    }
  }
  return { output: packItems(items), transfer: [] };
}

/** A delta, as it is made. */
interface MadeDelta extends EncodedFrame {
  readonly dictionaryBytes: number;
}

/** The run as a delta, on the near bytes where the whole dictionary does not make it much shorter. */
function makeDelta(run: Uint8Array, dictionary: Uint8Array, nearBytes: number, level: number): MadeDelta {
  const make = (bytes: number): MadeDelta => ({
    ...encodeDelta(run, dictionary.subarray(0, bytes), Math.max(level, DELTA_LEVEL_MIN)),
    dictionaryBytes: bytes,
  });
  const all = make(dictionary.byteLength);
  if (nearBytes === 0 || nearBytes === dictionary.byteLength) return all;
  const near = make(nearBytes);
  return all.stored.byteLength < near.stored.byteLength * WORTHWHILE_GAIN ? all : near;
}

/** The run as a delta, unless its chunks are shorter on their own. */
function encodeDeltaIfShorter(
  memory: Uint8Array,
  request: EncodeRequest,
  level: number,
): (MadeDelta & { readonly plainBytes: number }) | undefined {
  const { dictionary, start, end, chunkEnds, nearBytes = 0 } = request;
  if (dictionary === undefined) return undefined;
  const run = memory.subarray(start, end);
  const delta = makeDelta(run, dictionary, nearBytes, level);
  const plainBytesOf = (from: number, to: number): number =>
    encodePlainInto(memory.subarray(from, to), level, scratchFor(to - from)).stored.byteLength;
  if (delta.stored.byteLength < run.byteLength * CLEAR_GAIN) {
    const sampleEnd = chunkEnds[0] ?? end;
    const share = plainBytesOf(start, sampleEnd) / (sampleEnd - start);
    return { ...delta, plainBytes: Math.round(run.byteLength * share) };
  }
  let plainBytes = 0;
  let from = start;
  for (const to of chunkEnds) {
    plainBytes += plainBytesOf(from, to);
    from = to;
  }
  return delta.stored.byteLength < plainBytes * WORTHWHILE_GAIN ? { ...delta, plainBytes } : undefined;
}

function encodeChunks(
  memory: Uint8Array,
  wanted: EncodeRequest,
  level: number,
  request: number,
): EncodedItem[] {
  let start = wanted.start;
  return wanted.chunkEnds.map((end, chunk) => {
    const from = start;
    start = end;
    const frame = encodePlainInto(memory.subarray(from, end), level, scratchFor(end - from));
    if (frame.codec !== CODECS.raw) copyBytes(frame.stored, memory, from);
    const storedBytes = frame.stored.byteLength;
    const sizes = { storedBytes, plainBytes: storedBytes, dictionaryBytes: 0 };
    return { codec: frame.codec, request, chunk, start: from, ...sizes };
  });
}

function scratchFor(chunkBytes: number): Uint8Array {
  const neededBytes = compressBound(chunkBytes);
  if (scratch.byteLength < neededBytes) scratch = new Uint8Array(neededBytes);
  return scratch;
}

/** Whether an item holds its request's whole run. */
export function isDelta(item: EncodedItem): boolean {
  return item.codec === CODECS.delta;
}
