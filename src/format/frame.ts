/** Frames: how chunks lie in a block. docs/format.md §5.1 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { WINDOW_LOG_MAX, compressBound, compressInto, decompressInto } from "./zstd.ts";

/** How a frame's bytes decode: as they are, as one zstd frame, or as one against a raw dictionary. */
export const CODECS = { raw: 0, zstd: 1, delta: 2 } as const;
export type Codec = (typeof CODECS)[keyof typeof CODECS];

/** What a delta frame decodes to, and its dictionary, at most. Larger dictionaries miss matches (design: measured). */
export const DELTA_BYTES_MAX = MiB;
/** Base chunks that one delta frame names at most: the smallest chunks of a full dictionary, and two cut ones. */
export const DELTA_BASES_MAX = 514;
/** Delta frames that a chunk's decoding passes through at most. */
export const DEPTH_MAX = 3;
/** Bytes that decoding a delta frame may produce, its bases' included. */
export const DECODE_BYTES_MAX = 4 * MiB;

/** zstd's level unless the producer says otherwise. */
export const DEFAULT_COMPRESSION_LEVEL = 3;
/** Below this a compressed form is not worth decoding: 3 % less than raw. */
const WORTHWHILE_SHARE = 0.97;
/** Places of the hash table that deltas are found with, at least, as a power of two. */
const DELTA_HASH_LOG_MIN = 17;
/** Who asks for a level above this one wants the densest at any price. */
const DENSE_LEVEL_MIN = 12;
/** Output buffers a little over the input's size save zlib from growing and joining them. */
const OUTPUT_SLACK_BYTES = 1024;

/** A frame's codec and stored bytes. */
export interface EncodedFrame {
  readonly codec: Codec;
  readonly stored: Uint8Array;
}

/** One chunk as zstd, or raw when that is hardly longer. `level` 0 is raw always. Synchronous: for workers. */
export function encodePlain(chunk: Uint8Array, level: number): EncodedFrame {
  const frame = encodePlainInto(chunk, level, new Uint8Array(compressBound(chunk.byteLength)));
  return frame.codec === CODECS.raw ? frame : { ...frame, stored: new Uint8Array(frame.stored) };
}

/**
 * As encodePlain, without memory of its own: the stored bytes are the chunk's, or lie in `scratch`, which has
 * compressBound of the chunk's bytes at least.
 */
export function encodePlainInto(chunk: Uint8Array, level: number, scratch: Uint8Array): EncodedFrame {
  if (level === 0) return { codec: CODECS.raw, stored: chunk };
  const length = compressInto(chunk, scratch, level);
  const stored = length === undefined ? compress(chunk, level) : scratch.subarray(0, length);
  if (stored.byteLength >= chunk.byteLength * WORTHWHILE_SHARE) return { codec: CODECS.raw, stored: chunk };
  return { codec: CODECS.zstd, stored };
}

/** A run of chunks against a dictionary, each at most DELTA_BYTES_MAX. Synchronous: for workers. */
export function encodeDelta(run: Uint8Array, dictionary: Uint8Array, level: number): EncodedFrame {
  return { codec: CODECS.delta, stored: compress(run, level, dictionary) };
}

/**
 * What zstd takes for a whole window is mostly spent on clearing tables, for each run anew. A table with a place for every
 * third byte of dictionary and run finds as much: with fewer, the dictionary's beginning is forgotten before it is looked for
 * (docs/decisions/0008).
 */
function tablesFor(level: number, bytes: number): Record<number, number> {
  if (level > DENSE_LEVEL_MIN) return {};
  const hashLog = Math.floor(Math.log2(Math.max(bytes, 1)) - 1 / 2);
  return { [constants.ZSTD_c_hashLog]: Math.max(hashLog, DELTA_HASH_LOG_MIN) };
}

function compress(bytes: Uint8Array, level: number, dictionary?: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, {
    chunkSize: (bytes.byteLength >>> 1) + OUTPUT_SLACK_BYTES,
    // Told the size, zstd takes tables to match: less memory to fault in for each chunk.
    pledgedSrcSize: bytes.byteLength,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      ...(dictionary && tablesFor(level, dictionary.byteLength + bytes.byteLength)),
    },
    ...(dictionary === undefined ? {} : { dictionary }),
  });
}

/**
 * The frame's decoded bytes, exactly `decodedBytes` of them; digests are the caller's to verify. A raw frame's are the
 * stored ones, no copy; others lie in `output` (exactly as long) when it is given and serves. Never produces more than it
 * was told to expect. Synchronous: for workers.
 * Errors: OBJECT_CORRUPT.
 */
export function decodeFrame(
  codec: Codec,
  stored: Uint8Array,
  decodedBytes: number,
  dictionary?: Uint8Array,
  output?: Uint8Array,
): Uint8Array {
  const decoded = decodeFrameWithin(codec, stored, decodedBytes, dictionary, output);
  if (decoded.byteLength !== decodedBytes) {
    throw new AetherError(
      "OBJECT_CORRUPT",
      `a frame decodes to ${decoded.byteLength} bytes, not ${decodedBytes}`,
    );
  }
  return decoded;
}

/** As decodeFrame, when nobody says how long the bytes are: at most `bytesMax` of them. Errors: OBJECT_CORRUPT. */
export function decodeFrameWithin(
  codec: Codec,
  stored: Uint8Array,
  bytesMax: number,
  dictionary?: Uint8Array,
  output?: Uint8Array,
): Uint8Array {
  if (codec === CODECS.raw) {
    if (stored.byteLength <= bytesMax) return stored;
    throw new AetherError("OBJECT_CORRUPT", `a frame has ${stored.byteLength} bytes, over ${bytesMax}`);
  }
  if (dictionary === undefined) {
    const room = output ?? Buffer.allocUnsafeSlow(bytesMax);
    const length = decompressInto(stored, room);
    if (length !== undefined) return room.subarray(0, length);
  }
  try {
    return zstdDecompressSync(stored, {
      chunkSize: Math.max(bytesMax + OUTPUT_SLACK_BYTES, 64),
      maxOutputLength: Math.max(bytesMax, 1),
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
      ...(dictionary === undefined ? {} : { dictionary }),
    });
  } catch (cause) {
    throw new AetherError("OBJECT_CORRUPT", "a stored frame does not decode", { cause });
  }
}
