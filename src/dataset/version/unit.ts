/** Units: chunks that are fetched and decoded together, and what decoding them takes. docs/format.md §5.1, §7 */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { DECODE_BYTES_MAX, type Codec } from "../../format/frame.ts";
import {
  ELSEWHERE,
  type Plan,
  type PlanDelta,
  type PlanFrame,
  type PlanPlace,
  type PlanSource,
} from "../../format/plan.ts";

/** A chunk (or page) and where its plan says it lies. */
export interface PlacedChunk {
  readonly digest: Digest;
  /** Its length, or undefined of a page: then the frame's end, or the next place in the frame, ends it. */
  readonly bytes: number | undefined;
  readonly plan: Plan;
  readonly place: PlanPlace;
}

/** A piece of a dictionary: of a frame decoded before, or of a base that the reader has itself. */
export type DictionaryPiece =
  | {
      readonly frame: number;
      readonly offset: number;
      readonly bytes: number;
      /** Where it is given, an error can tell whether the damage lies in the frame's own block or in the base's. */
      readonly digest?: Digest;
    }
  | { readonly local: number; readonly bytes: number };

/** The dictionary is `bytes` from `offset` of the pieces' concatenation. */
export interface Dictionary {
  readonly pieces: readonly DictionaryPiece[];
  readonly offset: number;
  readonly bytes: number;
}

/** A frame to decode; bases stand before the frames that need them. */
export interface UnitFrame {
  readonly block: Digest;
  /** 0: the frame is a producer's, and lies in no block yet. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: Codec;
  /** undefined: a page alone in its frame, whose length nobody says. */
  readonly decodedBytes: number | undefined;
  readonly dictionary: Dictionary | undefined;
}

/** A chunk to give, in the order it was added: verified, when it lies in a frame (up to its end: bytes undefined). */
export type UnitChunk =
  | {
      readonly digest: Digest;
      readonly frame: number;
      readonly offset: number;
      readonly bytes: number | undefined;
    }
  | { readonly digest: Digest; readonly local: number };

/** A base that the reader has, and how it finds it. */
export interface LocalBase<L> {
  readonly digest: Digest;
  readonly bytes: number;
  readonly place: L;
}

/** Collects chunks, and the frames that decode them: each frame once, with those of its bases that are not at hand. */
export class UnitBuilder<L> {
  readonly frames: UnitFrame[] = [];
  readonly chunks: UnitChunk[] = [];
  readonly locals: LocalBase<L>[] = [];
  readonly #findLocal: (digest: Digest) => L | undefined;
  readonly #frameIndex = new Map<string, number>();
  readonly #localIndex = new Map<Digest, number>();
  /** Of each frame in `frames`: those that its decoding passes through, itself included. */
  readonly #closures: ReadonlySet<number>[] = [];
  #storedBytes = 0;
  #decodedBytes = 0;

  /** `findLocal` tells which chunks the reader has itself: these are not fetched as bases. */
  constructor(findLocal: (digest: Digest) => L | undefined) {
    this.#findLocal = findLocal;
  }

  /** Bytes of all frames, as stored and as decoded. */
  get storedBytes(): number {
    return this.#storedBytes;
  }
  get decodedBytes(): number {
    return this.#decodedBytes;
  }

  /** Whether the chunk's plan leaves nothing to another that adding it takes. */
  canAdd({ plan, place }: Pick<PlacedChunk, "plan" | "place">): boolean {
    if (plan.base === undefined) return true;
    if (place.frame === ELSEWHERE) return false;
    const sources = plan.frames[place.frame]?.delta;
    return (
      sources === undefined ||
      usedSources(sources).every(
        (source) => this.#findLocal(source.digest) !== undefined || this.canAdd({ plan, place: source }),
      )
    );
  }

  /** Adds a chunk, which canAdd() is true of. Errors: OBJECT_INVALID when its plan contradicts itself or asks for too much. */
  add(chunk: PlacedChunk): void {
    const { plan, place, digest } = chunk;
    const planned = plan.frames[place.frame];
    if (planned === undefined) throw invalid("an item lies in no frame");
    const isPlain = planned.delta === undefined;
    if (isPlain && place.offset !== 0) throw invalid("a plain frame holds one chunk");
    const frame = this.#addFrame(plan, place.frame, isPlain ? chunk.bytes : undefined);
    const bytes = chunk.bytes ?? (isPlain ? undefined : bytesToNext(plan, place));
    const decodedBytes = planned.delta?.decodedBytes ?? bytes ?? 0;
    if (place.offset + (bytes ?? 0) > decodedBytes) throw invalid("a chunk reaches past its frame");
    this.chunks.push({ digest, frame, offset: place.offset, bytes });
  }

