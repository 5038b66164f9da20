/** Small files, whole, in memory. */
import { gatherBytes } from "../../base/bytes.ts";
import { KiB } from "../../base/limits.ts";
import type { WaitOptions } from "../../base/shared-call.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import type { Version } from "../version/version.ts";
import type { PieceCount } from "./piece-cache.ts";

/** A file of more bytes is none that is kept so. */
export const SMALL_FILE_BYTES_MAX = 64 * KiB;
/** What one takes besides its bytes. */
const FILE_COST_BYTES = 300;

/**
 * The small files that were asked for last. One that many ask for at once is read once. Each belongs to its version: what digest a
 * manifest says a file has, nobody has verified.
 */
export class SmallFiles {
  readonly #files: LoadingCache<Uint8Array>;
  readonly #found: PieceCount;

  /** Keeps files of `bytesMax` together. `found` counts what was there. */
  constructor(bytesMax: number, found: PieceCount) {
    this.#files = new LoadingCache(bytesMax, ({ byteLength }) => byteLength + FILE_COST_BYTES);
    this.#found = found;
  }

  /**
   * The `bytes` of a file (at most SMALL_FILE_BYTES_MAX) from `start` in the version's stream on, which nobody may write to: others have
   * them too. `read` gives them in pieces, until nobody wants them any more. Errors: those of `read`; the signal's reason, for who gives up.
   */
  get(
    { digest }: Pick<Version, "digest">,
    { start, bytes }: { readonly start: number; readonly bytes: number },
    read: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
    options?: WaitOptions,
  ): Promise<Uint8Array> {
    const key = `${digest}:${start}:${bytes}`;
    const known = this.#files.use(key, options);
    if (known === undefined) {
      return this.#files.get(key, (wanted) => gatherBytes(read(wanted), bytes), options);
    }
    this.#found.pieces++;
    this.#found.bytes += bytes;
    return known;
  }
}
