/** The deltas that a hub makes of plain frames: the producer that sent them has not the bytes that stood in their place. */
import { must } from "../../base/assert.ts";
import { FRAME_CHUNKS_MAX, type FrameBase } from "../../format/block.ts";
import { DELTA_BYTES_MAX } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { isDamage } from "../damage.ts";
import type { Engine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import { fetchFrames } from "../version/block-ranges.ts";
import { addPlanned } from "../version/planned-chunks.ts";
import { UnitBuilder, type UnitFrame } from "../version/unit.ts";
import {
  chooseBases,
  fitRun,
  isOnItself,
  onlyStrong,
  plainRun,
  sumLengths,
  type BasedRun,
} from "./based-runs.ts";
import { splitDigests } from "./block-packer.ts";
import { encodeRun } from "./encode-run.ts";
import type { IngestFrame, SimilarChunk } from "./ingest.ts";
import type { LocalSession } from "./local-session.ts";

/** Sketches that are looked for before others have their turn. */
const ASKED_AT_ONCE = 256;

/** Makes deltas of frames that were verified. */
export class ArrivingDeltas {
  readonly #engine: Engine;
  readonly #local: LocalSession;

  /** Bases are looked for in the session's domain alone. */
  constructor(engine: Engine, local: LocalSession) {
    this.#engine = engine;
    this.#local = local;
  }

  /**
   * The frames, in order, with runs of plain ones as deltas where these are shorter: on what proposals name, or on what the
   * domain has that is like them. Errors: those of the store.
   */
  async make(frames: readonly IngestFrame[], options: CallOptions): Promise<readonly IngestFrame[]> {
    const chunks = frames.map((frame) => must(frame.chunks[0], "a frame holds a chunk"));
    const found = await this.#similar(frames);
    const similar = this.#local.isUpdate ? found : onlyStrong(found);
    const runs = runsOf(frames).flatMap((run) => chooseBases(chunks, run, similar));
    const deltas = new Map<number, { readonly to: number; readonly frame: IngestFrame }>();
    const group = new TaskGroup(this.#engine.pool.threads);
    try {
      for (const run of runs) {
        if (run.base === undefined) continue;
        await group.add(async () => {
          const fitting = await fitRun(run, (part, base) => this.#canBase(chunks, part, base, options));
          for (const part of fitting) {
            const frame = await this.#delta(frames.slice(part.from, part.to), part, options);
            if (frame !== undefined) deltas.set(part.from, { to: part.to, frame });
          }
        });
      }
      await group.finish();
    } finally {
      await group.settle();
    }
    return withDeltas(frames, deltas);
  }

  async #canBase(
    chunks: readonly ChunkItem[],
    run: BasedRun,
    base: FrameBase,
    options: CallOptions,
  ): Promise<boolean> {
    if (isOnItself(chunks, run, base)) return false;
    // Looking for hundreds of bases takes a while: others have their turns.
    await new Promise(setImmediate);
    const bytes = sumLengths(chunks.slice(run.from, run.to));
    return this.#local.canBase(splitDigests(base.digests), bytes, options);
  }

  /** What each plain frame's chunk resembles. */
  async #similar(frames: readonly IngestFrame[]): Promise<readonly (readonly SimilarChunk[])[]> {
    const similar: (readonly SimilarChunk[])[] = [];
    for (let at = 0; at < frames.length; at += ASKED_AT_ONCE) {
      const sketches = frames
        .slice(at, at + ASKED_AT_ONCE)
        .map(({ base, chunks }) => (base === undefined ? (chunks[0]?.sketch ?? []) : []));
      similar.push(...this.#local.bases.similar(sketches));
      await new Promise(setImmediate);
    }
    return similar;
  }

  /** The run as one delta; undefined when it is not shorter, or cannot be made. */
  async #delta(
    run: readonly IngestFrame[],
    { base, near }: BasedRun,
    options: CallOptions,
  ): Promise<IngestFrame | undefined> {
    if (base === undefined) return undefined;
    const chunks = run.flatMap((frame) => frame.chunks);
    const runBytes = sumLengths(chunks);
    try {
      const bytes = await this.#read(run, base, options);
      const bases = bytes.subarray(0, bytes.byteLength - runBytes);
      const dictionary = bases.subarray(base.offset, base.offset + base.bytes);
      const all = { chunks, bytes: bytes.subarray(bases.byteLength) };
      const [first] = await encodeRun(this.#engine, all, { frame: base, near, dictionary }, options);
      // Copied: what it was made in is as large as the run, and a body's deltas wait for each other.
      return first?.base === undefined ? undefined : { ...first, stored: new Uint8Array(first.stored) };
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  /** The bytes of the base's chunks and then of the run's, decoded together. */
  async #read(run: readonly IngestFrame[], base: FrameBase, options: CallOptions): Promise<Uint8Array> {
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

/** The plain frames: as runs that proposals name, as far as all of their frames came and one delta may hold them, and others. */
function runsOf(frames: readonly IngestFrame[]): BasedRun[] {
  const runs: BasedRun[] = [];
  for (let from = 0; from < frames.length;) {
    const frame = must(frames[from], "the index is within");
    const { proposal } = frame;
    const to = frame.base === undefined ? endOfRun(frames, from, proposal?.frames ?? Infinity) : from + 1;
    if (proposal !== undefined) runs.push({ ...plainRun(from, to), base: proposal.base });
    else if (frame.base === undefined) runs.push(plainRun(from, to));
    from = to;
  }
  return runs;
}

function endOfRun(frames: readonly IngestFrame[], from: number, framesMax: number): number {
  let bytes = 0;
  let to = from;
  for (; to - from < Math.min(framesMax, FRAME_CHUNKS_MAX) && to < frames.length; to++) {
    const frame = frames[to];
    if (frame === undefined || frame.base !== undefined || (to > from && frame.proposal !== undefined)) break;
    bytes += sumLengths(frame.chunks);
    if (bytes > DELTA_BYTES_MAX && to > from) break;
  }
  return Math.max(to, from + 1);
}

function withDeltas(
  frames: readonly IngestFrame[],
  deltas: ReadonlyMap<number, { readonly to: number; readonly frame: IngestFrame }>,
): IngestFrame[] {
  const all: IngestFrame[] = [];
  for (let at = 0; at < frames.length;) {
    const delta = deltas.get(at);
    all.push(delta?.frame ?? must(frames[at], "the index is within"));
    at = delta?.to ?? at + 1;
  }
  return all;
}
