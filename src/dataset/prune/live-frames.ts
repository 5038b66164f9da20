/** Which frames of one block something still needs: eight bytes each, since a store has millions. */

/** Lengths are kept in steps of this, so that place and length fit a number. */
const STEP_BYTES = 16;
/** Steps of a frame's length; a frame has at most 32 MiB, a block 1 GiB: 51 bits together. */
const STEPS_MAX = 2 ** 21;
const ROOM_FIRST = 8;

/** A frame's bytes as LiveFrames counts them. */
export function countedBytes(storedBytes: number): number {
  return Math.ceil(storedBytes / STEP_BYTES) * STEP_BYTES;
}

/** Frames by where they begin, each once however often it is added. */
export class LiveFrames {
  #packed = new Float64Array(ROOM_FIRST);
  #count = 0;
  #isSorted = true;

  /** A frame that begins at `offset` of the block and has `storedBytes` there. */
  add(offset: number, storedBytes: number): void {
    if (this.#count === this.#packed.length) this.#makeRoom();
    const packed = offset * STEPS_MAX + Math.ceil(storedBytes / STEP_BYTES) - 1;
    this.#isSorted &&= this.#count === 0 || packed > (this.#packed[this.#count - 1] ?? 0);
    this.#packed[this.#count++] = packed;
  }

  /** How many there are. */
  get count(): number {
    this.#compact();
    return this.#count;
  }

  /** Bytes of the frames together, rounded up by a few for each. */
  get bytes(): number {
    this.#compact();
    let steps = 0;
    for (const packed of this.#packed.subarray(0, this.#count)) steps += (packed % STEPS_MAX) + 1;
    return steps * STEP_BYTES;
  }

  /** Where they begin, ascending. */
  offsets(): ReadonlySet<number> {
    this.#compact();
    return new Set(
      Array.from(this.#packed.subarray(0, this.#count), (packed) => Math.floor(packed / STEPS_MAX)),
    );
  }

  #compact(): void {
    if (this.#isSorted) return;
    const sorted = this.#packed.subarray(0, this.#count).sort();
    let kept = 0;
    for (const packed of sorted) if (kept === 0 || packed !== sorted[kept - 1]) sorted[kept++] = packed;
    this.#count = kept;
    this.#isSorted = true;
  }

  #makeRoom(): void {
    this.#compact();
    if (this.#count <= this.#packed.length * 0.75) return;
    const larger = new Float64Array(Math.ceil(this.#packed.length * 1.5));
    larger.set(this.#packed.subarray(0, this.#count));
    this.#packed = larger;
  }
}
