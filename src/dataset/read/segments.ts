/** Where the bytes of versions' streams lie: leaf pages of chunks, each cut into pieces. */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import { spansOf } from "../version/chunks.ts";
import { walkLeaves, type Leaf } from "../version/leaves.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import { topRef, type Version } from "../version/version.ts";
import { piecesOf, type Piece, type PieceLimits } from "./pieces.ts";

/** Memory of the pieces that are kept: enough for some 20 GiB of streams in chunks of 64 KiB. */
const PIECES_BYTES_MAX = 16 * MiB;
const PIECE_COST_BYTES = 300;
const SPAN_COST_BYTES = 150;
/** Parts of streams, and of how many it is remembered which segment begins or goes on there. */
const CELL_BYTES = 4 * MiB;
const CELLS_MAX = 8192;

/** A leaf page of chunks, and where it lies in its version's stream. */
interface Place {
  readonly key: string;
  readonly leaf: Digest;
  /** Where it begins in the version's stream, and ends. */
  readonly origin: number;
  readonly end: number;
}

/** The same, cut into pieces. */
export interface Segment extends Place {
  readonly pieces: readonly Piece[];
}

/** Finds segments, and keeps what it found: what is asked for again is found without a look at the version's pages. */
export class Segments {
  readonly #limits: PieceLimits;
  readonly #pieces = new LoadingCache<readonly Piece[]>(PIECES_BYTES_MAX, costOf);
  /** By version and cell, the one found last at the end. */
  readonly #places = new Map<string, Place>();

  constructor(limits: PieceLimits) {
    this.#limits = limits;
  }

  /** The segments that a range of the version's stream lies in, in order. Errors: those of PageSource.load and piecesOf. */
  async *of(version: Version, { start, end }: ByteRange): AsyncGenerator<Segment> {
    if (start >= end) return;
    const cell = `${version.digest}:${Math.floor(start / CELL_BYTES)}`;
    const known = await this.#known(cell, start);
    if (known !== undefined) yield known;
    const rest = known?.end ?? start;
    if (rest >= end) return;
    const isOutside = (child: { readonly bytes: number }, at: { readonly bytes: number }): boolean =>
      at.bytes + child.bytes <= rest || at.bytes >= end;
    for await (const leaf of walkLeaves(version, topRef(version, "chunks"), isOutside)) {
      const segment = await this.#segmentOf(version, leaf);
      if (segment.origin <= start) this.#note(cell, segment);
      if (segment.end > rest) yield segment;
    }
  }

  /** Forgets where the segment's bytes were found: they are not there any more. */
  forget({ key }: Segment): void {
    this.#pieces.remove(key);
  }

  async #known(cell: string, start: number): Promise<Segment | undefined> {
    const place = this.#places.get(cell);
    if (place === undefined || start < place.origin || start >= place.end) return undefined;
    const pieces = this.#pieces.use(place.key);
    return pieces && { ...place, pieces: await pieces };
  }

  async #segmentOf(version: Version, leaf: Leaf): Promise<Segment> {
    const { digest } = leaf.ref;
    // The plan of an inline page is the version's own.
    const key = version.pages.isInline(digest) ? `${version.digest}:${digest}` : digest;
    const pieces = await this.#pieces.get(key, () =>
      piecesOf(version, spansOf(leaf.page, { digest, items: leaf.items, bytes: leaf.bytes }), this.#limits),
    );
    const origin = leaf.bytes;
    return { key, leaf: digest, origin, end: origin + (pieces.at(-1)?.end ?? 0), pieces };
  }

  #note(cell: string, { key, leaf, origin, end }: Segment): void {
    this.#places.delete(cell);
    this.#places.set(cell, { key, leaf, origin, end });
    if (this.#places.size <= CELLS_MAX) return;
    for (const oldest of this.#places.keys()) {
      this.#places.delete(oldest);
      return;
    }
  }
}

/** The number of the piece that holds byte `at`, relative to the segment's first: one that lies in it. */
export function pieceAt({ pieces }: Segment, at: number): number {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (must(pieces[middle], "it lies between two").end > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

function costOf(pieces: readonly Piece[]): number {
  let bytes = PIECE_COST_BYTES;
  for (const { frames, spans = [] } of pieces) {
    const framesBytes = frames === undefined ? 0 : frames.frames.byteLength + frames.digests.byteLength;
    bytes += PIECE_COST_BYTES + framesBytes + spans.length * SPAN_COST_BYTES;
  }
  return bytes;
}
