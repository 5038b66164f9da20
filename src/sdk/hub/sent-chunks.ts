/** What this machine pushed to a hub: the next push makes deltas on it. In the cache folder: it may be deleted at any time. */
import { join } from "node:path";
import { AetherError, codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { ReadEngine } from "../../dataset/engine.ts";
import { ChunkIndex } from "../../dataset/ingest/chunk-index.ts";
import type { DeltaBases, IngestFrame, SimilarChunk } from "../../dataset/ingest/ingest.ts";
import { LocalSession } from "../../dataset/ingest/local-session.ts";
import { syncIndex } from "../../dataset/ingest/sync-index.ts";
import type { Sketch } from "../../dataset/workers/sketch.ts";
import { digestOf } from "../../format/digest.ts";
import type { FrameBase } from "../../format/block.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { PrunableStore } from "../../store/open-objects.ts";

/** Small blocks: what is removed to keep within the limit goes by blocks. */
const BLOCK_BYTES = 4 * MiB;
/** All chunks lie in one domain here: the hub says which of them it can build on. */
const DOMAIN = "sent";

/** What it works with. */
export interface SentChunksParts extends Omit<ReadEngine, "store" | "cacheDir"> {
  readonly cacheDir: string;
  /** The hub's store. */
  readonly storeId: string;
  /** What is kept of blocks, in bytes, when a push has ended. */
  readonly bytesMax: number;
}

/**
 * A store of chunks without versions. Whatever goes wrong with it is no reason for a push to fail: then less is known of what
 * was sent. One push at a time uses an instance; several processes may use the same folder.
 */
export class SentChunks implements DeltaBases {
  readonly #store: PrunableStore;
  readonly #index: ChunkIndex;
  readonly #session: LocalSession;
  readonly #bytesMax: number;
  #isUsable = true;
  #isClosed = false;

  private constructor(store: PrunableStore, index: ChunkIndex, session: LocalSession, bytesMax: number) {
    this.#store = store;
    this.#index = index;
    this.#session = session;
    this.#bytesMax = bytesMax;
  }

  /** Opens what was sent to this hub before; undefined when the folder cannot be used. */
  static async open(parts: SentChunksParts): Promise<SentChunks | undefined> {
    const { cacheDir, storeId, bytesMax, ...engine } = parts;
    // The id is what the hub says: no name for a folder.
    const folder = join(cacheDir, "sent", digestOf(Buffer.from(storeId)).slice(0, 32));
    try {
      const { clock, random } = engine;
      const store = await openStore(folder, { create: true, clock, random });
      const index = new ChunkIndex(join(folder, "index.db"));
      const options = { domain: DOMAIN, publisher: "", blockBytes: BLOCK_BYTES };
      const session = new LocalSession({ ...engine, cacheDir: undefined, store }, index, options);
      await syncIndex(index, store.blocks, DOMAIN);
      return new SentChunks(store, index, session, bytesMax);
    } catch (error) {
      if (error instanceof AetherError || isFileError(error)) return undefined;
      throw error;
    }
  }

  similar(sketches: readonly Sketch[]): readonly (readonly SimilarChunk[])[] {
    return this.#isUsable ? this.#session.bases.similar(sketches) : [];
  }

  async read(base: FrameBase, options?: CallOptions): Promise<Uint8Array | undefined> {
    if (!this.#isUsable) return undefined;
    try {
      return await this.#session.bases.read(base, options);
    } catch (error) {
      // Most often it was never sent from here, or was removed since.
      if (error instanceof AetherError && codeOf(error) !== "CANCELLED") return undefined;
      throw error;
    }
  }

  /** Keeps what is sent. The frames' bytes are the caller's again when it resolves. */
  async keep(frames: readonly IngestFrame[], options: CallOptions): Promise<void> {
    if (!this.#isUsable || this.#bytesMax === 0) return;
    try {
      await this.#session.put(frames, options);
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
      options.signal?.throwIfAborted();
      this.#isUsable = false;
    }
  }

  /** Ends the push: what was kept is there for the next one, the oldest goes where it is too much. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#session.keep();
      await this.#trim();
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
    } finally {
      await this.#session.abort();
      await this.#store.close();
    }
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

function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
