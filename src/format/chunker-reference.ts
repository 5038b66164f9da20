/** The specification of chunking as code: what chunker.ts must give, in plain TypeScript. docs/format.md §4 */
import { must } from "../base/assert.ts";
import { checkChunking, chunkBounds, type ChunkingParameters } from "./chunking.ts";
import { gearTable } from "./gear.ts";

/**
 * The ends of the chunks of one whole segment, ascending offsets in `bytes`; the last is its length, none when it is
 * empty. For tests and readers, several times slower than a Chunker. Errors: ARGUMENT_INVALID.
 */
export function cutReference(parameters: ChunkingParameters, bytes: Uint8Array): number[] {
  const { kind, averageBytes } = checkChunking(parameters);
  const cuts = kind === "cdc" ? cutByContent(parameters, bytes) : cutEvery(averageBytes, bytes.length);
  if (bytes.length > 0 && cuts.at(-1) !== bytes.length) cuts.push(bytes.length);
  return cuts;
}

function cutEvery(chunkBytes: number, length: number): number[] {
  const cuts: number[] = [];
  for (let cut = chunkBytes; cut <= length; cut += chunkBytes) cuts.push(cut);
  return cuts;
}

/** The hash's 64 bits as two halves, `high` and `low`, since numbers shift only 32 bits. */
function cutByContent(parameters: ChunkingParameters, bytes: Uint8Array): number[] {
  const { minBytes, averageBytes, maxBytes } = chunkBounds(parameters);
  const averageBits = Math.log2(averageBytes);
  const gear = new DataView(gearTable().buffer);
  const cuts: number[] = [];
  let high = 0;
  let low = 0;
  let start = 0;
  for (let end = 1; end <= bytes.length; end++) {
    const entry = must(bytes[end - 1], "the loop stays inside") * 8;
    const shiftedLow = low << 1;
    const shiftedHigh = (high << 1) | (low >>> 31);
    low = (shiftedLow + gear.getInt32(entry, true)) | 0;
    const carry = low >>> 0 < shiftedLow >>> 0 ? 1 : 0;
    high = (shiftedHigh + gear.getInt32(entry + 4, true) + carry) | 0;
    const length = end - start;
    if (length < minBytes) continue;
    const zeroBits = length < averageBytes ? averageBits + 2 : averageBits - 2;
    if (high >>> (32 - zeroBits) === 0 || length === maxBytes) {
      cuts.push(end);
      start = end;
    }
  }
  return cuts;
}
