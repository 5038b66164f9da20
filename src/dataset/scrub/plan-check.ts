/** Plans, held against the indexes of the blocks that they lead to. docs/format.md §7 */
import { AetherError } from "../../base/errors.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import type { FrameInfo } from "../../format/block.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Plan, PlanDelta, PlanFrame } from "../../format/plan.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import { splitDigests } from "../ingest/block-packer.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import { isFault } from "./is-fault.ts";

/** Frames and chunks of all block indexes that are kept: some 100 bytes each. */
const KEPT_ITEMS_MAX = 300_000;

/** A block as plans need it: its frames by where they begin. */
interface KnownBlock {
  readonly frames: ReadonlyMap<number, FrameInfo>;
  readonly weight: number;
}

/** An item as a plan covers it; the length of a page nobody says. */
export interface PlannedItem {
  readonly digest: Digest;
  readonly length: number | undefined;
}

/** What is wrong with one item of a plan. */
export interface ItemFault {
  readonly item: number;
  readonly error: AetherError;
  /**
   * The block that is missing or damaged; "plan": it says what blocks do not, or one does that it is in terms of; "told": the
   * frame was known to be damaged.
   */
  readonly faulty: Digest | "plan" | "told";
}

/** Holds plans to blocks. What is known of damaged frames is taken as given. */
export class PlanCheck {
  readonly #blocks: RangeReader;
  readonly #known = new LoadingCache<KnownBlock | AetherError>(KEPT_ITEMS_MAX, (known) =>
    known instanceof AetherError ? 1 : known.weight,
  );
  /** Of damaged frames, by block and where they begin. */
  readonly #damaged: ReadonlyMap<Digest, ReadonlyMap<number, AetherError>>;

  constructor(blocks: RangeReader, damaged: ReadonlyMap<Digest, ReadonlyMap<number, AetherError>>) {
    this.#blocks = blocks;
    this.#damaged = damaged;
  }

  /** The items that cannot be read by a whole plan, and what is wrong with frames that none of them needs. Errors: those of the store. */
  async check(plan: Plan, items: readonly PlannedItem[], options: CallOptions): Promise<ItemFault[]> {
    const faults: ItemFault[] = [];
    const frames: (Omit<ItemFault, "item"> | undefined)[] = [];
    for (const frame of plan.frames) frames.push(await this.#frame(plan, frame, frames, options));
    for (const [item, { digest, length }] of items.entries()) {
      const place = plan.places[item];
      const planned = plan.frames[place?.frame ?? -1];
      if (place === undefined || planned === undefined)
        faults.push({ item, ...ofPlan("an item has no place") });
      else {
        const fault =
          frames[place.frame] ?? (await this.#lies(planned, place.offset, digest, length, options));
        if (fault !== undefined) faults.push({ item, ...fault });
      }
    }
    if (plan.places.length !== items.length)
      faults.push({ item: 0, ...ofPlan("it has places of other items") });
    return faults;
  }

  async #frame(
    plan: Plan,
    planned: PlanFrame,
    before: readonly (Omit<ItemFault, "item"> | undefined)[],
    options: CallOptions,
  ): Promise<Omit<ItemFault, "item"> | undefined> {
    const { block, offset, storedBytes, codec, delta } = planned;
    const damaged = this.#damaged.get(block)?.get(offset);
    if (damaged !== undefined) return { error: damaged, faulty: "told" };
    const known = await this.#get(block, options);
    if (known instanceof AetherError) return { error: known, faulty: block };
    const info = known.frames.get(offset);
    if (info?.storedBytes !== storedBytes || info.codec !== codec)
      return ofPlan(`block ${formatDigest(block)} has no such frame`);
    if (delta === undefined) return undefined;
    if (!agrees(delta, info)) return ofPlan(`block ${formatDigest(block)} says otherwise of a delta`);
    for (const source of delta.sources) {
      const base = plan.frames[source.frame];
      const fault =
        base === undefined
          ? ofPlan("a base has no place")
          : (before[source.frame] ??
            (await this.#lies(base, source.offset, source.digest, source.bytes, options)));
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** Whether a chunk lies where it is said to, as the block itself says. */
  async #lies(
    { block, offset: frame }: PlanFrame,
    offset: number,
    digest: Digest,
    length: number | undefined,
    options: CallOptions,
  ): Promise<Omit<ItemFault, "item"> | undefined> {
    const known = await this.#get(block, options);
    if (known instanceof AetherError) return { error: known, faulty: block };
    const info = known.frames.get(frame);
    let at = 0;
    for (const [index, held] of splitDigests(info?.digests ?? new Uint8Array()).entries()) {
      const bytes = info?.lengths[index] ?? 0;
      if (at === offset && held === digest && (length ?? bytes) === bytes) return undefined;
      at += bytes;
    }
    return ofPlan(`${formatDigest(digest)} does not lie in block ${formatDigest(block)} where it says`);
  }

  #get(block: Digest, options: CallOptions): Promise<KnownBlock | AetherError> {
    return this.#known.get(block, async () => {
      try {
        const { frames, offsets } = await readBlockIndex(this.#blocks, block, options);
        const weight = frames.reduce((sum, { lengths }) => sum + 1 + lengths.length, 1);
        return { frames: new Map(frames.map((info, index) => [offsets[index] ?? 0, info])), weight };
      } catch (error) {
        if (isFault(error)) return inBlock(block, error);
        throw error;
      }
    });
  }
}

function inBlock(block: Digest, error: AetherError): AetherError {
  const data = { ...error.data, block: formatDigest(block) };
  return new AetherError(error.code, `block ${formatDigest(block)}: ${error.message}`, {
    data,
    cause: error,
  });
}

function ofPlan(why: string): Omit<ItemFault, "item"> {
  return { error: new AetherError("OBJECT_INVALID", `a plan leads to nothing: ${why}`), faulty: "plan" };
}

/** Whether a plan says of a delta what its block does. */
function agrees(delta: PlanDelta, info: FrameInfo): boolean {
  const { decodedBytes, sources, baseOffset, baseBytes } = delta;
  const { base, lengths } = info;
  if (base === undefined || info.codec !== CODECS.delta) return false;
  const isSame = splitDigests(base.digests).every(
    (digest, index) => compareUtf8(digest, sources[index]?.digest ?? "") === 0,
  );
  return (
    isSame &&
    base.lengths.length === sources.length &&
    base.lengths.every((length, index) => length === sources[index]?.bytes) &&
    base.offset === baseOffset &&
    base.bytes === baseBytes &&
    lengths.reduce((sum, length) => sum + length, 0) === decodedBytes
  );
}

/** Chunks as items. */
export function itemsOfChunks(chunks: readonly ChunkItem[]): PlannedItem[] {
  return chunks.map(({ digest, length }) => ({ digest, length }));
}
