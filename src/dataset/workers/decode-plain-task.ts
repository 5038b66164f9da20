/** Decoding plain frames in a thread, into memory that the caller sees too. */
import { copyBytes } from "../../base/bytes.ts";
import { decodeFrame, type Codec } from "../../format/frame.ts";
import { DIGEST_BYTES, digestFromBytes } from "../../format/digest.ts";
import { verifyBytes } from "../version/unit-decode.ts";
import type { TaskResult } from "./tasks.ts";
import { PLAIN_FRAME_FIELDS, type PlainFrames } from "./verify-task.ts";

/** Frames, and where their chunks are to lie, one after another: as long as they are together. */
export interface PlainDecoding extends PlainFrames {
  readonly output: SharedArrayBuffer;
}

/** Writes each frame's chunk, once it was found to have its digest. Errors: OBJECT_CORRUPT. */
export function decodePlain({ memory, frames, digests, output }: PlainDecoding): TaskResult<undefined> {
  let end = 0;
  for (let frame = 0; frame * PLAIN_FRAME_FIELDS < frames.length; frame++) {
    const at = frame * PLAIN_FRAME_FIELDS;
    const [codec = 0, start = 0, storedBytes = 0, bytes = 0] = frames.subarray(at, at + PLAIN_FRAME_FIELDS);
    const room = new Uint8Array(output, end, bytes);
    const chunk = decodeFrame(
      codec as Codec,
      new Uint8Array(memory, start, storedBytes),
      bytes,
      undefined,
      room,
    );
    verifyBytes(chunk, digestFromBytes(digests, frame * DIGEST_BYTES));
    if (chunk.buffer !== output) copyBytes(chunk, room);
    end += bytes;
  }
  return { output: undefined, transfer: [] };
}
