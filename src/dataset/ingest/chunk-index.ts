/**
 * Where the chunks of a domain lie: a local hint, made from the blocks' own indexes, that may be deleted at any time.
 * What it says is verified by whoever reads the frame, and a block it names is looked for again before a publish.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import type { FrameInfo } from "../../format/block.ts";
import { CODECS } from "../../format/frame.ts";
import { STRONG_FEATURES, type Sketch } from "../workers/sketch.ts";
import { openIndexDatabase, removeDatabase, sqliteFault } from "./index-database.ts";

/** A chunk's place: a frame of a block, and where in the frame's decoded bytes the chunk begins. */
export interface ChunkLocation {
  readonly block: Digest;
  /** Number of the frame in the block. */
  readonly frame: number;
  /** Where the frame begins in the block, and how long it is there. */
  readonly frameOffset: number;
  readonly storedBytes: number;
  readonly codec: FrameInfo["codec"];
  readonly depth: number;
  /** Where the chunk begins in the frame's decoded bytes. */
  readonly chunkOffset: number;
  readonly chunkBytes: number;
}

/** A block, as it is added. */
export interface IndexedBlock {
  readonly digest: Digest;
  /** Size of the whole block. */
  readonly bytes: number;
  readonly frames: readonly FrameInfo[];
  /** Where each frame begins. */
  readonly offsets: readonly number[];
}

interface KnownBlock {
  readonly number: number;
  readonly digest: Digest;
  readonly bytes: number;
}

interface Row {
  readonly block: number;
  readonly frame: number;
  readonly frame_offset: number;
  readonly stored: number;
  readonly codec: number;
  readonly depth: number;
  readonly chunk_offset: number;
  readonly length: number;
}

/**
 * Several processes may use one file at once. Errors of every call: OBJECT_INVALID when the file turns out to be damaged
 * (it is removed, so that the next one to open it begins anew); SPACE_EXHAUSTED.
 */
export class ChunkIndex {
  readonly #file: string | undefined;
  readonly #db: DatabaseSync;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #resembling: StatementSync;
  readonly #insertSketch: StatementSync;
  readonly #byNumber = new Map<number, KnownBlock>();
  readonly #byDigest = new Map<Digest, KnownBlock>();

