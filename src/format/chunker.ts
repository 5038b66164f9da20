/** Cuts files into chunks where they lie, in memory that workers share. docs/format.md §4 */
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { GiB, KiB } from "../base/limits.ts";
import { checkChunking, chunkBounds, type ChunkBounds, type ChunkingParameters } from "./chunking.ts";
import { CHUNKER_WASM } from "./chunker-wasm.ts";
import { gearTable } from "./gear.ts";

const PAGE_BYTES = 64 * KiB;

/** The first page holds the gear table. */
const DATA_OFFSET = PAGE_BYTES;

/** The most that createChunkerMemory reserves, in bytes. WebAssembly gives addresses from 2^31 on as negative numbers. */
export const CHUNKER_DATA_BYTES_MAX = 2 * GiB - DATA_OFFSET - PAGE_BYTES;

/** Memory that Chunkers of several threads read at once. A plain value: post it to workers as it is. */
export interface ChunkerMemory {
  /** Shared, of fixed size; `memory.buffer` is a SharedArrayBuffer that files are read into. */
  readonly memory: WebAssembly.Memory;
  /** Where the caller's bytes may begin, a multiple of 64 KiB. Below lies what Chunkers need: only to be read. */
  readonly dataOffset: number;
}

/**
 * Memory with room for `dataBytes` (rounded up to 64 KiB) from `dataOffset` on, zeroed; the machine gives pages as they
 * are written. Errors: LIMIT_EXCEEDED for more than CHUNKER_DATA_BYTES_MAX.
 */
export function createChunkerMemory(dataBytes: number): ChunkerMemory {
  assert(Number.isSafeInteger(dataBytes) && dataBytes >= 0, "a size is a count of bytes");
  if (dataBytes > CHUNKER_DATA_BYTES_MAX) {
    throw new AetherError(
      "LIMIT_EXCEEDED",
      `${dataBytes} bytes for reading files are more than ${CHUNKER_DATA_BYTES_MAX}: lower the memory limit`,
      { data: { dataBytes, dataBytesMax: CHUNKER_DATA_BYTES_MAX } },
    );
  }
  const pages = Math.ceil((DATA_OFFSET + dataBytes) / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).set(gearTable());
  return { memory, dataOffset: DATA_OFFSET };
}

/** The WebAssembly function: end of the chunk at `start`, or 0 when the bytes up to `end` do not decide it. */
type FindCut = (start: number, end: number, averageBits: number) => number;

/**
 * Finds chunks in a ChunkerMemory. It keeps no state between calls and writes nothing to the memory, so that any number
 * of Chunkers, of the same thread or of others, may work on the same memory, even on the same bytes.
 */
export class Chunker {
  readonly #bounds: ChunkBounds;
  readonly #dataOffset: number;
  readonly #memoryBytes: number;
  readonly #findCut: FindCut;

  /** Errors: ARGUMENT_INVALID for parameters that checkChunking refuses. */
  constructor(parameters: ChunkingParameters, { memory, dataOffset }: ChunkerMemory) {
    this.#bounds = chunkBounds(checkChunking(parameters));
    this.#dataOffset = dataOffset;
    this.#memoryBytes = memory.buffer.byteLength;
    this.#findCut = parameters.kind === "cdc" ? instantiate(memory) : fixedCut(parameters.averageBytes);
  }

  /**
   * The ends of the chunks in the bytes [start, end) of the memory, ascending offsets in the memory, in an array of the
   * caller's own. The bytes from `start` begin a chunk; nothing outside of them is read.
   *
   * With `final` the bytes end a segment: the last cut is `end` (none when they are empty). Without, more bytes follow:
   * only cuts that these cannot change are given, and what is left after the last cut, always less than the parameters'
   * `maxBytes`, is to be presented again, at the start of the next call. Each call scans that rest anew: present several
   * times `maxBytes` at once, and at least `maxBytes`, or a call may give no cut. docs/format.md §4.3
   */
  cut(start: number, end: number, final: boolean): Uint32Array<ArrayBuffer> {
    const inside = start >= this.#dataOffset && start <= end && end <= this.#memoryBytes;
    assert(
      Number.isInteger(start) && Number.isInteger(end) && inside,
      "bytes to cut lie in the memory's data",
    );
    const { minBytes, averageBytes } = this.#bounds;
    const averageBits = 31 - Math.clz32(averageBytes);
    const cuts = new Uint32Array(Math.ceil((end - start) / minBytes));
    let count = 0;
    for (let at = start; at < end; count++) {
      let next = this.#findCut(at, end, averageBits);
      if (next === 0) {
        if (!final) break;
        next = end;
      }
      cuts[count] = next;
      at = next;
    }
    return cuts.subarray(0, count);
  }
}

/** The module on the memory. Small enough to be compiled for each Chunker; it has no memory of its own. */
function instantiate(memory: WebAssembly.Memory): FindCut {
  const module = new WebAssembly.Module(Buffer.from(CHUNKER_WASM, "base64"));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports["findCut"] as FindCut;
}

/** The counterpart for chunks of one size. */
function fixedCut(chunkBytes: number): FindCut {
  return (start, end) => (end - start >= chunkBytes ? start + chunkBytes : 0);
}
