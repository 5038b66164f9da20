/** Which frames can be moved as they lie. docs/format.md §5.1 */
import { must } from "../../base/assert.ts";
import { DIGEST_BYTES } from "../../format/digest.ts";
import type { FrameBase } from "../../format/block.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Plan, PlanDelta, PlanFrame } from "../../format/plan.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";
import { isDamage } from "../damage.ts";
import { BlockIndexes } from "../ingest/block-indexes.ts";
import { joinDigests, splitDigests } from "../ingest/block-packer.ts";
import type { IngestFrame, IngestSession } from "../ingest/ingest.ts";

/** A frame of the source, but for its bytes. */
export interface MovedFrame {
  readonly planned: PlanFrame;
  readonly form: Omit<IngestFrame, "stored">;
}

/** What a delta was encoded against, as a plan says it. */
export function baseOf({ sources, baseOffset, baseBytes }: PlanDelta): FrameBase {
  const digests = joinDigests(sources.map(({ digest }) => digest));
  return { digests, lengths: sources.map(({ bytes }) => bytes), offset: baseOffset, bytes: baseBytes };
}

/** Tells whether deltas of the source may lie in the target. */
export class MovedFrames {
  readonly #session: IngestSession;
  readonly #indexes: BlockIndexes;

  constructor(session: IngestSession, blocks: RangeReader) {
    this.#session = session;
    this.#indexes = new BlockIndexes(blocks, () => undefined);
  }

  /**
   * A delta frame, as the target would get it; undefined: the target lacks what it lies on, or nobody says what it holds.
   * `plan` has the frame; `items` are what the plan covers. Errors: those of the session and of the source's store.
   */
  async delta(
    plan: Plan,
    frame: number,
    items: readonly ChunkItem[],
    options: CallOptions,
  ): Promise<MovedFrame | undefined> {
    const planned = must(plan.frames[frame], "an item lies in a frame of its plan");
    const delta = must(planned.delta, "it is a delta frame");
    const digests = delta.sources.map(({ digest }) => digest);
    if (!(await this.#session.canBase(digests, delta.decodedBytes, options))) return undefined;
    const chunks = tile(plan, frame, items, delta.decodedBytes) ?? (await this.#inIndex(planned, options));
    if (chunks === undefined) return undefined;
    return { planned, form: { codec: planned.codec, chunks, base: baseOf(delta) } };
  }

  /** All chunks of a frame, by its block's own index: a plan has those alone that it is about. */
  async #inIndex({ block, offset }: PlanFrame, options: CallOptions): Promise<ChunkItem[] | undefined> {
    try {
      const { offsets, frames } = await this.#indexes.get(block, options);
      const info = frames[offsets.indexOf(offset)];
      if (info === undefined || info.digests.byteLength !== info.lengths.length * DIGEST_BYTES)
        return undefined;
      return splitDigests(info.digests).map((digest, at) => ({ digest, length: info.lengths[at] ?? 0 }));
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }
}

/** The frame's chunks, where the items that lie in it fill it up. */
function tile(
  plan: Plan,
  frame: number,
  items: readonly ChunkItem[],
  decodedBytes: number,
): ChunkItem[] | undefined {
  const starts = new Map<number, ChunkItem>();
  for (const [index, place] of plan.places.entries()) {
    const item = items[index];
    if (place.frame === frame && item !== undefined) starts.set(place.offset, item);
  }
  const chunks: ChunkItem[] = [];
  for (let at = 0; at < decodedBytes; at += must(chunks.at(-1), "one was added").length) {
    const next = starts.get(at);
    if (next === undefined) return undefined;
    chunks.push(next);
  }
  return chunks;
}
