/** Pieces of a stream: runs of chunks that are read, decoded and kept together. */
import { MiB } from "../../base/limits.ts";
import { digestBytes, DIGEST_BYTES, type Digest } from "../../format/digest.ts";
import { CODECS, type Codec } from "../../format/frame.ts";
import { placeChunk, type ChunkSpan } from "../version/chunks.ts";
import type { Version } from "../version/version.ts";
import { PLAIN_FRAME_FIELDS, type PlainFrames } from "../workers/verify-task.ts";

/** Stored bytes of a piece. */
export const STORED_BYTES_MAX = MiB;

/** How large pieces may be, in bytes; a single chunk may have more. */
export interface PieceLimits {
  /** Of one that is stored raw; at most STORED_BYTES_MAX. */
  readonly rawBytesMax: number;
  /** Of one that is decoded; at most STORED_BYTES_MAX. */
  readonly decodedBytesMax: number;
}

/** Where stored bytes lie. */
export interface StoredRun {
  readonly block: Digest;
  readonly offset: number;
  readonly bytes: number;
}

/** A run of consecutive chunks of one leaf page. */
export interface Piece {
  /** Relative to the leaf's first byte. */
  readonly start: number;
  readonly end: number;
  /** `raw`: stored as it is; `plain`: in frames that need no others; `other`: anything else. */
  readonly kind: "raw" | "plain" | "other";
  /** Where its frames lie one after another; undefined of `other`. */
  readonly stored: StoredRun | undefined;
  /** Its frames; undefined of `other`. */
  readonly frames: Omit<PlainFrames, "memory"> | undefined;
  /** Its chunks, of `other`. */
  readonly spans: readonly ChunkSpan[] | undefined;
  /** What a disk of this machine has of it, raw in its store or in the cache folder, was verified since this process began. */
  isDiskVerified: boolean;
}

/** The piece's chunks as frames that are stored raw one after another, as its decoded bytes are. */
export function decodedFrames({ frames, spans = [] }: Piece): Omit<PlainFrames, "memory"> {
  const lengths =
    frames === undefined
      ? spans.map(({ length }) => length)
      : Array.from(
          { length: frames.frames.length / PLAIN_FRAME_FIELDS },
          (_, index) => frames.frames[(index + 1) * PLAIN_FRAME_FIELDS - 1] ?? 0,
        );
  const raw = new Uint32Array(lengths.length * PLAIN_FRAME_FIELDS);
  let start = 0;
  for (const [index, length] of lengths.entries()) {
    raw.set([CODECS.raw, start, length, length], index * PLAIN_FRAME_FIELDS);
    start += length;
  }
  return { frames: raw, digests: frames?.digests ?? digestsOf(spans) };
}

function digestsOf(spans: readonly ChunkSpan[]): Uint8Array<ArrayBuffer> {
  const digests = new Uint8Array(spans.length * DIGEST_BYTES);
  for (const [index, { digest }] of spans.entries()) digests.set(digestBytes(digest), index * DIGEST_BYTES);
  return digests;
}

/** A chunk and the frame that holds it alone, when it has one. */
interface Placed {
  readonly span: ChunkSpan;
  readonly frame: (StoredRun & { readonly codec: Codec }) | undefined;
}

/** The pieces of a leaf page whose chunks these are, in order. Errors: those of placeChunk. */
export async function piecesOf(
  version: Version,
  spans: readonly ChunkSpan[],
  limits: PieceLimits,
): Promise<Piece[]> {
  const pieces: Piece[] = [];
  let run: Placed[] = [];
  let runBytes = 0;
  let storedBytes = 0;
  let storedEnd: StoredRun | undefined;
  let start = 0;
  const close = (): void => {
    if (run.length === 0) return;
    pieces.push(pieceOf(run, start, start + runBytes));
    start += runBytes;
    run = [];
    runBytes = 0;
    storedBytes = 0;
  };
  for (const span of spans) {
    const placed = { span, frame: await plainFrameOf(version, span) };
    const kind = run[0] && kindOf(run[0]);
    const joins =
      (kindOf(placed) === kind || (kind === "plain" && kindOf(placed) === "raw")) &&
      follows(storedEnd, placed.frame) &&
      storedBytes + (placed.frame?.bytes ?? 0) <= STORED_BYTES_MAX &&
      runBytes + span.length <= (kind === "raw" ? limits.rawBytesMax : limits.decodedBytesMax);
    if (!joins) close();
    run.push(placed);
    runBytes += span.length;
    storedBytes += placed.frame?.bytes ?? 0;
    storedEnd = placed.frame;
  }
  close();
  return pieces;
}

/** Whether `next` lies right after `stored`, or both lie anywhere. */
export function follows(stored: StoredRun | undefined, next: StoredRun | undefined): boolean {
  if (stored === undefined || next === undefined) return stored === next;
  return stored.block === next.block && stored.offset + stored.bytes === next.offset;
}

function kindOf({ frame }: Placed): Piece["kind"] {
  if (frame === undefined) return "other";
  return frame.codec === CODECS.raw ? "raw" : "plain";
}

function pieceOf(run: readonly Placed[], start: number, end: number): Piece {
  const [first] = run;
  const kind = first === undefined ? "other" : kindOf(first);
  if (first?.frame === undefined) {
    const spans = run.map(({ span }) => span);
    return { start, end, kind, stored: undefined, frames: undefined, spans, isDiskVerified: false };
  }
  const frames = new Uint32Array(run.length * PLAIN_FRAME_FIELDS);
  const digests = new Uint8Array(run.length * DIGEST_BYTES);
  let bytes = 0;
  for (const [index, { span, frame }] of run.entries()) {
    const storedBytes = frame?.bytes ?? 0;
    frames.set([frame?.codec ?? 0, bytes, storedBytes, span.length], index * PLAIN_FRAME_FIELDS);
    digests.set(digestBytes(span.digest), index * DIGEST_BYTES);
    bytes += storedBytes;
  }
  const { block, offset } = first.frame;
  return {
    start,
    end,
    kind,
    stored: { block, offset, bytes },
    frames: { frames, digests },
    spans: undefined,
    isDiskVerified: false,
  };
}

async function plainFrameOf(version: Version, span: ChunkSpan): Promise<Placed["frame"]> {
  const { plan, place, bytes } = await placeChunk(version, span);
  const frame = plan.frames[place.frame];
  if (frame === undefined || frame.delta !== undefined || place.offset !== 0) return undefined;
  const { codec, block, offset, storedBytes } = frame;
  const isRaw = codec === CODECS.raw;
  if (span.length > STORED_BYTES_MAX) return undefined;
  if (isRaw ? storedBytes !== bytes : storedBytes > STORED_BYTES_MAX) return undefined;
  return { codec, block, offset, bytes: storedBytes };
}
