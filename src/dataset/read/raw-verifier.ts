import { must } from "../../base/assert.ts";
import { digestBytes, DIGEST_BYTES } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { Gate } from "../../store/layers/gate.ts";
import type { ReadEngine } from "../engine.ts";
import type { ChunkSpan } from "../version/chunks.ts";
import { PLAIN_FRAME_FIELDS, type PlainFrames } from "../workers/verify-task.ts";
import { RAW_PIECE_BYTES_MAX, type Piece, type RawPlace } from "./pieces.ts";

/** Pieces that may wait to be verified: more than a hub has readers. */
const WAITING_MAX = 65_536;

/** Verifies pieces that are stored raw, each once, in threads. */
export class RawVerifier {
  readonly #engine: Pick<ReadEngine, "store" | "pool">;
  readonly #gate: Gate;
  readonly #underWay = new Map<Piece, Promise<void>>();
  /** Memory that threads see too, used again. */
  readonly #memory: SharedArrayBuffer[] = [];

  constructor(engine: Pick<ReadEngine, "store" | "pool">) {
    const callsMax = engine.pool.threads + 1;
    this.#engine = engine;
    this.#gate = new Gate({ callsMax, bytesMax: callsMax * RAW_PIECE_BYTES_MAX, waitersMax: WAITING_MAX });
  }

  /** Resolves when the piece's chunks match their digests. Errors: OBJECT_CORRUPT, OBJECT_MISSING, RANGE_INVALID. */
  async verify(piece: Piece): Promise<void> {
    if (piece.spans === undefined) return;
    const known = this.#underWay.get(piece);
    if (known !== undefined) return known;
    const { spans, start, end } = piece;
    const raw = must(piece.raw, "the piece is stored raw");
    const verifying = this.#gate.run(end - start, () => this.#compare(spans, raw, end - start));
    this.#underWay.set(piece, verifying);
    try {
      await verifying;
      piece.spans = undefined;
    } finally {
      this.#underWay.delete(piece);
    }
  }

  async #compare(spans: readonly ChunkSpan[], { block, offset }: RawPlace, bytes: number): Promise<void> {
    const memory = this.#take(bytes);
    const into = new Uint8Array(memory, 0, bytes);
    const range = { start: offset, end: offset + bytes };
    const read = await this.#engine.store.blocks.read(block, range, { into });
    if (read.buffer !== memory) into.set(read);
    await this.#engine.pool.run("verifyPlain", framesOf(spans, memory));
    if (memory.byteLength === RAW_PIECE_BYTES_MAX) this.#memory.push(memory);
  }

  #take(bytes: number): SharedArrayBuffer {
    if (bytes > RAW_PIECE_BYTES_MAX) return new SharedArrayBuffer(bytes);
    return this.#memory.pop() ?? new SharedArrayBuffer(RAW_PIECE_BYTES_MAX);
  }
}

function framesOf(spans: readonly ChunkSpan[], memory: SharedArrayBuffer): PlainFrames {
  const frames = new Uint32Array(spans.length * PLAIN_FRAME_FIELDS);
  const digests = new Uint8Array(spans.length * DIGEST_BYTES);
  let start = 0;
  for (const [index, { digest, length }] of spans.entries()) {
    frames.set([CODECS.raw, start, length, length], index * PLAIN_FRAME_FIELDS);
    digests.set(digestBytes(digest), index * DIGEST_BYTES);
    start += length;
  }
  return { memory, frames, digests };
}
