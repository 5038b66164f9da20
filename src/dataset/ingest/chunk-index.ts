/**
 * Where the chunks of a domain lie: a local hint, made from the blocks' own indexes, that may be deleted at any time.
 * What it says is verified by whoever reads the frame, and a block it names is looked for again before a publish.
 */
import fs from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { asBuffer } from "../../base/bytes.ts";
import { must } from "../../base/assert.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import type { FrameInfo } from "../../format/block.ts";
import { CODECS } from "../../format/frame.ts";

/** A chunk's place: a frame of a block, and where in the frame's decoded bytes the chunk begins. */
export interface ChunkLocation {
  readonly block: Digest;
  /** Number of the frame in the block. */
  readonly frame: number;
  /** Where the frame begins in the block, and how long it is there. */
  readonly frameOffset: number;
  readonly storedBytes: number;
  readonly codec: FrameInfo["codec"];
  /** Where the chunk begins in the frame's decoded bytes. */
  readonly chunkOffset: number;
  readonly chunkBytes: number;
}

/** Bytes of a digest that make up the key; the rest stands in the row. */
const KEY_BYTES = 6;
const SCHEMA_VERSION = 1;

interface Row {
  readonly rest: Uint8Array;
  readonly block: number;
  readonly frame: number;
  readonly frame_offset: number;
  readonly stored: number;
  readonly codec: number;
  readonly chunk_offset: number;
  readonly length: number;
}

export class ChunkIndex {
  readonly #db: DatabaseSync;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #insertBlock: StatementSync;
  readonly #digests = new Map<number, Digest>();
  readonly #numbers = new Map<Digest, number>();

  /** Opens the index at `file` (in a folder that is made), or one in memory. A damaged file is replaced by an empty one. */
  constructor(file: string | undefined) {
    this.#db = openDatabase(file);
    this.#select = this.#db.prepare(
      "SELECT rest, block, frame, frame_offset, stored, codec, chunk_offset, length FROM chunk WHERE key = ?",
    );
    // The first place stands, unless it is in a delta frame and the new one is not.
    this.#insert = this.#db.prepare(
      `INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET rest = excluded.rest,
       block = excluded.block, frame = excluded.frame, frame_offset = excluded.frame_offset, stored = excluded.stored,
       codec = excluded.codec, chunk_offset = excluded.chunk_offset, length = excluded.length
       WHERE chunk.codec = ${CODECS.delta} AND excluded.codec <> ${CODECS.delta}`,
    );
    this.#insertBlock = this.#db.prepare("INSERT INTO block (digest) VALUES (?) RETURNING number");
    for (const row of this.#db.prepare("SELECT number, digest FROM block").iterate()) {
      this.#remember(row["number"] as number, digestFromBytes(row["digest"] as Uint8Array));
    }
  }

  /** Whether the block's chunks stand in the index. */
  knows(block: Digest): boolean {
    return this.#numbers.has(block);
  }

  /** Every block that stands in the index. */
  blocks(): Iterable<Digest> {
    return this.#numbers.keys();
  }

  /** Where a chunk (or page) lies, as far as this index knows. */
  find(digest: Digest): ChunkLocation | undefined {
    const bytes = asBuffer(digestBytes(digest));
    const row = this.#select.get(bytes.readUIntLE(0, KEY_BYTES)) as Row | undefined;
    if (row === undefined || !bytes.subarray(KEY_BYTES).equals(row.rest)) return undefined;
    const block = this.#digests.get(row.block);
    if (block === undefined) return undefined;
    return {
      block,
      frame: row.frame,
      frameOffset: row.frame_offset,
      storedBytes: row.stored,
      codec: row.codec as FrameInfo["codec"],
      chunkOffset: row.chunk_offset,
      chunkBytes: row.length,
    };
  }

  /** Adds a block's frames; `offsets` tell where each begins. A block of another domain is added without frames. */
  add(block: Digest, frames: readonly FrameInfo[], offsets: readonly number[]): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const row = this.#insertBlock.get(digestBytes(block));
      const number = must(row, "a row was inserted")["number"] as number;
      for (const [index, frame] of frames.entries())
        this.#addFrame(number, index, offsets[index] ?? 0, frame);
      this.#db.exec("COMMIT");
      this.#remember(number, block);
    } catch (error) {
      this.#db.exec("ROLLBACK");
      if (!this.#isDuplicate(block)) throw error;
    }
  }

  /** Forgets a block that is not there any more, and its chunks. */
  remove(block: Digest): void {
    const number = this.#numbers.get(block);
    if (number === undefined) return;
    this.#db.prepare("DELETE FROM chunk WHERE block = ?").run(number);
    this.#db.prepare("DELETE FROM block WHERE number = ?").run(number);
    this.#numbers.delete(block);
    this.#digests.delete(number);
  }

  close(): void {
    this.#db.close();
  }

  #addFrame(block: number, frame: number, frameOffset: number, info: FrameInfo): void {
    let chunkOffset = 0;
    for (const [index, length] of info.lengths.entries()) {
      const digest = asBuffer(info.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
      this.#insert.run(
        digest.readUIntLE(0, KEY_BYTES),
        digest.subarray(KEY_BYTES),
        block,
        frame,
        frameOffset,
        info.storedBytes,
        info.codec,
        chunkOffset,
        length,
      );
      chunkOffset += length;
    }
  }

  #remember(number: number, digest: Digest): void {
    this.#digests.set(number, digest);
    this.#numbers.set(digest, number);
  }

  /** Another process on the same index may have added the block meanwhile. */
  #isDuplicate(block: Digest): boolean {
    const row = this.#db.prepare("SELECT number FROM block WHERE digest = ?").get(digestBytes(block));
    if (row === undefined) return false;
    this.#remember(row["number"] as number, block);
    return true;
  }
}

function openDatabase(file: string | undefined): DatabaseSync {
  if (file === undefined) return prepareDatabase(new DatabaseSync(":memory:"));
  fs.mkdirSync(join(file, ".."), { recursive: true });
  try {
    return prepareDatabase(new DatabaseSync(file));
  } catch {
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(file + suffix, { force: true });
    return prepareDatabase(new DatabaseSync(file));
  }
}

function prepareDatabase(db: DatabaseSync): DatabaseSync {
  // A hint need not survive a power failure, and a torn one is noticed and replaced: so no waiting for the disk.
  db.exec(
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192",
  );
  const version = db.prepare("PRAGMA user_version").get()?.["user_version"];
  if (version !== SCHEMA_VERSION) {
    db.exec(`
      BEGIN IMMEDIATE;
      DROP TABLE IF EXISTS block;
      DROP TABLE IF EXISTS chunk;
      CREATE TABLE block (number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE);
      CREATE TABLE chunk (key INTEGER PRIMARY KEY, rest BLOB NOT NULL, block INTEGER NOT NULL, frame INTEGER NOT NULL,
        frame_offset INTEGER NOT NULL, stored INTEGER NOT NULL, codec INTEGER NOT NULL,
        chunk_offset INTEGER NOT NULL, length INTEGER NOT NULL);
      PRAGMA user_version = ${SCHEMA_VERSION};
      COMMIT;`);
  }
  return db;
}
