import type { Socket } from "node:net";
import { MiB } from "../../base/limits.ts";
import { Gate } from "../../store/layers/gate.ts";
import { RecordReader, recordMark } from "./record-reader.ts";
import { refusalOf, type RpcAnswer, type RpcCaller, type RpcPrograms } from "./rpc-programs.ts";

/** Calls of one connection under way, from their arrival until their answers are sent; no more are read then. */
const CALLS_MAX = 64;
/** Content that answers of one connection hold. */
const HELD_BYTES_MAX = 8 * MiB;
/** How long a client may take nothing of an answer, or leave a call unfinished. It connects anew and asks again. */
const STALL_MS = 15_000;
/** After so many times STALL_MS without a call, a connection is ended: ten minutes. */
const IDLE_ROUNDS_MAX = 40;

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
  #idleRounds = 0;
  #isCorked = false;
  #isClosing = false;

  constructor(socket: Socket, options: RpcConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { signal } = this.#gone;
    this.#caller = {
      address: socket.remoteAddress ?? "",
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
    socket.on("timeout", () => {
      this.#lookAtStill();
    });
    socket.once("close", () => {
      this.#gone.abort();
    });
    socket.setTimeout(STALL_MS);
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

  #receive(bytes: Buffer): void {
    if (this.#isClosing) return;
    this.#idleRounds = 0;
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
    const whenSent = (error?: Error | null): void => {
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

  /** Nothing went either way for a while. */
  #lookAtStill(): void {
    const isStalled = this.#socket.writableLength > 0 || this.#reader.isWithin;
    const isIdle = this.underWay === 0 && ++this.#idleRounds >= IDLE_ROUNDS_MAX;
    if (isStalled || isIdle) this.#socket.destroy();
    else this.#socket.setTimeout(STALL_MS);
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
