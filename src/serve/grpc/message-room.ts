/** What messages of requests may hold of the hub's memory together. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { KiB } from "../../base/limits.ts";
import { Gate } from "../../store/layers/gate.ts";

/** Smaller messages, which are nearly all, are held back by the limit of streams alone. */
const SMALL_BYTES = 64 * KiB;
/** How long a larger one may take to come: it keeps others out. */
const MESSAGE_MS_MAX = 120_000;
const CALLS_MAX = 256;
const WAITERS_MAX = 4096;

/** The room of all calls, and the time that a message may take to fill its part. */
export class MessageRooms {
  readonly gate: Gate;
  readonly clock: Clock;

  /** `bytesMax`: of all larger messages together. */
  constructor(bytesMax: number, clock: Clock) {
    this.gate = new Gate({ callsMax: CALLS_MAX, bytesMax, waitersMax: WAITERS_MAX });
    this.clock = clock;
  }
}

/** The room of one call, which has one message at a time. */
export class MessageRoom {
  readonly #rooms: MessageRooms;
  readonly #signal: AbortSignal;
  #leave: (() => void) | undefined;
  #isClosed = false;

  /** The signal is the call's: it ends the wait for room. */
  constructor(rooms: MessageRooms, signal: AbortSignal) {
    this.#rooms = rooms;
    this.#signal = signal;
  }

  /**
   * Has a message of this many bytes received once there is room, which is kept until it is released. Errors (ConnectError):
   * DeadlineExceeded when it takes too long to come; the signal's reason; those of Gate and of the task.
   */
  async use<T>(bytes: number, receive: () => Promise<T>): Promise<T> {
    if (bytes <= SMALL_BYTES) return receive();
    await this.#enter(bytes);
    const ended = new AbortController();
    const late = this.#rooms.clock.sleep(MESSAGE_MS_MAX, ended.signal).then(() => {
      throw new ConnectError("a message did not come in time: send smaller ones", Code.DeadlineExceeded);
    });
    try {
      return await Promise.race([receive(), late]);
    } finally {
      late.catch(() => undefined);
      ended.abort();
    }
  }

  /** Gives the room back; nothing when there is none. */
  release(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  /** Gives the room back for good: a message that waits for some gets none. */
  close(): void {
    this.#isClosed = true;
    this.release();
  }

  #enter(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stay = (): Promise<void> => {
        resolve();
        if (this.#isClosed) return Promise.resolve();
        return new Promise((leave) => (this.#leave = leave));
      };
      this.#rooms.gate.run(bytes, stay, this.#signal).catch(reject);
    });
  }
}
