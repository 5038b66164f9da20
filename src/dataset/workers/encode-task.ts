/** Encoding frames in a thread, from memory that it shares with the scanner. */
import { CODECS, encodeDelta, encodePlain, type Codec, type EncodedFrame } from "../../format/frame.ts";
import type { TaskResult } from "./tasks.ts";

/** One frame to make: a piece of the shared memory, against a dictionary when there is one. */
export interface EncodeRequest {
  readonly start: number;
  readonly end: number;
  /** Cut points within [start,end) when it is a run of several chunks: the ends of its chunks. */
  readonly chunkEnds: readonly number[];
  readonly dictionary: Uint8Array | undefined;
}

export interface EncodeInput {
  readonly memory: SharedArrayBuffer;
  readonly level: number;
  readonly requests: readonly EncodeRequest[];
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
}

/** A delta that is this much shorter than its run is kept without trying the plain form. */
const CLEAR_GAIN = 0.25;

/** Encodes in place: a frame is written over the bytes that it was made of, and is never longer than they are. */
export function encodeFrames(input: EncodeInput): TaskResult<EncodedItem[]> {
  const memory = new Uint8Array(input.memory);
  const items: EncodedItem[] = [];
  for (const [request, wanted] of input.requests.entries()) {
    const made = encodeRequest(memory, wanted, input.level);
    for (const [chunk, { codec, stored, start }] of made.entries()) {
      if (codec !== CODECS.raw) memory.set(stored, start);
      items.push({ codec, request, chunk, start, storedBytes: stored.byteLength });
    }
  }
  return { output: items, transfer: [] };
}

type MadeFrame = EncodedFrame & { readonly start: number };

function encodeRequest(memory: Uint8Array, request: EncodeRequest, level: number): MadeFrame[] {
  const { dictionary, start } = request;
  if (dictionary === undefined) return encodeChunks(memory, request, level);
  const run = memory.subarray(start, request.end);
  const delta = { ...encodeDelta(run, dictionary, Math.max(level, 1)), start };
  if (delta.stored.byteLength < run.byteLength * CLEAR_GAIN) return [delta];
  const plain = encodeChunks(memory, request, level);
  const plainBytes = plain.reduce((sum, frame) => sum + frame.stored.byteLength, 0);
  return delta.stored.byteLength < plainBytes ? [delta] : plain;
}

function encodeChunks(memory: Uint8Array, request: EncodeRequest, level: number): MadeFrame[] {
  let start = request.start;
  return request.chunkEnds.map((end) => {
    const frame = { ...encodePlain(memory.subarray(start, end), level), start };
    start = end;
    return frame;
  });
}

/** Whether an item holds its request's whole run. */
export function isDelta(item: EncodedItem): boolean {
  return item.codec === CODECS.delta;
}
