/** A client of remote procedure calls, for tests and benches: as many calls at once as are made. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { recordMark } from "../record-reader.ts";
import { XdrReader, XdrWriter } from "../xdr.ts";

/** What a server said to a call. */
export interface RpcReply {
  readonly isAccepted: boolean;
  /** accept_stat, or reject_stat. */
  readonly status: number;
  /** What follows. */
  readonly results: XdrReader;
}

/** One connection. */
export class RpcClient {
  readonly socket: Socket;
  readonly #waiting = new Map<
    number,
    { resolve: (message: Buffer) => void; reject: (error: Error) => void }
  >();
  #xid = 1;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #wanted = 4;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#pieces.push(bytes);
      this.#bytes += bytes.byteLength;
      while (this.#bytes >= this.#wanted) this.#take();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the connection was closed"));
      this.#waiting.clear();
    });
  }

  static async open(port: number, host = "127.0.0.1"): Promise<RpcClient> {
    const socket = connect({ port, host, noDelay: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new RpcClient(socket);
  }

  /** The bytes of a call, as a record of one fragment. */
  static record(
    xid: number,
    call: readonly [program: number, version: number, procedure: number],
    args: XdrWriter,
  ): Buffer {
    const message = new XdrWriter().uint32(0).uint32(xid).uint32(0).uint32(2);
    for (const number of call) message.uint32(number);
    message.uint32(0).uint32(0).uint32(0).uint32(0).fixed(args.bytes);
    message.setUint32(0, recordMark(message.length - 4));
    return message.bytes;
  }

  /** Calls, and gives what the server says, whatever that is. Rejects when the connection closes. */
  async call(
    call: readonly [program: number, version: number, procedure: number],
    args: XdrWriter,
  ): Promise<RpcReply> {
    if (this.socket.destroyed) throw new Error("the connection was closed");
    const xid = this.#xid++;
    const answered = this.answer(xid);
    this.socket.write(RpcClient.record(xid, call, args));
    return answered;
  }

  /** The answer to a call that somebody wrote to the socket. */
  async answer(xid: number): Promise<RpcReply> {
    const message = await new Promise<Buffer>((resolve, reject) => {
      this.#waiting.set(xid, { resolve, reject });
    });
    const results = new XdrReader(message);
    assert.deepEqual([results.uint32(), results.uint32()], [xid, 1]);
    const isAccepted = results.uint32() === 0;
    if (isAccepted) assert.deepEqual([results.uint32(), results.uint32()], [0, 0]);
    return { isAccepted, status: results.uint32(), results };
  }

  close(): void {
    this.socket.destroy();
  }

  #take(): void {
    const [first = Buffer.alloc(0)] = this.#pieces;
    const all = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [all];
    const mark = all.readUInt32BE(0);
    const end = 4 + (mark & 0x7fff_ffff);
    assert.ok(mark >= 0x8000_0000, "a record of one fragment");
    if (all.byteLength < end) {
      this.#wanted = end;
      return;
    }
    const message = all.subarray(4, end);
    const rest = all.subarray(end);
    this.#pieces = rest.byteLength === 0 ? [] : [rest];
    this.#bytes = rest.byteLength;
    this.#wanted = 4;
    const xid = message.readUInt32BE(0);
    const waiting = this.#waiting.get(xid);
    this.#waiting.delete(xid);
    waiting?.resolve(message);
  }
}
