/** What deltas are made on: chunks of the domain, found by where they stood or by what they are like. docs/format.md §5.1 */
import type { FrameBase } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { readPlanned } from "../version/planned-chunks.ts";
import type { Sketch } from "../workers/sketch.ts";
import { splitDigests } from "./block-packer.ts";
import type { ChunkIndex } from "./chunk-index.ts";
import type { DeltaBases, SimilarChunk, SketchedChunk } from "./ingest.ts";
import type { PlanMaker } from "./plan-maker.ts";

/** Of sketches that wait for their chunks to be stored. */
const WAITING_MAX = 1 << 17;
/** Chunks whose sketches are written before others have their turn. */
const SETTLED_AT_ONCE = 1024;

/** The bases that a store has. */
export class StoredBases implements DeltaBases {
  readonly #engine: Pick<ReadEngine, "store" | "pool">;
  readonly #index: ChunkIndex;
  readonly #plans: PlanMaker;
  readonly #waiting = new Map<Digest, Sketch>();

  constructor(engine: Pick<ReadEngine, "store" | "pool">, index: ChunkIndex, plans: PlanMaker) {
    this.#engine = engine;
    this.#index = index;
    this.#plans = plans;
  }

  similar(sketches: readonly Sketch[]): readonly (readonly SimilarChunk[])[] {
    return sketches.map((sketch) =>
      (sketch.length === 0 ? [] : this.#index.similar(sketch)).flatMap(({ digest, strong }) => {
        const location = this.#index.find(digest);
        return location === undefined ? [] : [{ digest, length: location.chunkBytes, isStrong: strong > 0 }];
      }),
    );
  }

  async read(base: FrameBase, options: CallOptions = {}): Promise<Uint8Array> {
    const digests = splitDigests(base.digests);
    const { plan } = await this.#plans.make("items", digests, options);
    const chunks = digests.map((digest, index) => ({ digest, length: base.lengths[index] ?? 0 }));
    const bytes = await readPlanned(this.#engine, plan, chunks, options);
    return bytes.subarray(base.offset, base.offset + base.bytes);
  }

  /** Remembers what chunks are like, as far as that is known, for when they are stored. */
  expect(chunks: readonly SketchedChunk[]): void {
    for (const { digest, sketch = [] } of chunks) {
      if (sketch.length > 0 && this.#waiting.size < WAITING_MAX) this.#waiting.set(digest, sketch);
    }
  }

  /** Tells that chunks are stored: from now on they are found by what they are like. */
  async settle(digests: readonly Digest[]): Promise<void> {
    for (let at = 0; at < digests.length; at += SETTLED_AT_ONCE) {
      const known: (readonly [Digest, Sketch])[] = [];
      for (const digest of digests.slice(at, at + SETTLED_AT_ONCE)) {
        const sketch = this.#waiting.get(digest);
        if (sketch !== undefined) known.push([digest, sketch]);
        this.#waiting.delete(digest);
      }
      if (known.length === 0) continue;
      this.#index.addSketches(known);
      await new Promise(setImmediate);
    }
  }
}
