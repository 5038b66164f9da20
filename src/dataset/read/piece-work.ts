import { copyBytes } from "../../base/bytes.ts";
import { must } from "../../base/assert.ts";
import { MiB } from "../../base/limits.ts";
import { Gate } from "../../store/layers/gate.ts";
import type { ReadEngine } from "../engine.ts";
import { CoalescedReads } from "./coalesced-reads.ts";
import { decodedFrames, STORED_BYTES_MAX, type Piece } from "./pieces.ts";

/** Pieces that may wait: more than a hub has readers. */
const WAITING_MAX = 65_536;
/** Bytes of pieces in work, and on their way from another machine. */
const BYTES_MAX = 16 * MiB;
/** Pieces on their way from another machine: what is stored of them takes memory. */
const FAR_CALLS_MAX = 32;

/** Where and with what. */
export interface PieceWorkOptions {
  readonly engine: Pick<ReadEngine, "store" | "pool">;
  /** The store lies on this machine. */
  readonly isLocal: boolean;
}

/** Verifies and decodes pieces in threads: a few at a time, the others wait. */
export class PieceWork {
  readonly #engine: Pick<ReadEngine, "store" | "pool">;
  readonly #far: CoalescedReads | undefined;
  readonly #gate: Gate;
  /** Threads see it too; used again, since fresh memory costs more than the reading. */
  readonly #memory: SharedArrayBuffer[] = [];

  constructor({ engine, isLocal }: PieceWorkOptions) {
    this.#engine = engine;
    this.#far = isLocal ? undefined : new CoalescedReads(engine.store.blocks);
    this.#gate = new Gate({
      callsMax: isLocal ? engine.pool.threads + 2 : FAR_CALLS_MAX,
      bytesMax: BYTES_MAX,
      waitersMax: WAITING_MAX,
    });
  }

  /**
   * Writes the bytes of a piece of plain frames, verified; the signal ends fetching them. Errors: OBJECT_CORRUPT, OBJECT_MISSING,
   * RANGE_INVALID; the signal's reason.
   */
  async decode(piece: Piece, output: SharedArrayBuffer, signal: AbortSignal): Promise<void> {
    const frames = must(piece.frames, "the piece is of plain frames");
    // Decoding what is stored raw to where it lies changes nothing.
    const room = piece.kind === "raw" ? output : undefined;
    const { block, offset, bytes } = must(piece.stored, "its frames lie one after another");
    const work = async (): Promise<void> => {
      const memory = room ?? this.#memory.pop() ?? new SharedArrayBuffer(STORED_BYTES_MAX);
      const into = new Uint8Array(memory, 0, bytes);
      const range = { start: offset, end: offset + bytes };
      const blocks = this.#far ?? this.#engine.store.blocks;
      const read = await blocks.read(block, range, { signal, into });
      if (read.buffer !== memory) copyBytes(read, into);
      await this.#engine.pool.run("decodePlain", { ...frames, memory, output });
      // Not after a failure: a thread, or the store, may still be at it.
      if (room === undefined) this.#memory.push(memory);
    };
    await this.#gate.run(bytes, work, signal);
  }

  /** Resolves when the decoded bytes that `memory` begins with are the piece's. Errors: OBJECT_CORRUPT. */
  async check(piece: Piece, memory: SharedArrayBuffer): Promise<void> {
    // As in decode().
    await this.#engine.pool.run("decodePlain", { ...decodedFrames(piece), memory, output: memory });
  }

  /** What `read` gives, when it is its turn; the signal ends the wait. */
  wait(bytes: number, read: () => Promise<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
    return this.#gate.run(bytes, read, signal);
  }
}
