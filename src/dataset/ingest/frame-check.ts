/** Frames as producers send them, held against what they say of themselves. docs/format.md §5.1 */
import { copyBytes } from "../../base/bytes.ts";
import { must } from "../../base/assert.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { checkFrameInfo, type FrameBase, type FrameInfo } from "../../format/block.ts";
import { DIGEST_BYTES, digestFromBytes, formatDigest, type Digest } from "../../format/digest.ts";
import { CODECS, DECODE_BYTES_MAX, DELTA_BASES_MAX, DELTA_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import { fetchFrames } from "../version/block-ranges.ts";
import { addPlanned } from "../version/planned-chunks.ts";
import { UnitBuilder, type UnitFrame } from "../version/unit.ts";
import { unpackSketches, type Sketch } from "../workers/sketch.ts";
import { PLAIN_FRAME_FIELDS } from "../workers/verify-task.ts";
import { isOnItself } from "./based-runs.ts";
import { splitDigests } from "./block-packer.ts";
import type { IngestFrame } from "./ingest.ts";
import type { LocalSession } from "./local-session.ts";
import {
  BODY_DECODED_BYTES_MAX,
  BODY_FRAMES_MAX,
  type ReceivedBase,
  type ReceivedFrame,
} from "./sessions.ts";

/** What is decoded in one task: little enough that the sessions take turns. */
const TASK_BYTES = 2 * MiB;
/** What the bases of one task's frames have in memory, stored and decoded. */
const BASES_BYTES_MAX = 32 * MiB;

/** What frames are looked for in: a session, or whatever else knows a domain's chunks. */
type KnownChunks = Pick<LocalSession, "find" | "canBase" | "planOf">;

/** Checks frames in the engine's threads. */
export class FrameCheck {
  readonly #engine: Engine;
  readonly #local: KnownChunks;

  /** Bases are looked for in `local` alone. */
  constructor(engine: Engine, local: KnownChunks) {
    this.#engine = engine;
    this.#local = local;
  }

  /**
   * The frames, in order, once each was decoded and all its chunks found to have their digests. Frames whose bytes lie in
   * a shared buffer are not copied. Errors: those of HubSession.putFrames.
   */
  async check(received: readonly ReceivedFrame[], options: CallOptions): Promise<readonly IngestFrame[]> {
    if (received.length > BODY_FRAMES_MAX) {
      throw new AetherError("LIMIT_EXCEEDED", `a body has at most ${BODY_FRAMES_MAX} frames`);
    }
    const frames: IngestFrame[] = [];
    for (const frame of shared(received)) {
      // Looking for hundreds of bases takes a while: others have their turns.
      if (frame.base !== undefined || frame.proposal !== undefined) await new Promise(setImmediate);
      frames.push(this.#checkForm(frame));
    }
    const decodedBytes = frames.reduce((sum, frame) => sum + decodedBytesOf(frame), 0);
    if (decodedBytes > BODY_DECODED_BYTES_MAX) {
      const limit = `the frames of one body decode to at most ${BODY_DECODED_BYTES_MAX} bytes`;
      throw new AetherError("LIMIT_EXCEEDED", `${limit}: send fewer`);
    }
    for (const frame of frames) await this.#checkCost(frame, options);
    const plain = groups(frames.filter((frame) => frame.base === undefined));
    const deltas = groups(frames.filter((frame) => frame.base !== undefined));
    const sketches = new Map<IngestFrame, readonly Sketch[]>();
    const take = async (group: readonly IngestFrame[], verified: Promise<Sketch[]>): Promise<void> => {
      const all = await verified;
      for (const frame of group) sketches.set(frame, all.splice(0, frame.chunks.length));
    };
    await this.#runAll([
      ...plain.map((group) => () => take(group, this.#verifyPlain(group, options))),
      ...deltas.map((group) => () => take(group, this.#verifyDeltas(group, options))),
    ]);
    return frames.map((frame) => {
      const chunks = frame.chunks.map((chunk, at) => ({ ...chunk, sketch: sketches.get(frame)?.[at] }));
      return { ...frame, chunks };
    });
  }

  /** As many at a time as there are threads. */
  async #runAll(tasks: readonly (() => Promise<void>)[]): Promise<void> {
    const group = new TaskGroup(this.#engine.pool.threads);
    try {
      for (const task of tasks) await group.add(task);
      await group.finish();
    } finally {
      await group.settle();
    }
  }

  #checkForm(received: ReceivedFrame): IngestFrame {
    const { codec, digests, lengths, stored, base, proposal } = received;
    checkNumbers(lengths);
    const deltaBase = base && this.#baseOf(base);
    checkFrame({ codec, storedBytes: stored.byteLength, digests, lengths, base: deltaBase });
    const chunks = lengths.map((length, index) => ({
      digest: digestFromBytes(digests, index * DIGEST_BYTES),
      length,
    }));
    if (deltaBase !== undefined && isOnItself(chunks, { from: 0, to: chunks.length }, deltaBase)) {
      throw new AetherError("OBJECT_INVALID", "a delta frame lies on a chunk that it holds");
    }
    if (codec === CODECS.delta || proposal === undefined) return { codec, chunks, stored, base: deltaBase };
    const proposedBase = this.#proposedBase(proposal.base, lengths);
    return {
      codec,
      chunks,
      stored,
      base: undefined,
      proposal: proposedBase && { base: proposedBase, frames: proposal.frames },
    };
  }

  /** Before anything is decoded: what a frame takes to decode is the producer's choice. */
  async #checkCost(frame: IngestFrame, options: CallOptions): Promise<void> {
    if (frame.base === undefined) return;
    await new Promise(setImmediate);
    const bases = splitDigests(frame.base.digests);
    if (await this.#local.canBase(bases, decodedBytesOf(frame), options)) return;
    throw tooMuch("its bases are damaged, or take more");
  }

  /** Of its own memory: it is written when the block ends, and the frame's memory is used again by then. */
  #baseOf(base: ReceivedBase): FrameBase {
    checkNumbers([base.offset, base.bytes]);
    const count = base.digests.byteLength / DIGEST_BYTES;
    if (!Number.isInteger(count) || count === 0 || count > DELTA_BASES_MAX) {
      throw new AetherError("OBJECT_INVALID", `a delta frame has from 1 to ${DELTA_BASES_MAX} bases`);
    }
    const lengths = splitDigests(base.digests).map((digest) => {
      const location = this.#local.find(digest);
      if (location !== undefined) return location.chunkBytes;
      throw new AetherError("OBJECT_MISSING", `a base is not there: ${formatDigest(digest)}`, {
        data: { digest: formatDigest(digest) },
      });
    });
    return { ...base, digests: new Uint8Array(base.digests), lengths };
  }

  /** What a plain frame may be encoded against; undefined when that is not there (any more). */
  #proposedBase(base: ReceivedBase, lengths: readonly number[]): FrameBase | undefined {
    let found: FrameBase;
    try {
      found = this.#baseOf(base);
    } catch (error) {
      if (codeOf(error) === "OBJECT_MISSING") return undefined;
      throw error;
    }
    const digests = found.digests.subarray(0, DIGEST_BYTES);
    checkFrame({ codec: CODECS.delta, storedBytes: 1, digests, lengths: [1], base: found });
    return sum(lengths) > DELTA_BYTES_MAX ? undefined : found;
  }

  /** Gives the chunks' sketches, as the next one does. */
  async #verifyPlain(frames: readonly IngestFrame[], { signal }: CallOptions): Promise<Sketch[]> {
    const numbers = new Uint32Array(frames.length * PLAIN_FRAME_FIELDS);
    const digests = new Uint8Array(frames.length * DIGEST_BYTES);
    for (const [index, { codec, stored, chunks }] of frames.entries()) {
      const chunk = must(chunks[0], "a plain frame holds one chunk");
      numbers.set([codec, stored.byteOffset, stored.byteLength, chunk.length], index * PLAIN_FRAME_FIELDS);
      digests.set(Buffer.from(chunk.digest, "hex"), index * DIGEST_BYTES);
    }
    const memory = must(frames[0], "a group has a frame").stored.buffer;
    const transfer = [numbers.buffer, digests.buffer];
    const input = { memory, frames: numbers, digests };
    return unpackSketches(await this.#engine.pool.run("verifyPlain", input, { transfer, signal }));
  }

  /** Bases are fetched as a reader would; each delta frame is decoded after them. */
  async #verifyDeltas(group: readonly IngestFrame[], options: CallOptions): Promise<Sketch[]> {
    const unit = new UnitBuilder<never>(() => undefined);
    const dictionaries: { first: number; end: number }[] = [];
    for (const { base } of group) {
      const { digests, lengths } = must(base, "a delta frame has a base");
      const plan = await this.#local.planOf(splitDigests(digests), options);
      const first = unit.chunks.length;
      const bases = splitDigests(digests).map((digest, index) => ({ digest, length: lengths[index] ?? 0 }));
      addPlanned(unit, plan, bases);
      dictionaries.push({ first, end: unit.chunks.length });
    }
    if (unit.storedBytes + unit.decodedBytes > BASES_BYTES_MAX) return this.#verifyHalves(group, options);
    const fetched = await fetchFrames(this.#engine.store.blocks, unit.frames, options);
    const frames: UnitFrame[] = [...unit.frames];
    const chunks: { digest: Digest; frame: number; offset: number; bytes: number }[] = [];
    for (const [index, frame] of group.entries()) {
      const { first, end } = must(dictionaries[index], "a dictionary each");
      const pieces = unit.chunks.slice(first, end).map((chunk) => {
        if ("local" in chunk) throw new AetherError("INTERNAL", "no base is at hand");
        return { frame: chunk.frame, offset: chunk.offset, bytes: must(chunk.bytes, "its length was given") };
      });
      const { offset, bytes } = must(frame.base, "a delta frame has a base");
      let at = 0;
      for (const { digest, length } of frame.chunks) {
        chunks.push({ digest, frame: frames.length, offset: at, bytes: length });
        at += length;
      }
      const { codec, stored } = frame;
      const dictionary = { pieces, offset, bytes };
      const block = must(unit.frames[0], "a base lies in a frame").block;
      frames.push({ block, offset: 0, storedBytes: stored.byteLength, codec, decodedBytes: at, dictionary });
    }
    const stored = [...fetched.stored, ...group.map((frame) => frame.stored)];
    const transfer = fetched.ranges.map((range) => range.buffer);
    const input = { frames, chunks, stored, locals: [], sketched: chunks.length - unit.chunks.length };
    return unpackSketches(
      await this.#engine.pool.run("verifyUnit", input, { transfer, signal: options.signal }),
    );
  }

  /** Frames of few bytes may lie on many: these are not all in memory at once. */
  async #verifyHalves(group: readonly IngestFrame[], options: CallOptions): Promise<Sketch[]> {
    if (group.length === 1) throw tooMuch("its bases lie in too many frames");
    const middle = group.length >>> 1;
    const first = await this.#verifyDeltas(group.slice(0, middle), options);
    return [...first, ...(await this.#verifyDeltas(group.slice(middle), options))];
  }
}

function tooMuch(why: string): AetherError {
  const limits = `${DEPTH_MAX} steps and ${DECODE_BYTES_MAX} bytes`;
  return new AetherError("OBJECT_INVALID", `a delta frame decodes within ${limits}, and ${why}`);
}

function checkNumbers(numbers: readonly number[]): void {
  if (numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) return;
  throw new AetherError("OBJECT_INVALID", "a frame's lengths and offsets are whole numbers");
}

/** What its depth and decoding come to is told when the frame is packed. Errors: OBJECT_INVALID. */
function checkFrame(frame: Omit<FrameInfo, "depth" | "decodeBytes" | "isPage">): void {
  const isDelta = frame.codec === CODECS.delta;
  const decodeBytes = isDelta ? sum(frame.lengths) : 0;
  checkFrameInfo({ ...frame, depth: isDelta ? 1 : 0, decodeBytes, isPage: false });
}

/** The frames with their bytes in one shared buffer, where threads see them. */
function shared(frames: readonly ReceivedFrame[]): readonly ReceivedFrame[] {
  const buffer = frames[0]?.stored.buffer;
  const isShared =
    buffer instanceof SharedArrayBuffer && frames.every((frame) => frame.stored.buffer === buffer);
  if (isShared) return frames;
  const memory = new Uint8Array(
    new SharedArrayBuffer(frames.reduce((all, frame) => all + frame.stored.byteLength, 0)),
  );
  let end = 0;
  return frames.map((frame) => {
    copyBytes(frame.stored, memory, end);
    end += frame.stored.byteLength;
    return { ...frame, stored: memory.subarray(end - frame.stored.byteLength, end) };
  });
}

/** Neighbours that decode to about TASK_BYTES together, or have as many bytes of bases. */
function groups(frames: readonly IngestFrame[]): IngestFrame[][] {
  const all: IngestFrame[][] = [];
  let bytes = TASK_BYTES;
  for (const frame of frames) {
    if (bytes >= TASK_BYTES) {
      all.push([]);
      bytes = 0;
    }
    must(all.at(-1), "a group was begun").push(frame);
    bytes += Math.max(decodedBytesOf(frame), sum(frame.base?.lengths ?? []));
  }
  return all;
}

function decodedBytesOf(frame: IngestFrame): number {
  return sum(frame.chunks.map((chunk) => chunk.length));
}

function sum(lengths: readonly number[]): number {
  return lengths.reduce((all, length) => all + length, 0);
}
