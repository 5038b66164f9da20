/** Drives the source's thread through the segments, slot by slot. */
import { must } from "../../base/assert.ts";
import type { EncodeStage } from "./encode-stage.ts";
import type { ScannedPiece } from "./scan.ts";
import type { SegmentPush } from "./segment-push.ts";
import type { Slot, SlotPool } from "./slots.ts";
import type { Source } from "./source.ts";

/** Fills asked for ahead: the thread finds the next one waiting when it has answered one. */
const FILLS_AHEAD = 2;
/** Files that may wait to be scanned. */
const FILES_WAITING_MAX = 1 << 16;

export class ScanStage {
  readonly #source: Source;
  readonly #slots: SlotPool;
  readonly #encode: EncodeStage;
  readonly #onScanned: (bytes: number) => void;
  readonly #segments = new Map<number, SegmentPush>();
  #unsent: SegmentPush[] = [];
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

  /** Adds the next segment; waits while too much is ahead. Its events tell what comes of it. */
  async add(segment: SegmentPush): Promise<void> {
    while (this.#filesWaiting > FILES_WAITING_MAX && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error as Error;
    this.#segments.set(segment.id, segment);
    this.#unsent.push(segment);
    this.#filesWaiting += segment.files.length;
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

  /** Runs until every segment is scanned. Errors: the source's. */
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
    }
  }

  async #fill(slot: Slot): Promise<void> {
    const segments = this.#unsent.map(({ id, files }) => ({
      id,
      files: files.map(({ path, size }) => ({ path, size })),
    }));
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
    results.catch(() => undefined); // the storing stage hears of it through the pieces
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
      if (piece.done) this.#finish(segment);
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
    this.#filesWaiting -= segment.files.length;
    this.#notify();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
