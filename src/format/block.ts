/** Blocks: header, frames, index, footer. docs/format.md §5 */
import { AetherError } from "../base/errors.ts";
import { asBuffer, decodeUtf8 } from "../base/bytes.ts";
import { DOMAIN_LENGTH_MAX, GiB, KiB, MiB } from "../base/limits.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { DIGEST_BYTES } from "./digest.ts";
import {
  CODECS,
  DECODE_BYTES_MAX,
  DELTA_BASES_MAX,
  DELTA_BYTES_MAX,
  DEPTH_MAX,
  type Codec,
} from "./frame.ts";
import { HEADER_BYTES, checkHeader, encodeHeader } from "./header.ts";
import { PAGE_BYTES_MAX } from "./page.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** Bytes of a block at which a producer closes it: without a choice, and the bounds of a choice. */
export const BLOCK_BYTES_DEFAULT = 32 * MiB;
export const BLOCK_BYTES_MIN = MiB;
export const BLOCK_BYTES_MAX = 256 * MiB;
/** Frames of a block at most: a producer begins a new block then. */
export const BLOCK_FRAMES_MAX = 16_384;
/** A frame's stored bytes at most. */
const STORED_BYTES_MAX = CHUNK_BYTES_MAX * 2;
/** Chunks of a delta frame at most. */
export const FRAME_CHUNKS_MAX = 512;
/** A block's object at most: the payload limit, one more frame, and the index. */
export const BLOCK_OBJECT_BYTES_MAX = GiB;
/** Enough of a block's end to hold the index as a rule. */
export const INDEX_GUESS_BYTES = 64 * KiB;
const INDEX_BYTES_MAX = 32 * MiB;

const FOOTER_BYTES = 8;
const FOOTER_MAGIC = 0x58464541; // "AEFX", little-endian

