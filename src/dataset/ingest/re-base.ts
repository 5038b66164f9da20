/**
 * Re-basing. A delta on chunks that lie in deltas themselves soon reaches the limits of docs/format.md §5.1. Then these
 * chunks are stored once more: as deltas on the plain chunks that they come down to, or plain.
 */
import { must } from "../../base/assert.ts";
import type { FrameBase, FrameInfo } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import { DECODE_BYTES_MAX, DELTA_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { isDamage } from "../damage.ts";
import type { Engine } from "../engine.ts";
import { readPlanned } from "../version/planned-chunks.ts";
import { sumLengths } from "./based-runs.ts";
import { joinDigests } from "./block-packer.ts";
import { encodeRun } from "./encode-run.ts";
import type { IngestFrame } from "./ingest.ts";
import { costOn, type BaseFrame, type DecodeCost, type PlanMaker } from "./plan-maker.ts";

/** What re-basing works with. */
export interface ReBaseParts {
  readonly engine: Engine;
  readonly plans: PlanMaker;
  /** Packs a frame of chunks that are there already; gives what its index entry will say. */
  readonly pack: (frame: IngestFrame, options: CallOptions) => Promise<FrameInfo>;
}

/** Makes room for deltas, one after another. */
export class ReBase {
  readonly #parts: ReBaseParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ReBaseParts) {
    this.#parts = parts;
  }

  /**
   * What decoding a delta of `decodedBytes` on these chunks takes, within the limits, if need be after storing some of them
   * anew; undefined when it cannot be made, or a chunk is not there. Errors: those of the store.
   */
  async allow(
    bases: readonly Digest[],
    decodedBytes: number,
    options: CallOptions,
  ): Promise<DecodeCost | undefined> {
    const frames = await this.#parts.plans.basesOf(bases, options);
    if (frames === undefined) return undefined;
    const cost = costOn(decodedBytes, frames);
    if (isWithin(cost)) return cost;
    // What is stored anew for one delta serves the next one too.
    const turn = this.#last.then(() => this.#makeRoom(bases, decodedBytes, options));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #makeRoom(
    bases: readonly Digest[],
    decodedBytes: number,
    options: CallOptions,
  ): Promise<DecodeCost | undefined> {
    for (;;) {
      const frames = await this.#parts.plans.basesOf(bases, options);
      if (frames === undefined) return undefined;
      const cost = costOn(decodedBytes, frames);
      if (isWithin(cost)) return cost;
      const worst = worstOf(frames, decodedBytes, cost);
      if (worst === undefined || !(await this.#canStoreAnew(worst, options))) return undefined;
    }
  }

  /** False: the chunks cannot be read. The delta is not made then, and what it would build on is not needed any more. */
  async #canStoreAnew(frame: BaseFrame, options: CallOptions): Promise<boolean> {
    try {
      await this.#storeAnew(frame, options);
      return true;
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    }
  }

  /**
   * Stores chunks of one frame where few others are needed to decode them. They take no more than before: other deltas lie on
   * them too.
   */
  async #storeAnew({ chunks, decodeBytes }: BaseFrame, options: CallOptions): Promise<void> {
    const { engine, plans, pack } = this.#parts;
    const { isPage, chunks: all } = await plans.frameOf(must(chunks[0], "there is a chunk"), options);
    const run = plans.lengthsOf(all);
    const runBytes = sumLengths(run);
    const rootsMax = Math.min(decodeBytes - runBytes, DELTA_BYTES_MAX);
    const roots = middleOf(plans.lengthsOf(await plans.rootsOf(all, options)), rootsMax);
    const base = roots.length === 0 ? undefined : baseOf(roots);
    const wanted = base === undefined ? run : [...run, ...roots];
    const { plan } = await plans.make(
      "items",
      wanted.map(({ digest }) => digest),
      options,
    );
    const bytes = await readPlanned(engine, plan, wanted, options);
    const content = { chunks: run, bytes: bytes.subarray(0, runBytes) };
    const runBase = base && { frame: base, dictionary: bytes.subarray(runBytes) };
    for (const frame of await encodeRun(engine, content, runBase, options)) {
      plans.expect(await pack({ ...frame, isPage }, options));
    }
  }
}

function isWithin({ depth, decodeBytes }: DecodeCost): boolean {
  return depth <= DEPTH_MAX && decodeBytes <= DECODE_BYTES_MAX;
}

/**
 * The frame whose chunks are to be stored anew; undefined when that would not do. Those that lie on plain ones alone gain
 * nothing by it, and others take twice their own bytes afterwards, at least.
 */
function worstOf(
  frames: readonly BaseFrame[],
  decodedBytes: number,
  cost: DecodeCost,
): BaseFrame | undefined {
  const deep = frames.filter((frame) => frame.depth > 1);
  let leastBytes = decodedBytes;
  for (const frame of frames) leastBytes += frame.depth > 1 ? 2 * frame.chunkBytes : frame.decodeBytes;
  if (leastBytes > DECODE_BYTES_MAX) return undefined;
  const measure = (frame: BaseFrame): number => (cost.depth > DEPTH_MAX ? frame.depth : frame.decodeBytes);
  return deep.sort((one, other) => measure(other) - measure(one))[0];
}

/** The chunks in the middle that have at most so many bytes. */
function middleOf(roots: readonly ChunkItem[], bytesMax: number): readonly ChunkItem[] {
  let [from, to] = [0, roots.length];
  while (from < to && sumLengths(roots.slice(from, to)) > bytesMax) {
    if (from < roots.length - to) from++;
    else to--;
  }
  return roots.slice(from, to);
}

function baseOf(roots: readonly ChunkItem[]): FrameBase {
  const digests = joinDigests(roots.map(({ digest }) => digest));
  return { digests, lengths: roots.map(({ length }) => length), offset: 0, bytes: sumLengths(roots) };
}
