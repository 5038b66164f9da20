/** Decoding and verifying chunks in a thread. */
import { decodeUnit as decode, type FetchedUnit } from "../version/unit-decode.ts";
import { beginArena, takeRoom } from "./arena.ts";
import type { TaskResult } from "./tasks.ts";

/** The unit's chunks one after another, each verified against its digest. Errors: OBJECT_CORRUPT. */
export function decodeUnit(unit: FetchedUnit): TaskResult<Uint8Array<ArrayBuffer>> {
  beginArena();
  const chunks = decode(unit, takeRoom);
  const output = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    output.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return { output, transfer: [output.buffer] };
}
