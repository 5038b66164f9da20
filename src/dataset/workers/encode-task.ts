/** Encoding frames in a thread, from memory that it shares with the scanner. */
import { CODECS, encodeDelta, encodePlain, type Codec } from "../../format/frame.ts";
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
  readonly storedBytes: number;
}

export interface EncodeOutput {
  readonly items: readonly EncodedItem[];
  /** The frames' bytes one after another. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A delta that is this much shorter than its run is kept without trying the plain form. */
const CLEAR_GAIN = 0.25;

export function encodeFrames(input: EncodeInput): TaskResult<EncodeOutput> {
  const memory = new Uint8Array(input.memory);
  const items: EncodedItem[] = [];
  const parts: Uint8Array[] = [];
  for (const [request, wanted] of input.requests.entries()) {
    for (const [chunk, frame] of encodeRequest(memory, wanted, input.level).entries()) {
      items.push({ codec: frame.codec, request, chunk, storedBytes: frame.stored.byteLength });
      parts.push(frame.stored);
    }
  }
  const bytes = joined(parts);
  return { output: { items, bytes }, transfer: [bytes.buffer] };
}

function encodeRequest(
  memory: Uint8Array,
  request: EncodeRequest,
  level: number,
): ReturnType<typeof encodePlain>[] {
  const plain = (): ReturnType<typeof encodePlain>[] => {
    let start = request.start;
    return request.chunkEnds.map((end) => {
      const frame = encodePlain(memory.subarray(start, end), level);
      start = end;
      return frame;
    });
  };
  if (request.dictionary === undefined) return plain();
  const run = memory.subarray(request.start, request.end);
  const delta = encodeDelta(run, request.dictionary, Math.max(level, 1));
  if (delta.stored.byteLength < run.byteLength * CLEAR_GAIN) return [delta];
  const frames = plain();
  const plainBytes = frames.reduce((sum, frame) => sum + frame.stored.byteLength, 0);
  return delta.stored.byteLength < plainBytes ? [delta] : frames;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.byteLength;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

/** Whether an item holds its request's whole run. */
export function isDelta(item: EncodedItem): boolean {
  return item.codec === CODECS.delta;
}
