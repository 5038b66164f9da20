/** Which new chunks are encoded together, and on what: pure decisions. docs/format.md §5.1 */
import { must } from "../../base/assert.ts";
import { KiB } from "../../base/limits.ts";
import { FRAME_CHUNKS_MAX, type FrameBase } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import { DELTA_BASES_MAX, DELTA_BYTES_MAX } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { SimilarChunk } from "./ingest.ts";
import { joinDigests, splitDigests } from "./block-packer.ts";

/** Runs are cut to this: with their bases they then stay within what decoding may take, also on deltas. */
export const RUN_BYTES_MAX = 512 * KiB;

/** Neighbouring new chunks (by index, `to` exclusive), and what they may be encoded against. */
export interface BasedRun {
  readonly from: number;
  readonly to: number;
  /** Undefined: nothing is known that they resemble. */
  readonly base: FrameBase | undefined;
  /** The beginning of the base that stood in the run's place, when that is not all: readers most likely have it. */
  readonly near?: FrameBase | undefined;
  /** The run cut in two, for when it takes too much to decode on its base; of a single chunk nothing. */
  readonly halves: () => readonly BasedRun[];
}

/** Chunks that stay plain. */
export function plainRun(from: number, to: number): BasedRun {
  return { from, to, base: undefined, halves: () => [] };
}

/** For each chunk of a list those that it resembles, the likest first. */
type Similar = readonly (readonly SimilarChunk[])[];

/**
 * The run on what stood in its place, and on what its chunks strongly resemble that did not stand there: a file that was
 * renamed, moved or put together from others. Where nothing stood, on whatever they resemble. `similar` is of all `chunks`.
 */
export function chooseBases(
  chunks: readonly ChunkItem[],
  run: BasedRun,
  similar: Similar,
): readonly BasedRun[] {
  const near = new Set(run.base && splitDigests(run.base.digests));
  const own = new Set(chunks.slice(run.from, run.to).map(({ digest }) => digest));
  // By index of the chunk: what it resembles, when nothing of its place does.
  const strays = new Map<number, ChunkItem>();
  for (let index = run.from; index < run.to; index++) {
    const isLike = ({ digest, isStrong }: SimilarChunk): boolean =>
      !own.has(digest) && (isStrong || run.base === undefined);
    const likes = similar[index]?.filter(isLike) ?? [];
    if (likes[0] !== undefined && !likes.some(({ digest }) => near.has(digest))) strays.set(index, likes[0]);
  }
  if (strays.size === 0) return [run];
  if (run.base === undefined) return onSimilar(chunks, run.from, run.to, strays);
  const base = extended(run.base, strays.values());
  return base === undefined ? [run] : [{ ...run, base, near: run.base, halves: () => [run] }];
}

/** The base with more chunks after its own; undefined when that would be too much for one dictionary. */
function extended(base: FrameBase, more: Iterable<ChunkItem>): FrameBase | undefined {
  const added = new Map([...more].map(({ digest, length }) => [digest, length]));
  const lengths = [...base.lengths, ...added.values()];
  const bytes = lengths.reduce((sum, length) => sum + length, 0) - base.offset;
  if (bytes > DELTA_BYTES_MAX || lengths.length > DELTA_BASES_MAX) return undefined;
  const digests = Buffer.concat([base.digests, joinDigests([...added.keys()])]);
  return { digests, lengths, offset: base.offset, bytes };
}

/** What is mostly the same, without what is alike in part. */
export function onlyStrong(similar: Similar): Similar {
  return similar.map((likes) => likes.filter(({ isStrong }) => isStrong));
}

/** Whether the chunks, by index, would be encoded on one of themselves: then nothing could decode them. */
export function isOnItself(
  chunks: readonly ChunkItem[],
  { from, to }: Pick<BasedRun, "from" | "to">,
  base: FrameBase,
): boolean {
  const bases = new Set(splitDigests(base.digests));
  return chunks.slice(from, to).some(({ digest }) => bases.has(digest));
}

/** The chunks as runs on what they resemble; those that resemble nothing stay plain. */
function onSimilar(
  chunks: readonly ChunkItem[],
  from: number,
  to: number,
  similar: ReadonlyMap<number, ChunkItem>,
): BasedRun[] {
  const runs: BasedRun[] = [];
  let start = from;
  let draft = new RunDraft();
  const end = (at: number): void => {
    if (at > start) runs.push(runOf(chunks, start, at, draft, similar));
    start = at;
    draft = new RunDraft();
  };
  for (let at = from; at < to; at++) {
    const chunk = must(chunks[at], "the index is within");
    if (at > start && !draft.takes(chunk, similar.get(at))) end(at);
    draft.add(chunk, similar.get(at));
  }
  end(to);
  return runs;
}

function runOf(
  chunks: readonly ChunkItem[],
  from: number,
  to: number,
  draft: RunDraft,
  similar: ReadonlyMap<number, ChunkItem>,
): BasedRun {
  const { base } = draft;
  if (base === undefined) return plainRun(from, to);
  const middle = (from + to) >>> 1;
  const halves = (): BasedRun[] =>
    middle === from
      ? []
      : [...onSimilar(chunks, from, middle, similar), ...onSimilar(chunks, middle, to, similar)];
  return { from, to, base, halves };
}

/** One run on similar chunks as it grows: all of its chunks resemble something, or none does. */
class RunDraft {
  readonly #bases = new Map<Digest, number>();
  #count = 0;
  #bytes = 0;
  #baseBytes = 0;

  /** Whether one more chunk leaves the run within what a delta may hold. */
  takes(chunk: ChunkItem, like: ChunkItem | undefined): boolean {
    if ((like === undefined) !== (this.#bases.size === 0)) return false;
    if (like === undefined) return true;
    const more = this.#bases.has(like.digest) ? 0 : like.length;
    return (
      this.#count < FRAME_CHUNKS_MAX &&
      this.#bytes + chunk.length <= RUN_BYTES_MAX &&
      this.#baseBytes + more <= DELTA_BYTES_MAX &&
      this.#bases.size < DELTA_BASES_MAX
    );
  }

  add(chunk: ChunkItem, like: ChunkItem | undefined): void {
    this.#count++;
    this.#bytes += chunk.length;
    if (like === undefined || this.#bases.has(like.digest)) return;
    this.#bases.set(like.digest, like.length);
    this.#baseBytes += like.length;
  }

  /** The chunks that the run's resemble, one after another; undefined when there are none, or they are too long. */
  get base(): FrameBase | undefined {
    const isWithin = this.#bytes <= DELTA_BYTES_MAX && this.#baseBytes <= DELTA_BYTES_MAX;
    if (this.#bases.size === 0 || !isWithin) return undefined;
    const lengths = [...this.#bases.values()];
    return { digests: joinDigests([...this.#bases.keys()]), lengths, offset: 0, bytes: this.#baseBytes };
  }
}

/** The run, in as many parts as it takes for `canBase` to say yes to each; a chunk that it never does stays plain. */
export async function fitRun(
  run: BasedRun,
  canBase: (run: BasedRun, base: FrameBase) => Promise<boolean>,
): Promise<readonly BasedRun[]> {
  if (run.base === undefined || (await canBase(run, run.base))) return [run];
  const halves = run.halves();
  if (halves.length === 0) return [plainRun(run.from, run.to)];
  return (await Promise.all(halves.map((half) => fitRun(half, canBase)))).flat();
}

/** Bytes of the chunks together. */
export function sumLengths(chunks: readonly { readonly length: number }[]): number {
  let sum = 0;
  for (const chunk of chunks) sum += chunk.length;
  return sum;
}
