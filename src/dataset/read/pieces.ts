/** Pieces of a stream: runs of chunks that are read, decoded and kept together. */
import { KiB, MiB } from "../../base/limits.ts";
import { CODECS } from "../../format/frame.ts";
import type { Digest } from "../../format/digest.ts";
import { placeChunk, type ChunkSpan } from "../version/chunks.ts";
import type { Version } from "../version/version.ts";

/** A piece has no more bytes than this, unless a single chunk has: one that is verified, one that is decoded. */
export const RAW_PIECE_BYTES_MAX = MiB;
const CODED_PIECE_BYTES_MAX = 512 * KiB;

/** Where bytes lie in a block as they are in the stream. */
export interface RawPlace {
  readonly block: Digest;
  readonly offset: number;
}

/** A run of consecutive chunks of one leaf page. */
export interface Piece {
  /** Relative to the leaf's first byte. */
  readonly start: number;
  readonly end: number;
  /** When all its chunks are raw frames, one after another; else undefined. */
  readonly raw: RawPlace | undefined;
  /** Its chunks; undefined once they were found to match their digests where `raw` says. */
  spans: readonly ChunkSpan[] | undefined;
}

/** The pieces of a leaf page whose chunks these are, in order. Errors: those of placeChunk. */
export async function piecesOf(version: Version, spans: readonly ChunkSpan[]): Promise<Piece[]> {
  const pieces: Piece[] = [];
  let run: ChunkSpan[] = [];
  let raw: RawPlace | undefined;
  let start = 0;
  let end = 0;
  const close = (): void => {
    if (run.length > 0) pieces.push({ start, end, raw, spans: run });
    run = [];
    start = end;
  };
  for (const span of spans) {
    const place = await rawPlaceOf(version, span);
    const bytesMax = place === undefined ? CODED_PIECE_BYTES_MAX : RAW_PIECE_BYTES_MAX;
    if (!follows(raw, end - start, place) || end - start + span.length > bytesMax) close();
    if (run.length === 0) raw = place;
    run.push(span);
    end += span.length;
  }
  close();
  return pieces;
}

/** Whether what lies at `next` comes right after `bytes` bytes from `place`, or both are coded. */
export function follows(place: RawPlace | undefined, bytes: number, next: RawPlace | undefined): boolean {
  if (place === undefined || next === undefined) return place === next;
  return place.block === next.block && place.offset + bytes === next.offset;
}

async function rawPlaceOf(version: Version, span: ChunkSpan): Promise<RawPlace | undefined> {
  const { plan, place, bytes } = await placeChunk(version, span);
  const frame = plan.frames[place.frame];
  if (frame?.codec !== CODECS.raw || place.offset !== 0 || frame.storedBytes !== bytes) return undefined;
  return { block: frame.block, offset: frame.offset };
}