  /** Adds a chunk that the reader has itself; false when it has not. */
  addLocal(digest: Digest, bytes: number): boolean {
    const place = this.#findLocal(digest);
    if (place === undefined) return false;
    this.chunks.push({ digest, local: this.#addLocal({ digest, bytes, place }) });
    return true;
  }

  #addFrame(plan: Plan, index: number, plainBytes: number | undefined): number {
    const planned = plan.frames[index];
    if (planned === undefined) throw invalid("a base lies in no frame");
    const key = `${planned.block}:${planned.offset}`;
    const known = this.#frameIndex.get(key);
    const decodedBytes = planned.delta?.decodedBytes ?? plainBytes;
    if (known !== undefined) return this.#agree(known, planned, decodedBytes);
    const dictionary = planned.delta === undefined ? undefined : this.#addDictionary(plan, planned.delta);
    return this.#push(key, planned, decodedBytes, dictionary);
  }

  /** A page's frame is of unknown length until a dictionary names its length. */
  #agree(known: number, planned: PlanFrame, decodedBytes: number | undefined): number {
    const same = must(this.frames[known], "a known frame is in the list");
    const knownBytes = same.decodedBytes ?? decodedBytes;
    if (same.storedBytes !== planned.storedBytes || (decodedBytes ?? knownBytes) !== knownBytes) {
      throw invalid("two items disagree about a frame's length");
    }
    this.frames[known] = { ...same, decodedBytes: knownBytes };
    return known;
  }

  #push(
    key: string,
    planned: PlanFrame,
    decodedBytes: number | undefined,
    dictionary: Dictionary | undefined,
  ): number {
    const { block, offset, storedBytes, codec } = planned;
    const index = this.frames.length;
    const closure = new Set([index]);
    let total = decodedBytes ?? 0;
    for (const piece of dictionary?.pieces ?? []) {
      if (!("frame" in piece)) continue;
      for (const base of this.#closures[piece.frame] ?? []) {
        if (closure.has(base)) continue;
        closure.add(base);
        total += this.frames[base]?.decodedBytes ?? 0;
      }
    }
    if (dictionary !== undefined && total > DECODE_BYTES_MAX) {
      throw invalid(`a frame needs ${total} bytes to be decoded, over ${DECODE_BYTES_MAX}`);
    }
    this.#frameIndex.set(key, index);
    this.#closures.push(closure);
    this.frames.push({ block, offset, storedBytes, codec, decodedBytes, dictionary });
    this.#storedBytes += storedBytes;
    this.#decodedBytes += decodedBytes ?? 0;
    return index;
  }

  /** Only the sources that the range touches count: the rest of the concatenation is not needed. */
  #addDictionary(plan: Plan, delta: PlanDelta): Dictionary {
    const used = usedSources(delta);
    const pieces = used.map((source): DictionaryPiece => {
      const { digest, bytes } = source;
      const place = this.#findLocal(digest);
      if (place !== undefined) return { local: this.#addLocal({ digest, bytes, place }), bytes };
      return this.#addBase(plan, source);
    });
    const skipped = delta.sources.slice(0, used[0] === undefined ? 0 : delta.sources.indexOf(used[0]));
    const skippedBytes = skipped.reduce((sum, { bytes }) => sum + bytes, 0);
    return { pieces, offset: delta.baseOffset - skippedBytes, bytes: delta.baseBytes };
  }

  #addBase(plan: Plan, { frame, offset, bytes, digest }: PlanSource): DictionaryPiece {
    const base = plan.frames[frame];
    if (base?.delta === undefined ? offset !== 0 : offset + bytes > base.delta.decodedBytes) {
      throw invalid("a base reaches past its frame");
    }
    return { frame: this.#addFrame(plan, frame, bytes), offset, bytes, digest };
  }

  #addLocal(base: LocalBase<L>): number {
    const known = this.#localIndex.get(base.digest);
    if (known !== undefined) return known;
    this.#localIndex.set(base.digest, this.locals.length);
    return this.locals.push(base) - 1;
  }
}

/** The sources of which the dictionary has any bytes: neighbours. */
function usedSources({ sources, baseOffset, baseBytes }: PlanDelta): readonly PlanSource[] {
  let at = 0;
  return sources.filter(({ bytes }) => {
    const start = at;
    at += bytes;
    return at > baseOffset && start < baseOffset + baseBytes;
  });
}

/** Bytes up to the next of the plan's items in the same frame; undefined: none follows. */
function bytesToNext(plan: Plan, place: PlanPlace): number | undefined {
  let next: number | undefined;
  for (const { frame, offset } of plan.places) {
    if (frame === place.frame && offset > place.offset && offset < (next ?? Infinity)) next = offset;
  }
  return next === undefined ? undefined : next - place.offset;
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a plan is malformed: ${why}`);
}
