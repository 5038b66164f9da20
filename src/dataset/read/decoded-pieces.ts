import { DECODED_PIECE_BYTES_MAX } from "./pieces.ts";

/** Pieces that are kept at least, however little memory there is. */
const SLOTS_MIN = 4;

/** Memory for one piece, and who needs it. */
interface Slot {
  readonly key: string;
  readonly memory: SharedArrayBuffer;
  readonly loading: Promise<void>;
  users: number;
  /** Somebody may still read the memory: it must not be used for another piece. */
  isLent: boolean;
}

/** Bytes that stay as they are until they are released. */
export interface HeldBytes {
  readonly bytes: Uint8Array;
  /** `isFree`: the holder reads them no more, and nobody for it. */
  readonly release: (isFree: boolean) => void;
}

/**
 * Decoded pieces, the one used longest ago dropped first. Their memory is their own and used again: what threads share is
 * freed late.
 */
export class DecodedPieces {
  readonly #slotsMax: number;
  /** In the order of last use. */
  readonly #slots = new Map<string, Slot>();
  #allocated = 0;

  constructor(bytesMax: number) {
    this.#slotsMax = Math.max(SLOTS_MIN, Math.floor(bytesMax / DECODED_PIECE_BYTES_MAX));
  }

  /**
   * A piece of `bytes` (at most DECODED_PIECE_BYTES_MAX), which `load` writes when it is not there: once, however many
   * ask. Errors: those of `load`.
   */
  async hold(
    key: string,
    bytes: number,
    load: (output: SharedArrayBuffer) => Promise<void>,
  ): Promise<HeldBytes> {
    const slot = this.#slots.get(key) ?? this.#begin(key, load);
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    slot.users++;
    try {
      await slot.loading;
    } catch (error) {
      // A thread may still write to its memory, which is left to the garbage collector therefore.
      if (this.#slots.get(key) === slot) {
        this.#slots.delete(key);
        this.#allocated--;
      }
      throw error;
    }
    return {
      bytes: new Uint8Array(slot.memory, 0, bytes),
      release: (isFree) => {
        slot.users--;
        slot.isLent ||= !isFree;
        if (this.#allocated > this.#slotsMax && this.#dropOldest() !== undefined) this.#allocated--;
      },
    };
  }

  #begin(key: string, load: (output: SharedArrayBuffer) => Promise<void>): Slot {
    const isFull = this.#allocated >= this.#slotsMax;
    const memory = (isFull ? this.#dropOldest() : undefined) ?? this.#allocate();
    return { key, memory, loading: load(memory), users: 0, isLent: false };
  }

  #allocate(): SharedArrayBuffer {
    this.#allocated++;
    return new SharedArrayBuffer(DECODED_PIECE_BYTES_MAX);
  }

  /** The memory of the piece used longest ago, unless all are in use; pieces whose memory may not be used are forgotten. */
  #dropOldest(): SharedArrayBuffer | undefined {
    for (const slot of this.#slots.values()) {
      if (slot.users > 0) continue;
      this.#slots.delete(slot.key);
      if (!slot.isLent) return slot.memory;
      this.#allocated--;
    }
    return undefined;
  }
}
