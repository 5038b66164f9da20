/** Drives the source's thread through the segments, slot by slot. */
import { must } from "../../base/assert.ts";
import type { EncodeStage } from "./encode-stage.ts";
import type { ScannedPiece, SegmentFile, SegmentRequest } from "./scan.ts";
import type { SegmentPush } from "./segment-push.ts";
import type { Slot, SlotPool } from "./slots.ts";
import type { Source } from "./source.ts";

/** Fills asked for ahead: the thread finds the next one waiting when it has answered one. */
const FILLS_AHEAD = 2;
/** Files that may wait to be scanned. */
const FILES_WAITING_MAX = 1 << 16;

/** The middle stage: from segments as they are laid to pieces that are encoded. */
export class ScanStage {
  readonly #source: Source;
  readonly #slots: SlotPool;
  readonly #encode: EncodeStage;
  readonly #onScanned: (bytes: number) => void;
  readonly #segments = new Map<number, SegmentPush>();
  #unsent: SegmentRequest[] = [];
  /** Pieces that are looked up and encoded. */
  readonly #working = new Set<Promise<unknown>>();
  #filesWaiting = 0;
  #complete = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void)[] = [];

  /** `onScanned` hears of bytes read. */
  constructor(source: Source, slots: SlotPool, encode: EncodeStage, onScanned: (bytes: number) => void) {
    this.#source = source;
    this.#slots = slots;
    this.#encode = encode;
    this.#onScanned = onScanned;
  }

  /**
   * Adds files of the next segment, or more of the last one that `continues`; waits while too much is ahead. The segment's
   * events tell what comes of it.
   */
  async add(segment: SegmentPush, files: readonly SegmentFile[], continues: boolean): Promise<void> {
    while (this.#filesWaiting > FILES_WAITING_MAX && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error as Error;
    this.#segments.set(segment.id, segment);
    const request = files.map(({ path, size }) => ({ path, size }));
    this.#unsent.push({ id: segment.id, files: request, continues });
    this.#filesWaiting += files.length;
    this.#notify();
  }

  /** No segment follows. */
  complete(): void {
    this.#complete = true;
    this.#notify();
  }

  /** Ends everything: segments' events and add() reject with `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const segment of this.#segments.values()) segment.events.fail(error);
    this.#slots.fail(error);
    this.#notify();
  }

  /** Runs until every segment is scanned and encoded. Errors: the source's. */
  async run(): Promise<void> {
    const fills: Promise<void>[] = [];
    try {
      while (this.#failure === undefined && !(this.#complete && this.#segments.size === 0)) {
        if (this.#segments.size === 0) await this.#change();
        else {
          const fill = this.#fill(await this.#slots.acquire());
          fill.catch(() => undefined); // it is awaited, but perhaps not before it fails
          fills.push(fill);
          if (fills.length >= FILLS_AHEAD) await fills.shift();
        }
      }
      await Promise.all(fills);
    } catch (error) {
      this.fail(error);
      await Promise.allSettled(fills);
      throw error;
    } finally {
      while (this.#working.size > 0) await Promise.all(this.#working);
    }
  }

  async #fill(slot: Slot): Promise<void> {
    const segments = this.#unsent;
    this.#unsent = [];
    let pieces: readonly ScannedPiece[];
    try {
      pieces = await this.#source.fill(segments, slot.start, slot.end);
    } catch (error) {
      this.#slots.release(slot);
      throw error;
    }
    const taken = pieces.map((piece) => ({
      piece,
      segment: must(this.#segments.get(piece.segment), "a piece belongs to a segment that was added"),
    }));
    const results = this.#process(taken);
    // The storing stage hears of a failure through the pieces.
    const work = results.catch(() => undefined).finally(() => this.#working.delete(work));
    this.#working.add(work);
    let held = taken.filter(({ piece }) => !piece.restarted).length;
    const release = (): void => {
      if (--held === 0) this.#slots.release(slot);
    };
    if (held === 0) this.#slots.release(slot);
    for (const [index, { piece, segment }] of taken.entries()) {
      const result = results.then((all) => must(all[index], "each piece has a result"));
      result.catch(() => undefined);
      const event = { kind: "piece", piece, result, release } as const;
      await segment.events.send(piece.restarted ? { kind: "restart" } : event);
      this.#filesWaiting -= piece.files.length;
      if (piece.done) this.#finish(segment);
      this.#notify();
      this.#onScanned((piece.chunkEnds.at(-1) ?? piece.start) - piece.start);
    }
  }

  async #process(
    taken: readonly { piece: ScannedPiece; segment: SegmentPush }[],
  ): ReturnType<EncodeStage["encode"]> {
    const plans = await Promise.all(
      taken.map(({ piece, segment }) => {
        if (piece.restarted) segment.restart();
        return segment.plan(piece);
      }),
    );
    return this.#encode.encode(plans);
  }

  #finish(segment: SegmentPush): void {
    segment.events.close();
    this.#segments.delete(segment.id);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
