/** What this machine pushed to a hub: the next push makes deltas on it. In the cache folder: it may be deleted at any time. */
import { join } from "node:path";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { ReadEngine } from "../../dataset/engine.ts";
import { sumLengths } from "../../dataset/ingest/based-runs.ts";
import { splitDigests } from "../../dataset/ingest/block-packer.ts";
import { ChunkIndex } from "../../dataset/ingest/chunk-index.ts";
import type { DeltaBases, IngestFrame, SimilarChunk } from "../../dataset/ingest/ingest.ts";
import { LocalSession } from "../../dataset/ingest/local-session.ts";
import { syncIndex } from "../../dataset/ingest/sync-index.ts";
import type { Sketch } from "../../dataset/workers/sketch.ts";
import { digestOf } from "../../format/digest.ts";
import type { FrameBase } from "../../format/block.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { Store } from "../../store/dataset-store.ts";

/** Small blocks: what is removed to keep within the limit goes by blocks. */
const BLOCK_BYTES = 4 * MiB;
/** All chunks lie in one domain here: the hub says which of them it can build on. */
const DOMAIN = "sent";

/** What it works with. */
export interface SentChunksParts extends Omit<ReadEngine, "store" | "cacheDir"> {
  readonly cacheDir: string;
  /** The hub's address, and its store. */
  readonly hub: string;
  readonly storeId: string;
  /** What is kept of blocks, in bytes, when a push has ended. */
  readonly bytesMax: number;
}

/**
 * A store of chunks without versions. Whatever goes wrong with it is no reason for a push to fail: then less is known of what
 * was sent. One push at a time uses an instance; several processes may use the same folder.
 */
export class SentChunks implements DeltaBases {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #session: LocalSession;
  readonly #bytesMax: number;
  #isUsable = true;
  #isClosed = false;
  #keptBytes = 0;

  private constructor(store: Store, index: ChunkIndex, session: LocalSession, bytesMax: number) {
    this.#store = store;
    this.#index = index;
    this.#session = session;
    this.#bytesMax = bytesMax;
  }

  /** Opens what was sent to this hub before; undefined when the folder cannot be used. */
  static async open(parts: SentChunksParts): Promise<SentChunks | undefined> {
    const { cacheDir, hub, storeId, bytesMax, ...engine } = parts;
    // The id is what the hub says: no name for a folder, and no other hub's that says the same.
    const folder = join(cacheDir, "sent", digestOf(Buffer.from(`${hub}\0${storeId}`)).slice(0, 32));
    let store: Store | undefined;
    let index: ChunkIndex | undefined;
    try {
      const { clock, random } = engine;
      store = await openStore(folder, { create: true, clock, random });
      index = new ChunkIndex(join(folder, "index.db"));
      await syncIndex(index, store.blocks, DOMAIN);
      const options = { domain: DOMAIN, publisher: "", blockBytes: BLOCK_BYTES };
      const session = new LocalSession({ ...engine, cacheDir: undefined, store }, index, options);
      return new SentChunks(store, index, session, bytesMax);
    } catch {
      index?.close();
      await store?.close().catch(() => undefined);
      return undefined;
    }
  }

  similar(sketches: readonly Sketch[]): readonly (readonly SimilarChunk[])[] {
    if (!this.#isUsable) return [];
    try {
      return this.#session.bases.similar(sketches);
    } catch {
      this.#isUsable = false;
      return [];
    }
  }

  async read(base: FrameBase, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    if (!this.#isUsable) return undefined;
    try {
      return await this.#session.bases.read(base, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      // Most often it was never sent from here, or was removed since.
      if (!(error instanceof AetherError)) this.#isUsable = false;
      return undefined;
    }
  }

  /** Keeps what is sent, as far as there is room. The frames' bytes are the caller's again when it resolves. */
  async keep(frames: readonly IngestFrame[], options: CallOptions): Promise<void> {
    try {
      for (const frame of frames) {
        if (!this.#isUsable || this.#keptBytes > this.#bytesMax) return;
        if (!(await this.#canKeep(frame, options))) continue;
        await this.#session.put([frame], options);
        this.#keptBytes += frame.stored.byteLength;
      }
    } catch {
      options.signal?.throwIfAborted();
      this.#isUsable = false;
    }
  }

  /** Whether a frame can be read here later: what it lies on may have been removed. */
  async #canKeep({ base, chunks }: IngestFrame, options: CallOptions): Promise<boolean> {
    if (base === undefined) return true;
    return this.#session.canBase(splitDigests(base.digests), sumLengths(chunks), options);
  }

  /** Ends the push: what was kept is there for the next one, the oldest goes where it is too much. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#session.keep().catch(() => undefined);
    await this.#trim().catch(() => undefined);
    await this.#session.abort().catch(() => undefined);
    await this.#store.close().catch(() => undefined);
  }

  async #trim(): Promise<void> {
    const blocks = [...this.#index.blocks()];
    let bytes = 0;
    for (const block of blocks) bytes += this.#index.bytesOf(block) ?? 0;
    const removed = [];
    for (const block of blocks) {
      if (bytes <= this.#bytesMax) break;
      bytes -= this.#index.bytesOf(block) ?? 0;
      removed.push(block);
    }
    this.#index.remove(removed);
    for (const block of removed) await this.#store.blocks.remove(block);
  }
}
