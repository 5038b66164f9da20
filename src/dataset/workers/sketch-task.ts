/** Sketching chunks in a thread, from memory that it shares. */
import { packSketches, sketchOf, type PackedSketches } from "./sketch.ts";
import type { TaskResult } from "./tasks.ts";

/** Chunks by where they begin and end in the memory: two numbers each. */
export interface SketchInput {
  readonly memory: SharedArrayBuffer;
  readonly ranges: Uint32Array<ArrayBuffer>;
}

/** The chunks' sketches, in order. */
export function sketchChunks({ memory, ranges }: SketchInput): TaskResult<PackedSketches> {
  const bytes = new Uint8Array(memory);
  const sketches = Array.from({ length: ranges.length / 2 }, (_, index) =>
    sketchOf(bytes.subarray(ranges[2 * index], ranges[2 * index + 1])),
  );
  const output = packSketches(sketches);
  return { output, transfer: [output.buffer] };
}
