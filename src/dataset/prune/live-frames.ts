/** Which frames of one block something still needs: four bytes each, since a store has millions. */

/** Lengths are counted in steps of this, so that place and length fit a number. */
const STEP_BYTES = 16;
/** Steps of a frame's length; a frame has at most 32 MiB, a block 1 GiB: 51 bits together. */
const STEPS_MAX = 2 ** 21;
/** Frames that wait to be put in order: at least so many, or this share of those that are. */
const FRESH_MIN = 32;
const FRESH_SHARE = 1 / 8;

/** A frame's bytes as LiveFrames counts them. */
export function countedBytes(storedBytes: number): number {
  return Math.ceil(storedBytes / STEP_BYTES) * STEP_BYTES;
}

/** Frames by where they begin, each once however often it is added. */
export class LiveFrames {
  /** Where they begin, ascending. Its memory grows in place, and so leaves nothing to be collected. */
  #offsets = new Uint32Array(0);
  #steps = 0;
  /** Place and length of those that were added since. */
  #fresh: number[] = [];

  /** A frame that begins at `offset` of the block and has `storedBytes` there. */
  add(offset: number, storedBytes: number): void {
    this.#fresh.push(offset * STEPS_MAX + Math.ceil(storedBytes / STEP_BYTES) - 1);
    if (this.#fresh.length > Math.max(FRESH_MIN, this.#offsets.length * FRESH_SHARE)) this.#settle();
  }

  /** How many there are. */
  get count(): number {
    this.#settle();
    return this.#offsets.length;
  }

  /** Bytes of the frames together, rounded up by a few for each. */
  get bytes(): number {
    this.#settle();
    return this.#steps * STEP_BYTES;
  }

  /** Where they begin, ascending. */
  offsets(): ReadonlySet<number> {
    this.#settle();
    return new Set(this.#offsets);
  }

  /** Gives the memory back at once; there are none then. */
  clear(): void {
    this.#offsets.buffer.transfer(0);
    this.#offsets = new Uint32Array(0);
    this.#fresh = [];
    this.#steps = 0;
  }

  #settle(): void {
    if (this.#fresh.length === 0) return;
    const added = this.#newOnes();
    this.#fresh = [];
    if (added.length === 0) return;
    let old = this.#offsets.length;
    const count = old + added.length;
    const offsets = new Uint32Array(this.#offsets.buffer.transfer(count * Uint32Array.BYTES_PER_ELEMENT));
    // From the end, where there is room.
    for (let at = count - 1, next = added.length - 1; next >= 0; at--) {
      const [before = -1, fresh = 0] = [old > 0 ? offsets[old - 1] : -1, added[next]];
      if (before > fresh) old--;
      else next--;
      offsets[at] = Math.max(before, fresh);
    }
    this.#offsets = offsets;
  }

  /** Where the fresh ones begin that are not there yet, ascending; counts their bytes. */
  #newOnes(): number[] {
    const added: number[] = [];
    let known = 0;
    for (const packed of this.#fresh.sort((one, other) => one - other)) {
      const offset = Math.floor(packed / STEPS_MAX);
      if (offset === added.at(-1)) continue;
      while (known < this.#offsets.length && (this.#offsets[known] ?? 0) < offset) known++;
      if (this.#offsets[known] === offset) continue;
      added.push(offset);
      this.#steps += (packed % STEPS_MAX) + 1;
    }
    return added;
  }
}
