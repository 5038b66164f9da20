import { MiB } from "../../base/limits.ts";

/** Bodies are usually smaller; larger ones get memory of their own. */
const USUAL_BYTES = 4 * MiB;
/** Pieces that wait to be used again. */
const SPARE_MAX = 4;

/** Memory for bodies, which threads see too. It is used again: to be given new is what it costs most. */
export class BodyMemory {
  readonly #spare: SharedArrayBuffer[] = [];

  /** Runs the task with room of this many bytes, which is void afterwards. Its content is undefined. */
  async use(bytes: number, task: (room: Uint8Array) => Promise<void>): Promise<void> {
    const isUsual = bytes <= USUAL_BYTES;
    const buffer =
      (isUsual ? this.#spare.pop() : undefined) ?? new SharedArrayBuffer(isUsual ? USUAL_BYTES : bytes);
    try {
      await task(new Uint8Array(buffer, 0, bytes));
    } finally {
      if (isUsual && this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
    }
  }
}