/** What a delta frame was encoded against: `range` of the concatenation of these chunks. */
export interface FrameBase {
  /** 32 bytes each. */
  readonly digests: Uint8Array;
  readonly lengths: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

/** A frame as a block's index describes it. */
export interface FrameInfo {
  readonly codec: Codec;
  /** Bytes in the block. */
  readonly storedBytes: number;
  /** Digests of its chunks, 32 bytes each: one chunk, or a run of them in a delta frame. */
  readonly digests: Uint8Array;
  readonly lengths: readonly number[];
  /** Of a delta frame, else undefined. */
  readonly base: FrameBase | undefined;
  /** Delta frames that decoding passes through: 0 of a plain one. */
  readonly depth: number;
  /** Of a delta frame: all bytes that decoding it produces, its bases' included; else 0. */
  readonly decodeBytes: number;
  /** Whether it holds a manifest's page. */
  readonly isPage: boolean;
}

/** A block's index, with the frames' places. */
export interface BlockIndex {
  readonly domain: string;
  readonly frames: readonly FrameInfo[];
  /** Where each frame begins in the block. */
  readonly offsets: readonly number[];
}

/** The block's bytes around its frames, which lie between in order. */
export interface BlockEnvelope {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** Header, index and footer for these frames. */
export function encodeBlock(domain: string, frames: readonly FrameInfo[]): BlockEnvelope {
  const index = new WireWriter().bytes(1, Buffer.from(domain));
  for (const frame of frames) index.element(2, encodeFrameInfo(frame));
  const bytes = index.finish();
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeUInt32LE(bytes.byteLength, 0);
  footer.writeUInt32LE(FOOTER_MAGIC, 4);
  return { head: encodeHeader("block"), tail: Buffer.concat([bytes, footer]) };
}

function encodeFrameInfo(frame: FrameInfo): Uint8Array {
  const writer = new WireWriter()
    .uint(1, frame.codec)
    .uint(2, frame.storedBytes)
    .bytes(3, frame.digests)
    .packed(4, frame.lengths);
  if (frame.base !== undefined) {
    writer.bytes(5, frame.base.digests).packed(6, frame.base.lengths);
    writer.uint(7, frame.base.offset).uint(8, frame.base.bytes);
  }
  return writer
    .uint(9, frame.depth)
    .uint(10, frame.decodeBytes)
    .uint(11, frame.isPage ? 1 : 0)
    .finish();
}

/** Bytes at a block's end that index and footer take, read from its last bytes (8 at least). Errors: OBJECT_INVALID. */
export function indexBytes(tail: Uint8Array): number {
  const buffer = asBuffer(tail);
  const footer = buffer.byteLength - FOOTER_BYTES;
  if (footer < 0 || buffer.readUInt32LE(footer + 4) !== FOOTER_MAGIC) {
    throw new AetherError("OBJECT_INVALID", "a block does not end with its footer");
  }
  const bytes = buffer.readUInt32LE(footer);
  if (bytes > INDEX_BYTES_MAX) throw new AetherError("OBJECT_INVALID", `a block's index has ${bytes} bytes`);
  return bytes + FOOTER_BYTES;
}

/**
 * The index of a block of `blockBytes`, from its header and its last bytes (indexBytes of them at least). Frames are
 * checked to fill the space between exactly. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED.
 */
export function decodeIndex(header: Uint8Array, tail: Uint8Array, blockBytes: number): BlockIndex {
  checkHeader(header, "block");
  const tailBytes = indexBytes(tail);
  if (tailBytes > tail.byteLength) throw new AetherError("OBJECT_INVALID", "a block's index is cut off");
  const end = tail.byteLength - FOOTER_BYTES;
  const reader = new WireReader(tail.subarray(tail.byteLength - tailBytes, end), "a block's index");
  const domain = decodeUtf8(reader.bytes(1));
  const frames = reader.elements(2, BLOCK_FRAMES_MAX).map(decodeFrameInfo);
  reader.end();
  if (domain === undefined || domain.length > DOMAIN_LENGTH_MAX) {
    throw new AetherError("OBJECT_INVALID", "a block's domain is not valid");
  }
  const offsets: number[] = [];
  let offset = HEADER_BYTES;
  for (const frame of frames) {
    offsets.push(offset);
    offset += frame.storedBytes;
  }
  if (offset + tailBytes !== blockBytes) {
    throw new AetherError(
      "OBJECT_INVALID",
      `a block's frames end at ${offset}, and it has ${blockBytes} bytes`,
    );
  }
  return { domain, frames, offsets };
}

function decodeFrameInfo(bytes: Uint8Array): FrameInfo {
  const reader = new WireReader(bytes, "a block's frame");
  const codec = reader.uint(1, CODECS.delta) as Codec;
  const storedBytes = reader.uint(2, STORED_BYTES_MAX);
  const digests = reader.bytes(3);
  const lengths = reader.packed(4, FRAME_CHUNKS_MAX);
  const base = decodeBase(reader);
  const depth = reader.uint(9, DEPTH_MAX);
  const decodeBytes = reader.uint(10, DECODE_BYTES_MAX);
  const isPage = reader.uint(11, 1) === 1;
  reader.end();
  const frame = { codec, storedBytes, digests, lengths, base, depth, decodeBytes, isPage };
  return checkFrameInfo(frame);
}

/** The frame, when a block's index may describe it (docs/format.md §5.1, §5.2). Errors: OBJECT_INVALID. */
export function checkFrameInfo(frame: FrameInfo): FrameInfo {
  const { codec, storedBytes, digests, lengths, base, isPage } = frame;
  const isSound =
    storedBytes > 0 &&
    storedBytes <= STORED_BYTES_MAX &&
    lengths.length <= FRAME_CHUNKS_MAX &&
    (base?.lengths.length ?? 0) <= DELTA_BASES_MAX &&
    (base?.bytes ?? 0) <= DELTA_BYTES_MAX &&
    arePaired(digests, lengths, isPage ? PAGE_BYTES_MAX : CHUNK_BYTES_MAX) &&
    (codec === CODECS.delta ? isSoundDelta(frame) : isSoundPlain(frame));
  if (!isSound) throw new AetherError("OBJECT_INVALID", "a block's index describes an impossible frame");
  return frame;
}

/** The base that fields 5 to 8 describe, or undefined when none of them is there. */
function decodeBase(reader: WireReader): FrameBase | undefined {
  const digests = reader.bytes(5);
  const lengths = reader.packed(6, DELTA_BASES_MAX);
  const offset = reader.uint(7);
  const bytes = reader.uint(8, DELTA_BYTES_MAX);
  if (digests.byteLength === 0 && lengths.length === 0 && offset === 0 && bytes === 0) return undefined;
  return { digests, lengths, offset, bytes };
}

function isSoundPlain(frame: FrameInfo): boolean {
  const { codec, base, depth, decodeBytes, lengths, storedBytes } = frame;
  const holdsOne = lengths.length === 1 && (codec !== CODECS.raw || storedBytes === lengths[0]);
  return holdsOne && base === undefined && depth === 0 && decodeBytes === 0;
}

function isSoundDelta({ base, depth, decodeBytes, lengths }: FrameInfo): boolean {
  const decodedBytes = sum(lengths);
  if (base === undefined || depth === 0 || decodedBytes > DELTA_BYTES_MAX || decodeBytes < decodedBytes)
    return false;
  const { digests, offset, bytes } = base;
  return (
    bytes > 0 && arePaired(digests, base.lengths, CHUNK_BYTES_MAX) && offset + bytes <= sum(base.lengths)
  );
}

/** Whether there is one digest for each length, one at least, and each length is from 1 to `lengthMax`. */
function arePaired(digests: Uint8Array, lengths: readonly number[], lengthMax: number): boolean {
  const inRange = lengths.every((length) => length > 0 && length <= lengthMax);
  return inRange && lengths.length > 0 && lengths.length * DIGEST_BYTES === digests.byteLength;
}

function sum(lengths: readonly number[]): number {
  let total = 0;
  for (const length of lengths) total += length;
  return total;
}
