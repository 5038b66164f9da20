/** The deltas that a hub makes of plain frames: the producer that sent them has not the bytes that stood in their place. */
import { must } from "../../base/assert.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { FRAME_CHUNKS_MAX } from "../../format/block.ts";
import { DELTA_BYTES_MAX } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import { fetchFrames } from "../version/block-ranges.ts";
import { addPlanned } from "../version/planned-chunks.ts";
import { UnitBuilder, type UnitFrame } from "../version/unit.ts";
import { splitDigests } from "./block-packer.ts";
import { encodeRun } from "./encode-run.ts";
import type { DeltaHint, IngestFrame } from "./ingest.ts";
import type { LocalSession } from "./local-session.ts";

/** What reading says of bases that are lost or damaged: the frames stay as they came. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "OBJECT_CORRUPT", "OBJECT_INVALID"]);

/** Neighbouring plain frames (by index, `to` exclusive) that may become one delta. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly base: DeltaHint["base"];
}

/** Makes deltas of frames that were verified. */
export class ArrivingDeltas {
  readonly #engine: Engine;
  readonly #local: LocalSession;

  /** Bases are looked for in the session's domain alone. */
  constructor(engine: Engine, local: LocalSession) {
    this.#engine = engine;
    this.#local = local;
  }

  /** The frames, in order, with the runs that hints name as deltas where these are shorter. Errors: those of the store. */
  async make(frames: readonly IngestFrame[], options: CallOptions): Promise<readonly IngestFrame[]> {
    const runs = runsOf(frames);
    const made = new Map<number, IngestFrame>();
    const group = new TaskGroup(this.#engine.pool.threads);
    try {
      for (const run of runs) {
        await group.add(async () => {
          const delta = await this.#delta(frames.slice(run.from, run.to), run.base, options);
          if (delta !== undefined) made.set(run.from, delta);
        });
      }
      await group.finish();
    } finally {
      await group.settle();
    }
    const isReplaced = new Set(
      runs.flatMap(({ from, to }) =>
        made.has(from) ? Array.from({ length: to - from }, (_, at) => from + at) : [],
      ),
    );
    return frames.flatMap((frame, index) => {
      const delta = made.get(index);
      if (delta !== undefined) return [delta];
      return isReplaced.has(index) ? [] : [frame];
    });
  }

  /** The run as one delta; undefined when it is not shorter, or cannot be made. */
  async #delta(
    run: readonly IngestFrame[],
    base: DeltaHint["base"],
    options: CallOptions,
  ): Promise<IngestFrame | undefined> {
    const chunks = run.flatMap((frame) => frame.chunks);
    const runBytes = sumLengths(chunks);
    if (!(await this.#local.canBase(splitDigests(base.digests), runBytes, options))) return undefined;
    try {
      const bytes = await this.#read(run, base, options);
      const bases = bytes.subarray(0, bytes.byteLength - runBytes);
      const dictionary = bases.subarray(base.offset, base.offset + base.bytes);
      const all = { chunks, bytes: bytes.subarray(bases.byteLength) };
      const [first] = await encodeRun(this.#engine, all, { frame: base, dictionary }, options);
      return first?.base === undefined ? undefined : first;
    } catch (error) {
      if (UNREADABLE.has(codeOf(error))) return undefined;
      throw error;
    }
  }

  /** The bytes of the base's chunks and then of the run's, decoded together. */
  async #read(
    run: readonly IngestFrame[],
    base: DeltaHint["base"],
    options: CallOptions,
  ): Promise<Uint8Array> {
    const { pool, store } = this.#engine;
    const unit = new UnitBuilder<never>(() => undefined);
    const digests = splitDigests(base.digests);
    const bases = digests.map((digest, index) => ({ digest, length: base.lengths[index] ?? 0 }));
    addPlanned(unit, await this.#local.planOf(digests, options), bases);
    const fetched = await fetchFrames(store.blocks, unit.frames, options);
    const frames: UnitFrame[] = [...unit.frames];
    const chunks = [...unit.chunks];
    const { block } = must(unit.frames[0], "a base lies in a frame");
    for (const { codec, stored, chunks: held } of run) {
      const { digest, length } = must(held[0], "a plain frame holds one chunk");
      chunks.push({ digest, frame: frames.length, offset: 0, bytes: length });
      const storedBytes = stored.byteLength;
      frames.push({ block, offset: 0, storedBytes, codec, decodedBytes: length, dictionary: undefined });
    }
    const stored = [...fetched.stored, ...run.map((frame) => frame.stored)];
    const transfer = fetched.ranges.map((range) => range.buffer);
    return pool.run(
      "decodeUnit",
      { frames, chunks, stored, locals: [] },
      { transfer, signal: options.signal },
    );
  }
}

/** The runs that hints name, as far as all of their frames came and one delta may hold them. */
function runsOf(frames: readonly IngestFrame[]): Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < frames.length;) {
    const hint = frames[from]?.hint;
    const to = hint === undefined ? from + 1 : endOfRun(frames, from, hint);
    if (hint !== undefined) runs.push({ from, to, base: hint.base });
    from = to;
  }
  return runs;
}

function endOfRun(frames: readonly IngestFrame[], from: number, hint: DeltaHint): number {
  let bytes = 0;
  let to = from;
  for (; to < Math.min(from + Math.min(hint.frames, FRAME_CHUNKS_MAX), frames.length); to++) {
    const frame = frames[to];
    if (frame === undefined || frame.base !== undefined || (to > from && frame.hint !== undefined)) break;
    bytes += sumLengths(frame.chunks);
    if (bytes > DELTA_BYTES_MAX && to > from) break;
  }
  return to;
}

function sumLengths(chunks: readonly ChunkItem[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
