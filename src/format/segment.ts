/** Segments: the pieces of the stream that are cut into chunks on their own. docs/format.md §4.4 */
import { pathHash } from "./tree.ts";

/** Files of one run at most. */
export const RUN_FILES_MAX = 8192;
/** A run ends after a file whose path hash has these bits zero: after 1,024 files on average. */
const RUN_END_MASK = 1023;

/**
 * Tells where segments begin, from the version's non-empty files in order. A file of at least the average size is a
 * segment of its own; a run of smaller files is one. Runs end also by path hash, so that a change among many small
 * files touches only its own run. Every writer and every reader that cuts again uses this.
 */
export class Segmenter {
  readonly #averageBytes: number;
  #runFiles = 0;

  constructor(averageBytes: number) {
    this.#averageBytes = averageBytes;
  }

  /** Takes the next non-empty file; true when it begins a segment, false when it belongs to the one before. */
  next(path: string, size: number): boolean {
    if (size >= this.#averageBytes) {
      this.#runFiles = 0;
      return true;
    }
    const begins = this.#runFiles === 0;
    this.#runFiles++;
    const ends = this.#runFiles === RUN_FILES_MAX || (pathHash(path) & RUN_END_MASK) === 0;
    if (ends) this.#runFiles = 0;
    return begins;
  }
}
