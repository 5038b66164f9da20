/** What a hub has under way for those who read files and lists: bounded together for all interfaces, and shared among clients. */
import type { Clock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import { KiB, MiB } from "../base/limits.ts";
import { networkOf } from "./client-network.ts";
import { closing, isClosed } from "./closing.ts";
import { FairGate, type Occupant } from "./fair-gate.ts";
import type { HttpRequest, HttpResponse } from "./http-handler.ts";

/** So much is an answer that is sent whole at most. */
export const WHOLE_BYTES_MAX = 64 * KiB;

/** What a hub has under way at most. */
export interface AnswerLimits {
  /** Answers of WHOLE_BYTES_MAX at most, and those of which nobody knows yet what they will be. */
  readonly wholeMax: number;
  /** Answers that are sent piece by piece. */
  readonly streamsMax: number;
  /** Those of them that are compressed: each takes some MiB. */
  readonly codersMax: number;
  /** Answers of one kind that wait, and how long in milliseconds. */
  readonly waitersMax: number;
  readonly waitMs: number;
  /** How long a client may take nothing, in milliseconds, and how few bytes a second, while others wait for its place. */
  readonly idleMs: number;
  readonly bytesPerSecond: number;
}

/** An answer that is sent piece by piece takes half a MiB for pieces, pages and buffers: together a quarter of the memory. */
const STREAM_SHARE_BYTES = 2 * MiB;
const WHOLE_SHARE_BYTES = 512 * KiB;
const STREAMS_MIN = 16;
/** Pieces that cost processor time are made for two answers at a time: all else gets its turn in between. */
const TURNS_MAX = 2;
/** A turn that takes longer waits for something, and the next one begins meanwhile. */
const TURN_MS = 10;

/** The limits of a hub that has so much memory for buffers and caches. */
export function answerLimitsOf(memoryBytes: number): AnswerLimits {
  return {
    wholeMax: Math.max(STREAMS_MIN, Math.floor(memoryBytes / WHOLE_SHARE_BYTES)),
    streamsMax: Math.max(STREAMS_MIN, Math.floor(memoryBytes / STREAM_SHARE_BYTES)),
    codersMax: 24,
    waitersMax: 1024,
    waitMs: 30_000,
    idleMs: 4_000,
    bytesPerSecond: 256 * KiB,
  };
}

interface Gates {
  readonly limits: AnswerLimits;
  readonly clock: Clock;
  readonly whole: FairGate;
  readonly streams: FairGate;
  readonly coders: FairGate;
  readonly turns: FairGate;
}

/** Lets answers be made, as many at a time as there is room for. */
export class Answers {
  readonly #gates: Gates;

  constructor(limits: AnswerLimits, clock: Clock) {
    const gateOf = (placesMax: number): FairGate => new FairGate({ ...limits, placesMax }, clock);
    const turns = { placesMax: TURNS_MAX, waitersMax: Infinity, waitMs: Infinity };
    this.#gates = {
      limits,
      clock,
      whole: gateOf(limits.wholeMax),
      streams: gateOf(limits.streamsMax),
      coders: gateOf(limits.codersMax),
      turns: new FairGate(turns, clock),
    };
  }

  /**
   * Has an answer made once there is room, which it keeps until the client has it or has gone. Errors: HUB_BUSY when too many wait;
   * those of `make`.
   */
  async run(
    request: HttpRequest,
    response: HttpResponse,
    make: (answer: Answer) => Promise<void>,
  ): Promise<void> {
    const answer = new Answer(this.#gates, networkOf(request.socket.remoteAddress ?? ""), response);
    try {
      await answer.enter();
      await make(answer);
      answer.leaveWhenTaken();
    } catch (error) {
      answer.leave();
      throw error;
    }
  }
}

/** An answer under way. It takes a place of one kind after another: first of the whole ones. */
export class Answer implements Occupant {
  readonly who: string;
  readonly #gates: Gates;
  readonly #response: HttpResponse;
  #closing: AbortSignal | undefined;
  #leavePlace: (() => void) | undefined;
  #leaveCoders: (() => void) | undefined;
  /** Until when the client should have taken what it was given; undefined: it waits for us. */
  #dueMs: number | undefined;

  /** Made by Answers. */
  constructor(gates: Gates, who: string, response: HttpResponse) {
    this.#gates = gates;
    this.who = who;
    this.#response = response;
  }

  /** Aborts when the client has gone, or has it all. Made when it is asked for first: most answers are given without it. */
  get signal(): AbortSignal {
    return (this.#closing ??= closing(this.#response));
  }

  /** Takes a place. Errors: HUB_BUSY; CANCELLED when the client goes. */
  async enter(): Promise<void> {
    this.#leavePlace = await this.#enter(this.#gates.whole);
  }

  /** Before the first piece of an answer that is sent in pieces: waits for a place among those. Errors: HUB_BUSY; CANCELLED when the client goes. */
  async stream(): Promise<void> {
    this.#leavePlace?.();
    this.#leavePlace = undefined;
    this.#leavePlace = await this.#enter(this.#gates.streams);
  }

  /** Whether a coder is to be had at once. */
  get mayCode(): boolean {
    return this.#gates.coders.isFree(this.who);
  }

  /** Before an answer is compressed: waits for a coder. Errors: HUB_BUSY; CANCELLED when the client goes. */
  async takeCoder(): Promise<void> {
    this.#leaveCoders = await this.#enter(this.#gates.coders);
  }

  /** The pieces as they are sent: who does not take them may be ended. */
  async *sent(pieces: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array | string> {
    for await (const piece of pieces) {
      this.#give(piece.length);
      yield piece;
      this.#dueMs = undefined;
    }
  }

  /**
   * The pieces, as long as the client is there: for what is made of them by something that may give nothing for long, as a compressor
   * does, so that no write tells that the client has gone. Errors: those of `pieces`; CANCELLED.
   */
  async *wanted<T>(pieces: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const piece of pieces) {
      if (isClosed(this.#response)) throw new AetherError("CANCELLED", "the client has gone");
      yield piece;
    }
  }

  /** Pieces that cost processor time, each made in a turn. Errors: those of `pieces`; CANCELLED when the client goes. */
  async *inTurns<T>(pieces: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = pieces[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.turn(() => iterator.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** What the task gives, done in a turn. Errors: those of the task; CANCELLED when the client goes. */
  async turn<T>(task: () => Promise<T>): Promise<T> {
    const { turns, clock } = this.#gates;
    const leave = await this.#enter(turns, { who: this.who, idleMs: () => 0, end: () => undefined });
    const over = new AbortController();
    clock.sleep(TURN_MS, over.signal).then(leave, leave);
    try {
      return await task();
    } finally {
      // Not before others had theirs: what comes next would else follow at once.
      setImmediate(() => {
        over.abort();
      });
    }
  }

  idleMs(nowMs: number): number {
    return this.#dueMs === undefined ? 0 : Math.max(0, nowMs - this.#dueMs);
  }

  end(): void {
    this.#response.destroy();
  }

  /** Once all is sent: gives the places back when the client has it. */
  leaveWhenTaken(): void {
    const response = this.#response;
    if (isClosed(response)) {
      this.leave();
      return;
    }
    this.#give(WHOLE_BYTES_MAX);
    response.once("close", () => {
      this.leave();
    });
  }

  /** Gives the places back. */
  leave(): void {
    this.#leaveCoders?.();
    this.#leavePlace?.();
    this.#leaveCoders = this.#leavePlace = undefined;
  }

  #give(bytes: number): void {
    const { limits, clock } = this.#gates;
    this.#dueMs = clock.elapsedMs() + limits.idleMs + (bytes / limits.bytesPerSecond) * 1000;
  }

  async #enter(gate: FairGate, occupant: Occupant = this): Promise<() => void> {
    const leave = isClosed(this.#response) ? undefined : gate.tryEnter(occupant);
    if (leave !== undefined) return leave;
    return gate.enter(occupant, this.signal);
  }
}
