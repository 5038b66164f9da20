/** Blocks in a temporary file, and what they were made of. */
import { checkRange, type ByteRange } from "../../base/byte-range.ts";
import { totalBytes } from "../../base/bytes.ts";
import { AetherError } from "../../base/errors.ts";
import type { FrameInfo } from "../../format/block.ts";
import { DIGEST_BYTES, digestFromBytes, formatDigest, type Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { BlockInfo, BlockStore, ReadRangeOptions, StoreFeatures } from "../../store/block-store.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import type { SpoolFile } from "../push/archive/spool.ts";

/** What came in, in bytes. */
export interface BlockTally {
  readonly plainBytes: number;
  readonly deltaBytes: number;
  /** Of the chunks in plain frames, before compression. */
  readonly plainDecodedBytes: number;
  readonly pageBytes: number;
  readonly indexBytes: number;
  /** Chunks that were in no block before. */
  readonly chunks: readonly ChunkItem[];
}

/** A block store of one analysis; puts come one after another. `onPlain` hears how long each chunk is as a frame of its own. */
export class CountedBlocks implements BlockStore {
  readonly features: StoreFeatures = { kind: "analysis", persistent: false, shared: false };
  readonly #file: SpoolFile;
  readonly #places = new Map<Digest, { readonly start: number; readonly bytes: number }>();
  readonly #known = new Set<Digest>();
  readonly #onPlain: (chunk: Digest, storedBytes: number) => void;
  #chunks: ChunkItem[] = [];
  #counts = { plainBytes: 0, deltaBytes: 0, plainDecodedBytes: 0, pageBytes: 0, indexBytes: 0 };

  constructor(file: SpoolFile, onPlain: (chunk: Digest, storedBytes: number) => void) {
    this.#file = file;
    this.#onPlain = onPlain;
  }

  /** What came in since the last call. */
  takeTally(): BlockTally {
    const tally = { ...this.#counts, chunks: this.#chunks };
    this.#counts = { plainBytes: 0, deltaBytes: 0, plainDecodedBytes: 0, pageBytes: 0, indexBytes: 0 };
    this.#chunks = [];
    return tally;
  }

  async put(block: Digest, parts: readonly Uint8Array[]): Promise<void> {
    if (this.#places.has(block)) return;
    const bytes = totalBytes(parts);
    const start = this.#file.length;
    for (const part of parts) await this.#file.append(part);
    this.#places.set(block, { start, bytes });
    const { frames } = await readBlockIndex(this, block);
    let storedBytes = 0;
    for (const frame of frames) {
      storedBytes += frame.storedBytes;
      this.#count(frame);
    }
    this.#counts.indexBytes += bytes - storedBytes;
  }

  #count(frame: FrameInfo): void {
    const { codec, storedBytes, lengths, digests, isPage } = frame;
    const counts = this.#counts;
    if (isPage) {
      counts.pageBytes += storedBytes;
      return;
    }
    const isDelta = codec === CODECS.delta;
    counts[isDelta ? "deltaBytes" : "plainBytes"] += storedBytes;
    for (const [index, length] of lengths.entries()) {
      const digest = digestFromBytes(digests, index * DIGEST_BYTES);
      if (!isDelta) {
        counts.plainDecodedBytes += length;
        this.#onPlain(digest, storedBytes);
      }
      if (this.#known.has(digest)) continue;
      this.#known.add(digest);
      this.#chunks.push({ digest, length });
    }
  }

  async read(block: Digest, range?: ByteRange, options: ReadRangeOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const place = this.#places.get(block);
    if (place === undefined) {
      throw new AetherError("OBJECT_MISSING", `there is no block ${formatDigest(block)}`);
    }
    const { start, end } = checkRange(range ?? { start: 0, end: place.bytes }, place.bytes);
    const length = end - start;
    const into = options.into ?? Buffer.allocUnsafeSlow(length);
    const { handle } = this.#file;
    for (let at = 0; at < length;) {
      const { bytesRead } = await handle.read(into, at, length - at, place.start + start + at);
      if (bytesRead === 0) throw new AetherError("OBJECT_MISSING", "a temporary file was cut off");
      at += bytesRead;
    }
    return into.subarray(0, length);
  }

  /** Only from the list: the temporary file goes with the analysis. */
  async remove(block: Digest): Promise<void> {
    this.#places.delete(block);
  }

  stat(block: Digest): Promise<number | undefined> {
    return Promise.resolve(this.#places.get(block)?.bytes);
  }

  async *list(): AsyncGenerator<BlockInfo> {
    const blocks = [...this.#places].map(([digest, { bytes }]) => ({ digest, bytes }));
    yield* blocks.sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}
