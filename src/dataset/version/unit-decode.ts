/** Decoding a unit. Synchronous: for threads. */
import { hash } from "node:crypto";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { CODECS, decodeFrame, decodeFrameWithin } from "../../format/frame.ts";
import { PAGE_BYTES_MAX } from "../../format/page.ts";
import type { Dictionary, UnitChunk, UnitFrame } from "./unit.ts";

/** A unit with the bytes that were fetched for it. */
export interface FetchedUnit {
  readonly frames: readonly UnitFrame[];
  readonly chunks: readonly UnitChunk[];
  /** Stored bytes of each frame. */
  readonly stored: readonly Uint8Array[];
  /** Bytes of each chunk that is at hand, verified. */
  readonly locals: readonly Uint8Array[];
}

/**
 * The bytes of the unit's chunks in order, each verified against its digest: views, of what `makeRoom` gives where it is
 * given. Errors: OBJECT_CORRUPT.
 */
export function decodeUnit(unit: FetchedUnit, makeRoom?: (bytes: number) => Uint8Array): Uint8Array[] {
  const decoded: Uint8Array[] = [];
  for (const [index, frame] of unit.frames.entries()) {
    const stored = must(unit.stored[index], "every frame was fetched");
    const { codec, decodedBytes } = frame;
    const dictionary =
      frame.dictionary === undefined ? undefined : assemble(frame.dictionary, decoded, unit.locals);
    try {
      decoded.push(
        decodedBytes === undefined
          ? decodeFrameWithin(codec, stored, PAGE_BYTES_MAX, dictionary)
          : decodeFrame(codec, stored, decodedBytes, dictionary, roomFor(frame, decodedBytes, makeRoom)),
      );
    } catch (cause) {
      throw cause instanceof AetherError ? damaged(unit, index, decoded, cause) : cause;
    }
  }
  return unit.chunks.map((chunk) => {
    if ("local" in chunk) return must(unit.locals[chunk.local], "every local base was read");
    const frame = must(decoded[chunk.frame], "a chunk lies in a frame of its unit");
    const end = chunk.bytes === undefined ? frame.byteLength : chunk.offset + chunk.bytes;
    const bytes = frame.subarray(chunk.offset, end);
    if (hasDigest(bytes, chunk.digest)) return bytes;
    throw damaged(unit, chunk.frame, decoded, mismatch(chunk.digest));
  });
}

/** The error, naming the block that is to blame as far as digests tell: a frame's bases are not verified for themselves. */
function damaged(
  { frames }: Pick<FetchedUnit, "frames">,
  index: number,
  decoded: readonly Uint8Array[],
  error: AetherError,
): AetherError {
  const frame = must(frames[index], "the frame is of the unit");
  for (const piece of frame.dictionary?.pieces ?? []) {
    if (!("frame" in piece) || piece.digest === undefined) continue;
    const base = must(decoded[piece.frame], "bases stand before the frames that need them");
    if (!hasDigest(base.subarray(piece.offset, piece.offset + piece.bytes), piece.digest))
      return damaged({ frames }, piece.frame, decoded, mismatch(piece.digest));
  }
  if (frame.offset === 0) return error;
  const block = formatDigest(frame.block);
  const data = { ...error.data, block };
  return new AetherError(error.code, `${error.message}, in block ${block}`, { data, cause: error });
}

/** Room where it is of use: for a frame that a context which is used again decodes. */
function roomFor(
  { codec }: UnitFrame,
  decodedBytes: number,
  makeRoom: ((bytes: number) => Uint8Array) | undefined,
): Uint8Array | undefined {
  return codec === CODECS.zstd ? makeRoom?.(decodedBytes) : undefined;
}

/** The same bytes, when they have this digest. Errors: OBJECT_CORRUPT. */
export function verifyBytes(bytes: Uint8Array, digest: Digest): Uint8Array {
  if (hasDigest(bytes, digest)) return bytes;
  throw mismatch(digest);
}

function hasDigest(bytes: Uint8Array, digest: Digest): boolean {
  return hash("sha256", bytes, "hex") === digest;
}

function mismatch(digest: Digest): AetherError {
  const name = formatDigest(digest);
  return new AetherError("OBJECT_CORRUPT", `stored bytes do not match their digest ${name}`, {
    data: { digest: name },
  });
}

function assemble(
  dictionary: Dictionary,
  decoded: readonly Uint8Array[],
  locals: readonly Uint8Array[],
): Uint8Array {
  const pieces = dictionary.pieces.map((piece) => {
    if ("local" in piece) return must(locals[piece.local], "every local base was read");
    const frame = must(decoded[piece.frame], "bases stand before the frames that need them");
    return frame.subarray(piece.offset, piece.offset + piece.bytes);
  });
  const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  return bytes.subarray(dictionary.offset, dictionary.offset + dictionary.bytes);
}