  /**
   * Opens the index at `file` (in a folder that is made), or one in memory. A damaged file is replaced by an empty one; where
   * none can be used, the index lies in memory.
   */
  constructor(file: string | undefined) {
    this.#file = file;
    this.#db = openIndexDatabase(file);
    this.#select = this.#db.prepare(
      "SELECT block, frame, frame_offset, stored, codec, depth, chunk_offset, length FROM chunk WHERE digest = ?",
    );
    // The new place stands, unless it lies on more others or takes more to decode: deltas count on that. Of two that are alike
    // it is the one that a prune moved the chunk to.
    this.#insert = this.#db.prepare(
      `INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET block = excluded.block,
       frame = excluded.frame, frame_offset = excluded.frame_offset, stored = excluded.stored, codec = excluded.codec,
       depth = excluded.depth, decode = excluded.decode, chunk_offset = excluded.chunk_offset, length = excluded.length
       WHERE chunk.depth >= excluded.depth AND chunk.decode >= excluded.decode`,
    );
    this.#resembling = this.#db.prepare(
      "SELECT feature, digest FROM sketch WHERE feature IN (SELECT value FROM json_each(?))",
    );
    this.#insertSketch = this.#db.prepare("INSERT OR REPLACE INTO sketch VALUES (?, ?)");
    for (const row of this.#db.prepare("SELECT number, digest, bytes FROM block").iterate()) {
      this.#remember(row);
    }
  }

  /** Blocks that were there when the index was synced, and could not be read: somebody may move them away at any time. */
  readonly unreadable = new Set<Digest>();

  /** The size of a block whose chunks stand in the index; undefined of one that does not. */
  bytesOf(block: Digest): number | undefined {
    return this.#blockOf(block)?.bytes;
  }

  /** How many blocks blocks() gives. */
  get size(): number {
    return this.#byDigest.size;
  }

  /** Every block that stood in the index when it was opened, or was added since. */
  blocks(): Iterable<Digest> {
    return this.#byDigest.keys();
  }

  /** Where a chunk (or page) lies, as far as this index knows. */
  find(digest: Digest): ChunkLocation | undefined {
    return this.#guard(() => {
      const row = this.#select.get(digestBytes(digest)) as Row | undefined;
      const block = row === undefined ? undefined : this.#blockAt(row.block);
      if (row === undefined || block === undefined) return undefined;
      return {
        block: block.digest,
        frame: row.frame,
        frameOffset: row.frame_offset,
        storedBytes: row.stored,
        codec: row.codec as FrameInfo["codec"],
        depth: row.depth,
        chunkOffset: row.chunk_offset,
        chunkBytes: row.length,
      };
    });
  }

  /** Adds a block and its frames' chunks. A block of another domain is added without frames. */
  add(block: IndexedBlock): void {
    this.#guard(() => {
      this.#transaction(() => {
        if (this.#blockOf(block.digest) !== undefined) return;
        const row = this.#db
          .prepare("INSERT INTO block (digest, bytes) VALUES (?, ?) RETURNING number, digest, bytes")
          .get(digestBytes(block.digest), block.bytes);
        const { number } = this.#remember(must(row, "a row was inserted"));
        for (const [index, frame] of block.frames.entries()) {
          this.#addFrame(number, index, block.offsets[index] ?? 0, frame);
        }
      });
    });
  }

  /** Forgets blocks that are not there any more, and their chunks. */
  remove(blocks: Iterable<Digest>): void {
    const known = [...blocks].flatMap((digest) => this.#blockOf(digest) ?? []);
    if (known.length === 0) return;
    const numbers = JSON.stringify(known.map(({ number }) => number));
    this.#guard(() => {
      this.#transaction(() => {
        const among = "IN (SELECT value FROM json_each(?))";
        this.#db.prepare(`DELETE FROM chunk WHERE block ${among}`).run(numbers);
        this.#db.prepare(`DELETE FROM block WHERE number ${among}`).run(numbers);
      });
    });
    for (const { number, digest } of known) {
      this.#byNumber.delete(number);
      this.#byDigest.delete(digest);
    }
  }

  /** Forgets one chunk, so that the next place that is added stands. */
  forget(digest: Digest): void {
    this.#guard(() => this.#db.prepare("DELETE FROM chunk WHERE digest = ?").run(digestBytes(digest)));
  }

  /**
   * The newest chunk with each of these features, and how many of the strong and of all features it has, those with most
   * first. Perhaps they are not there any more.
   */
  similar(features: Sketch): { readonly digest: Digest; readonly strong: number; readonly all: number }[] {
    return this.#guard(() => {
      const strong = new Set(features.slice(0, STRONG_FEATURES));
      const votes = new Map<Digest, { digest: Digest; strong: number; all: number }>();
      for (const row of this.#resembling.iterate(JSON.stringify(features))) {
        const digest = digestFromBytes(row["digest"] as Uint8Array);
        const vote = votes.get(digest) ?? { digest, strong: 0, all: 0 };
        vote.all++;
        if (strong.has(row["feature"] as number)) vote.strong++;
        votes.set(digest, vote);
      }
      return [...votes.values()].sort((one, other) => other.strong - one.strong || other.all - one.all);
    });
  }

  /** Remembers what chunks are like: of those with the same feature the last one. */
  addSketches(sketches: Iterable<readonly [Digest, Sketch]>): void {
    this.#guard(() => {
      this.#transaction(() => {
        for (const [digest, features] of sketches) {
          for (const feature of features) this.#insertSketch.run(feature, digestBytes(digest));
        }
      });
    });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #addFrame(block: number, frame: number, frameOffset: number, info: FrameInfo): void {
    let chunkOffset = 0;
    for (const [index, length] of info.lengths.entries()) {
      const digest = info.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const { storedBytes, codec, depth } = info;
      const decode = codec === CODECS.delta ? info.decodeBytes : length;
      this.#insert.run(
        ...[digest, block, frame, frameOffset, storedBytes, codec, depth, decode, chunkOffset, length],
      );
      chunkOffset += length;
    }
  }

  #remember(row: Record<string, unknown>): KnownBlock {
    const block = {
      number: row["number"] as number,
      digest: digestFromBytes(row["digest"] as Uint8Array),
      bytes: row["bytes"] as number,
    };
    this.#byNumber.set(block.number, block);
    this.#byDigest.set(block.digest, block);
    return block;
  }

  /** Another process on the same index may have added the block since it was opened. */
  #blockOf(digest: Digest): KnownBlock | undefined {
    const known = this.#byDigest.get(digest);
    if (known !== undefined) return known;
    const row = this.#db
      .prepare("SELECT number, digest, bytes FROM block WHERE digest = ?")
      .get(digestBytes(digest));
    return row && this.#remember(row);
  }

  #blockAt(number: number): KnownBlock | undefined {
    const known = this.#byNumber.get(number);
    if (known !== undefined) return known;
    const row = this.#db.prepare("SELECT number, digest, bytes FROM block WHERE number = ?").get(number);
    return row && this.#remember(row);
  }

  #transaction(change: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      change();
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #guard<T>(use: () => T): T {
    try {
      return use();
    } catch (cause) {
      const fault = sqliteFault(cause);
      if (fault === "damaged" && this.#file !== undefined) {
        this.#db.close();
        removeDatabase(this.#file);
        throw new AetherError("OBJECT_INVALID", "the index in the cache folder is damaged: it was removed", {
          cause,
        });
      }
      if (fault !== "full") throw cause;
      throw new AetherError("SPACE_EXHAUSTED", "the disk of the cache folder is full: make room", { cause });
    }
  }
}
