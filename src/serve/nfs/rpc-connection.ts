import type { Socket } from "node:net";
import { MiB } from "../../base/limits.ts";
import { Gate } from "../../store/layers/gate.ts";
import { plainAddress } from "./address-list.ts";
import { RecordReader, recordMark } from "./record-reader.ts";
import { refusalOf, type RpcAnswer, type RpcCaller, type RpcPrograms } from "./rpc-programs.ts";

/** Calls of one connection under way, from their arrival until their answers are sent; no more are read then. */
const CALLS_MAX = 64;
/** Content that answers of one connection hold. */
const HELD_BYTES_MAX = 8 * MiB;
/** How often connections are looked at. */
export const LOOK_MS = 15_000;
/** Looks in a row that find no further answer gone, or the same call unfinished: then a client connects anew, and asks again. */
const STALLED_LOOKS_MAX = 2;
/** Looks in a row that find a connection without a call: ten minutes; of an address that is not let in, soon. */
const IDLE_LOOKS_MAX = 40;
const STRANGER_LOOKS_MAX = 2;

/** What connections share. */
export interface RpcConnectionOptions {
  readonly programs: RpcPrograms;
  /** Room for what the answers of all connections hold. */
  readonly held: Gate;
  /** Whether the address may ask for anything. */
  readonly isAllowed: boolean;
}

/** One client's connection: its calls are answered side by side, each when it is done. */
export class RpcConnection {
  readonly #socket: Socket;
  readonly #options: RpcConnectionOptions;
  readonly #reader = new RecordReader();
  readonly #held = new Gate({ callsMax: CALLS_MAX, bytesMax: HELD_BYTES_MAX, waitersMax: CALLS_MAX });
  readonly #gone = new AbortController();
  readonly #caller: RpcCaller;
  /** Calls that came with others and wait for their turn: what one read of the socket brings. */
  readonly #waiting: Buffer[] = [];
  #underWay = 0;
  /** Answers that the socket was given, and how many of them have left. */
  #given = 0;
  #left = 0;
  /** How it stood at the last look, and how many in a row found a call unfinished, no answer gone, no call at all. */
  #seen = { left: 0, records: 0, isWithin: false };
  #unfinishedLooks = 0;
  #unsentLooks = 0;
  #quietLooks = 0;
  #isCorked = false;
  #isClosing = false;

  constructor(socket: Socket, options: RpcConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { signal } = this.#gone;
    this.#caller = {
      address: plainAddress(socket.remoteAddress ?? ""),
      ownAddress: socket.localAddress ?? "",
      transport: "tcp",
      signal,
      room: async (bytes) => {
        const leaveOwn = await enter(this.#held, bytes, signal);
        try {
          const leave = await enter(options.held, bytes, signal);
          return () => {
            leave();
            leaveOwn();
          };
        } catch (error) {
          leaveOwn();
          throw error;
        }
      },
    };
    socket.on("data", (bytes: Buffer) => {
      this.#receive(bytes);
    });
    socket.once("close", () => {
      this.#gone.abort();
    });
  }

  /** Calls under way. */
  get underWay(): number {
    return this.#underWay + this.#waiting.length;
  }

  /** Takes no more calls, and ends when those under way are answered. */
  close(): void {
    this.#isClosing = true;
    this.#socket.pause();
    if (this.underWay === 0) this.#socket.destroySoon();
  }

  /**
   * Called every LOOK_MS: ends the connection when nothing came of it for long. Bytes of further calls are no sign of life from who
   * takes no answers, nor are single bytes of a call that never ends: both hold memory.
   */
  look(): void {
    const { records, isWithin } = this.#reader;
    const [seen, left] = [this.#seen, this.#left];
    this.#seen = { left, records, isWithin };
    const isQuiet = records === seen.records && this.underWay === 0;
    this.#quietLooks = isQuiet ? this.#quietLooks + 1 : 0;
    // While nothing is read, the rest of a call may have come long since.
    const isUnfinished = isWithin && seen.isWithin && records === seen.records && !this.#socket.isPaused();
    this.#unfinishedLooks = isUnfinished ? this.#unfinishedLooks + 1 : 0;
    this.#unsentLooks = this.#given > left && left === seen.left ? this.#unsentLooks + 1 : 0;
    const quietLooksMax = this.#options.isAllowed ? IDLE_LOOKS_MAX : STRANGER_LOOKS_MAX;
    const stalledLooks = Math.max(this.#unfinishedLooks, this.#unsentLooks);
    if (stalledLooks >= STALLED_LOOKS_MAX || this.#quietLooks >= quietLooksMax) this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    if (!this.#reader.push(bytes, this.#waiting)) {
      this.#socket.destroy();
      return;
    }
    if (this.#options.isAllowed) this.#begin();
    else this.#refuse();
  }

  #refuse(): void {
    const [message] = this.#waiting;
    if (message === undefined) return;
    this.#isClosing = true;
    this.#socket.pause();
    const refusal = refusalOf(message);
    if (refusal !== undefined) this.#send({ head: refusal, tail: undefined }, () => undefined);
    this.#socket.destroySoon();
  }

  #begin(): void {
    if (this.#socket.destroyed) this.#waiting.length = 0;
    while (this.#underWay < CALLS_MAX) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#underWay++;
      void this.#answer(message);
    }
    if (this.#isClosing) {
      if (this.underWay === 0) this.#socket.destroySoon();
    } else if (this.#waiting.length > 0) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  async #answer(message: Buffer): Promise<void> {
    const answer = await this.#options.programs.answer(message, this.#caller);
    const end = (): void => {
      this.#underWay--;
      this.#begin();
    };
    if (answer === undefined) {
      this.#socket.destroy();
      end();
    } else this.#send(answer, end);
  }

  /** Sends an answer; `end` is called when it has left, or never will. */
  #send({ head, tail }: RpcAnswer, end: () => void): void {
    const socket = this.#socket;
    if (!socket.writable) {
      tail?.release(true);
      end();
      return;
    }
    // What is done in one turn of the loop goes out together.
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    const parts = tail?.parts ?? [];
    let bytes = head.byteLength - 4;
    for (const part of parts) bytes += part.byteLength;
    head.writeUInt32BE(recordMark(bytes));
    this.#given++;
    const whenSent = (error?: Error | null): void => {
      this.#left++;
      tail?.release(error === undefined || error === null);
      end();
    };
    const last = parts.at(-1);
    if (last === undefined) {
      socket.write(head, whenSent);
      return;
    }
    socket.write(head);
    for (const part of parts.slice(0, -1)) socket.write(part);
    socket.write(last, whenSent);
  }
}

/** Resolves when there is room in the gate; what it gives leaves it. Errors: those of Gate.run. */
function enter(gate: Gate, bytes: number, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const inside = (): Promise<void> =>
      new Promise((leave) => {
        resolve(leave);
      });
    gate.run(bytes, inside, signal).catch(reject);
  });
}
