import { SharedCall, type WaitOptions } from "../../base/shared-call.ts";
import { TwoQueue } from "./two-queue.ts";

/** Pieces that are kept at least, however little memory there is. */
const SLOTS_MIN = 4;

/** Memory for one piece, and who needs it. */
interface Slot {
  readonly memory: SharedArrayBuffer;
  readonly call: SharedCall<void>;
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
 * Decoded pieces in memory, which a scan of others does not drive out. Their memory is their own and used again: what
 * threads share is freed late.
 */
export class DecodedPieces {
  readonly #pieceBytesMax: number;
  readonly #slotsMax: number;
  readonly #slots: TwoQueue<Slot>;
  #allocated = 0;

  /** Room for `bytesMax` in pieces of up to `pieceBytesMax`, but for a few at least. */
  constructor(bytesMax: number, pieceBytesMax: number) {
    this.#pieceBytesMax = pieceBytesMax;
    this.#slotsMax = Math.max(SLOTS_MIN, Math.floor(bytesMax / pieceBytesMax));
    this.#slots = new TwoQueue(this.#slotsMax);
  }

  /** Whether there is such a piece, or will be soon. */
  has(key: string): boolean {
    return this.#slots.has(key);
  }

  /**
   * A piece of `bytes` (at most `pieceBytesMax`), which `load` writes when it is not there: once, however many
   * ask, as a SharedCall. Errors: those of `load`; the signal's reason, for who gives up.
   */
  async hold(
    key: string,
    bytes: number,
    load: (output: SharedArrayBuffer, signal: AbortSignal) => Promise<void>,
    options?: WaitOptions,
  ): Promise<HeldBytes> {
    const known = this.#slots.get(key);
    if (known?.call.isAbandoned === true) this.#forget(key, known);
    const slot = this.#slots.get(key) ?? this.#begin(key, load);
    slot.users++;
    try {
      await slot.call.join(options);
    } catch (error) {
      slot.users--;
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

  #begin(key: string, load: (output: SharedArrayBuffer, signal: AbortSignal) => Promise<void>): Slot {
    const isFull = this.#allocated >= this.#slotsMax;
    const memory = (isFull ? this.#dropOldest() : undefined) ?? this.#allocate();
    const call = new SharedCall((signal) => load(memory, signal));
    // Whoever fills it uses it too, until it is over: also when nobody waits for that.
    const slot = { memory, call, users: 1, isLent: false };
    this.#slots.add(key, slot);
    call.result.then(
      () => slot.users--,
      () => {
        this.#forget(key, slot);
      },
    );
    return slot;
  }

  /** A thread may still write to its memory, which is left to the garbage collector therefore. */
  #forget(key: string, slot: Slot): void {
    if (this.#slots.get(key) !== slot) return;
    this.#slots.remove(key);
    this.#allocated--;
  }

  #allocate(): SharedArrayBuffer {
    this.#allocated++;
    return new SharedArrayBuffer(this.#pieceBytesMax);
  }

  /** The memory of the piece to drop first, unless all are in use; pieces whose memory may not be used are forgotten. */
  #dropOldest(): SharedArrayBuffer | undefined {
    for (const [key, slot] of this.#slots.inOrder()) {
      if (slot.users > 0) continue;
      this.#slots.drop(key);
      if (!slot.isLent) return slot.memory;
      this.#allocated--;
    }
    return undefined;
  }
}
