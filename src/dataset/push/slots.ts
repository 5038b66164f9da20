/** The places in shared memory that a push reads into. */
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import { createChunkerMemory, type ChunkerMemory } from "../../format/chunker.ts";
import { chunkBounds, type ChunkingParameters } from "../../format/chunking.ts";

/** A place of `slotBytes`. */
export interface Slot {
  readonly start: number;
  readonly end: number;
}

const SLOT_BYTES = 4 * MiB;
/** One is read into, one waits, one is encoded. */
const SLOTS_MIN = 3;
/** Slots take at most this part of the memory. */
const MEMORY_SHARE = 4;

interface Waiter {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (error: unknown) => void;
}

/** Hands out slots; whoever finds none waits. */
export class SlotPool {
  readonly memory: ChunkerMemory;
  readonly #free: Slot[] = [];
  readonly #waiting: Waiter[] = [];
  #failure: { readonly error: unknown } | undefined;

  /** As many slots as `threads` keep busy, within the memory limit. */
  constructor(chunking: ChunkingParameters, memoryBytes: number, threads: number) {
    const slotBytes = Math.max(SLOT_BYTES, 2 * chunkBounds(chunking).maxBytes);
    const affordable = Math.floor(memoryBytes / MEMORY_SHARE / slotBytes);
    const count = Math.max(SLOTS_MIN, Math.min(2 * threads + 2, affordable));
    this.memory = createChunkerMemory(count * slotBytes);
    for (let index = 0; index < count; index++) {
      const start = this.memory.dataOffset + index * slotBytes;
      this.#free.push({ start, end: start + slotBytes });
    }
  }

  /** A free slot, or the next that is released. Rejects with what fail() was given. */
  async acquire(): Promise<Slot> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    return await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Nobody releases slots any more: who waits for one, now or later, is rejected with `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next.resolve(slot);
  }
}

/** Bytes of the shared memory as workers see them. */
export function sharedBuffer(memory: ChunkerMemory): SharedArrayBuffer {
  return must(memory.memory.buffer, "the memory is shared");
}
