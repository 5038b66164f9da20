/** Verifying frames in a thread: nothing of them comes back but what they are like. */
import { CODECS, decodeFrame, type Codec } from "../../format/frame.ts";
import { DIGEST_BYTES, digestFromBytes } from "../../format/digest.ts";
import { decodeUnit, verifyBytes, type FetchedUnit } from "../version/unit-decode.ts";
import { beginArena, takeRoom } from "./arena.ts";
import { packSketches, sketchOf, type PackedSketches, type Sketch } from "./sketch.ts";
import type { TaskResult } from "./tasks.ts";

/** Plain frames of one chunk each, as they go to a thread: numbers in one array. */
export interface PlainFrames {
  /** What the frames' stored bytes lie in. */
  readonly memory: ArrayBufferLike;
  /** Of each frame: codec, where its stored bytes begin, how many they are, how many they decode to. */
  readonly frames: Uint32Array<ArrayBuffer>;
  /** Of each frame's chunk, one after another. */
  readonly digests: Uint8Array<ArrayBuffer>;
}

/** Numbers that PlainFrames has of each frame. */
export const PLAIN_FRAME_FIELDS = 4;

/** Decodes each frame and compares its chunk with its digest; gives the chunks' sketches. Errors: OBJECT_CORRUPT. */
export function verifyPlain({ memory, frames, digests }: PlainFrames): TaskResult<PackedSketches> {
  const sketches: Sketch[] = [];
  for (let frame = 0; frame * PLAIN_FRAME_FIELDS < frames.length; frame++) {
    beginArena();
    const at = frame * PLAIN_FRAME_FIELDS;
    const [codec = 0, start = 0, storedBytes = 0, decodedBytes = 0] = frames.subarray(
      at,
      at + PLAIN_FRAME_FIELDS,
    );
    const stored = new Uint8Array(memory, start, storedBytes);
    const room = codec === CODECS.zstd ? takeRoom(decodedBytes) : undefined;
    const chunk = decodeFrame(codec as Codec, stored, decodedBytes, undefined, room);
    sketches.push(sketchOf(verifyBytes(chunk, digestFromBytes(digests, frame * DIGEST_BYTES))));
  }
  const output = packSketches(sketches);
  return { output, transfer: [output.buffer] };
}

/** A unit of which the last chunks are sketched. */
export interface SketchedUnit extends FetchedUnit {
  /** How many of them. */
  readonly sketched: number;
}

/** As decodeUnit, but keeps what it decoded to itself: gives the last chunks' sketches. Errors: OBJECT_CORRUPT. */
export function verifyUnit(unit: SketchedUnit): TaskResult<PackedSketches> {
  beginArena();
  const chunks = decodeUnit(unit, takeRoom);
  const output = packSketches(chunks.slice(chunks.length - unit.sketched).map(sketchOf));
  return { output, transfer: [output.buffer] };
}
