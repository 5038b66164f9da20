/** A store of one analysis, into which versions are pushed as into any other: what it then holds is what they cost. */
import { must } from "../../base/assert.ts";
import { encodeBlock } from "../../format/block.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import { CODECS, DEFAULT_COMPRESSION_LEVEL } from "../../format/frame.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import type { ChunkItem } from "../../format/page.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type { Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { Progress } from "../contract.ts";
import type { Engine, ReadEngine } from "../engine.ts";
import { joinDigests } from "../ingest/block-packer.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { Spool } from "../push/archive/spool.ts";
import { PushJob } from "../push/push-job.ts";
import { Reference } from "../push/reference.ts";
import { openVersion, type Version } from "../version/version.ts";
import type { AnalyzeLimits } from "./contract.ts";
import { CountedBlocks } from "./counted-blocks.ts";
import type { Material } from "./material.ts";

const TAG = { name: parseDatasetName("analysis"), tag: parseTag("latest") };

/** What a push brought into the store. Bytes, but for chunks and seconds. */
export interface Trial {
  readonly version: Version;
  /** Chunks of the version. */
  readonly chunks: number;
  /** Those that were new. */
  readonly newChunks: readonly ChunkItem[];
  readonly plainBytes: number;
  readonly deltaBytes: number;
  /** What the plain frames hold, before compression. */
  readonly plainDecodedBytes: number;
  readonly manifestBytes: number;
  readonly planBytes: number;
  readonly indexBytes: number;
  readonly seconds: number;
}

/** What a laboratory hears of its work. */
export interface LaboratoryEvents {
  /** How long a chunk is as a frame of its own. */
  readonly onPlain: (chunk: Digest, storedBytes: number) => void;
  readonly onProgress: (progress: Progress) => void;
}

/** One chunking, and versions one after another, each compared with the one before. */
export class Laboratory {
  readonly #engine: Engine;
  readonly #blocks: CountedBlocks;
  readonly #spool: Spool;
  readonly #chunking: ChunkingParameters;
  readonly #events: LaboratoryEvents;
  readonly #signal: AbortSignal | undefined;
  #last: Version | undefined;

  private constructor(
    engine: Engine,
    blocks: CountedBlocks,
    spool: Spool,
    options: { chunking: ChunkingParameters; events: LaboratoryEvents; signal: AbortSignal | undefined },
  ) {
    this.#engine = engine;
    this.#blocks = blocks;
    this.#spool = spool;
    this.#chunking = options.chunking;
    this.#events = options.events;
    this.#signal = options.signal;
  }

  /** Errors: those of the spool. */
  static async open(
    { clock, random, pool, memoryBytes, cacheDir }: ReadEngine,
    chunking: ChunkingParameters,
    events: LaboratoryEvents,
    { signal, spoolBytes }: AnalyzeLimits,
  ): Promise<Laboratory> {
    const spool = await Spool.open(cacheDir, random, spoolBytes);
    const blocks = new CountedBlocks(await spool.createFile(), events.onPlain);
    const memory = await openStore("memory:", { create: true, clock, random });
    const store: Store = { blocks, datasets: memory.datasets, close: () => memory.close() };
    const engine = { store, clock, random, pool, memoryBytes, cacheDir: undefined };
    return new Laboratory(engine, blocks, spool, { chunking, events, signal });
  }

  /** Pushes a version. Uncompressed ones are no deltas either. Errors: those of push(). */
  async push(material: Material, compression: "none" | "zstd", deltas: boolean): Promise<Trial> {
    const { clock } = this.#engine;
    const begunMs = clock.elapsedMs();
    const call = this.#signal === undefined ? {} : { signal: this.#signal };
    const engine = withLocalIngest(this.#engine);
    const before = deltas ? this.#last : undefined;
    const wanted = { tags: [TAG], publisher: "analyze", reference: before?.digest };
    const session = await engine.ingest.begin(wanted, call);
    const { source = "", exclude = [], skipUnreadable = false } = material.source ?? {};
    const job = new PushJob(engine, session, {
      ...{ ...wanted, ...call, source, exclude, skipUnreadable },
      chunking: this.#chunking,
      reference: before && new Reference(engine, before, { isStatCacheValid: false }),
      statCache: undefined,
      archive: material.archive,
      compressionLevel: compression === "none" ? 0 : DEFAULT_COMPRESSION_LEVEL,
      onProgress: this.#events.onProgress,
    });
    try {
      const { digest, chunks, manifestBytes } = await job.run();
      const { chunks: newChunks, pageBytes, ...tally } = this.#blocks.takeTally();
      const seconds = (clock.elapsedMs() - begunMs) / 1000;
      const version = await openVersion(engine, digest, call);
      this.#last = version;
      const object = must(
        await this.#engine.store.datasets.getManifest(digest, call),
        "it was just published",
      );
      // Nothing is written for a version that is there already.
      const ownBytes = Math.min(object.byteLength + pageBytes, manifestBytes);
      const sizes = { manifestBytes: ownBytes, planBytes: manifestBytes - ownBytes };
      return { version, chunks, newChunks, ...tally, ...sizes, seconds };
    } catch (error) {
      await session.abort();
      throw error;
    } finally {
      await job.close();
    }
  }

  async close(): Promise<void> {
    await this.#engine.store.close();
    await this.#spool.close();
  }
}

/** Bytes of the index of blocks that hold these chunks in frames of their own. */
export function plainIndexBytes(chunks: readonly ChunkItem[]): number {
  if (chunks.length === 0) return 0;
  const frames = chunks.map(({ digest, length }) => ({
    codec: CODECS.zstd,
    storedBytes: length,
    digests: joinDigests([digest]),
    lengths: [length],
    base: undefined,
    depth: 0,
    decodeBytes: 0,
    isPage: false,
  }));
  return HEADER_BYTES + encodeBlock("", frames).tail.byteLength;
}
