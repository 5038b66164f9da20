import type { ByteRange } from "../base/byte-range.ts";
import { KiB, MiB } from "../base/limits.ts";

/** Readers that are remembered; each takes some 200 bytes. */
const READERS_MAX = 4096;
/** What is read ahead for a reader's second request in a row; twice as much for each one after it. */
const AHEAD_BYTES_FIRST = 256 * KiB;
const AHEAD_BYTES_MAX = 8 * MiB;
/** So much of that may lie past the end of the file, in those after it: who reads many small files in order reads on, too. */
const PAST_BYTES_MAX = MiB;

/** Where a reader's next request begins if it reads on, and what was read ahead for it. */
interface Reader {
  readonly windowBytes: number;
  readonly aheadEnd: number;
}

/**
 * Tells who reads on from who leaps, where each request stands for itself: one that begins where another ended is of a reader that
 * reads on, whatever happened between them. The more it has read in a row, the more is worth reading ahead.
 */
export class ReadPatterns {
  /** By stream and the place where the next request is expected, the one noted last at the end. */
  readonly #readers = new Map<string, Reader>();

  /**
   * Notes a request for a range of a stream, and gives what to read ahead because of it; undefined: nothing. `stream` names its content;
   * `fileEnd` is where the file ends in it that was asked for, `streamEnd` where it ends itself.
   */
  note(
    stream: string,
    range: ByteRange,
    { fileEnd, streamEnd }: { readonly fileEnd: number; readonly streamEnd: number },
  ): ByteRange | undefined {
    const here = `${stream}:${range.start}`;
    const reader = this.#readers.get(here);
    this.#readers.delete(here);
    const windowBytes =
      reader === undefined
        ? 0
        : Math.min(
            Math.max(AHEAD_BYTES_FIRST, 2 * reader.windowBytes, range.end - range.start),
            AHEAD_BYTES_MAX,
          );
    const start = Math.max(range.end, reader?.aheadEnd ?? 0);
    const endMax = Math.min(fileEnd + PAST_BYTES_MAX, streamEnd);
    const end = Math.min(range.end + windowBytes, endMax);
    // Little by little would be many small requests: half a window is used up first.
    const isRest = end === streamEnd && end > start;
    const dueBytes = end === endMax ? Math.min(windowBytes, PAST_BYTES_MAX) / 2 : windowBytes / 2;
    const isDue = isRest || end - start >= dueBytes;
    const ahead = windowBytes > 0 && isDue ? { start, end } : undefined;
    if (range.end < streamEnd)
      this.#keep(`${stream}:${range.end}`, { windowBytes, aheadEnd: ahead?.end ?? start });
    return ahead;
  }

  #keep(key: string, reader: Reader): void {
    this.#readers.delete(key);
    this.#readers.set(key, reader);
    for (const oldest of this.#readers.keys()) {
      if (this.#readers.size <= READERS_MAX) return;
      this.#readers.delete(oldest);
    }
  }
}
