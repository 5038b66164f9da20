/** The programs that a port answers for, and how a message becomes an answer. */
import type { Log } from "../../base/log.ts";
import {
  ACCEPT,
  AUTH_STATUS,
  isKnownRpc,
  readCall,
  writeAccepted,
  writeAuthError,
  writeRpcMismatch,
  type RpcCall,
} from "./rpc.ts";
import { XdrError, XdrWriter, type XdrReader } from "./xdr.ts";

/** Who calls, and what it may take of memory. */
export interface RpcCaller {
  /** The address, as the socket has it. */
  readonly address: string;
  /** The address of this machine that it has reached; "": not known. */
  readonly ownAddress: string;
  readonly transport: "tcp" | "udp";
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Resolves when so many bytes may be held for the answer; what it gives takes them back. Errors: STORE_UNAVAILABLE. */
  readonly room: (bytes: number) => Promise<() => void>;
}

/** Bytes that are sent after the results, and who wants to know when they were; `isSent`: nobody reads them any more. */
export interface RpcTail {
  readonly parts: readonly Uint8Array[];
  readonly release: (isSent: boolean) => void;
}

/** How a procedure ended, for figures and logs, and what belongs to its results besides what it wrote. */
export interface RpcResult {
  readonly status: string;
  readonly tail?: RpcTail;
}

/** What answers one procedure: reads its arguments, and writes its results. Throws XdrError for arguments that are none. */
export interface RpcProcedure {
  readonly name: string;
  readonly run: (args: XdrReader, results: XdrWriter, caller: RpcCaller) => RpcResult | Promise<RpcResult>;
}

/** One version of a program, its procedures by their numbers. */
export interface RpcProgram {
  readonly number: number;
  readonly version: number;
  readonly procedures: readonly (RpcProcedure | undefined)[];
}

/** Counts a call from now on, until what it gives is called. */
export type CountCall = (procedure: string) => (status: string) => void;

/** An answer: a message with room for a record's mark before it, and what follows. */
export interface RpcAnswer {
  readonly head: Buffer;
  readonly tail: RpcTail | undefined;
}

/** Bytes before the message, for its mark. */
const MARK_ROOM = 4;

/** Answers calls of several programs. */
export class RpcPrograms {
  readonly #programs: readonly RpcProgram[];
  readonly #count: CountCall;
  readonly #log: Log;

  constructor(programs: readonly RpcProgram[], count: CountCall, log: Log) {
    this.#programs = programs;
    this.#count = count;
    this.#log = log;
  }

  /** The answer to a message; undefined: it is no call, and whoever sent it speaks something else. Never rejects. */
  async answer(message: Uint8Array, caller: RpcCaller): Promise<RpcAnswer | undefined> {
    const call = callIn(message);
    if (call === undefined) return undefined;
    const answer = new XdrWriter().uint32(0);
    const procedure = this.#find(call, answer);
    if (procedure === undefined) return { head: answer.bytes, tail: undefined };
    const end = this.#count(procedure.name);
    const results = writeAccepted(answer, call.xid, ACCEPT.success);
    try {
      const { status, tail } = await procedure.run(call.args, results, caller);
      end(status);
      return { head: results.bytes, tail };
    } catch (error) {
      results.cut(MARK_ROOM);
      const isGarbage = error instanceof XdrError;
      if (!isGarbage) this.#log.error({ err: error, procedure: procedure.name }, "a call failed");
      end(isGarbage ? "GARBAGE_ARGS" : "SYSTEM_ERR");
      writeAccepted(results, call.xid, isGarbage ? ACCEPT.garbageArguments : ACCEPT.systemError);
      return { head: results.bytes, tail: undefined };
    }
  }

  /** What answers the call, or undefined, and why is written. */
  #find(call: RpcCall, answer: XdrWriter): RpcProcedure | undefined {
    const { xid, program, version, procedure, denial } = call;
    if (!isKnownRpc(call)) {
      writeRpcMismatch(answer, xid);
      return undefined;
    }
    const versions = this.#programs.filter(({ number }) => number === program);
    const found = versions.find((one) => one.version === version);
    if (denial !== undefined) {
      writeAuthError(answer, xid, denial);
    } else if (versions.length === 0) {
      writeAccepted(answer, xid, ACCEPT.programUnavailable);
    } else if (found === undefined) {
      const numbers = versions.map((one) => one.version);
      writeAccepted(answer, xid, ACCEPT.programMismatch, [Math.min(...numbers), Math.max(...numbers)]);
    } else if (found.procedures[procedure] === undefined) {
      writeAccepted(answer, xid, ACCEPT.procedureUnavailable);
    }
    return answer.length === MARK_ROOM ? found?.procedures[procedure] : undefined;
  }
}

/** What somebody hears whose address is not let in, or undefined when the message is no call. */
export function refusalOf(message: Uint8Array): Buffer | undefined {
  const call = callIn(message);
  return call && writeAuthError(new XdrWriter().uint32(0), call.xid, AUTH_STATUS.tooWeak).bytes;
}

function callIn(message: Uint8Array): RpcCall | undefined {
  try {
    return readCall(message);
  } catch {
    return undefined;
  }
}

/** Has results made that may take so many bytes, in room that they keep until they were sent. Errors: those of `room` and `make`. */
export async function inRoom(
  { room }: RpcCaller,
  bytes: number,
  make: () => Promise<void> | void,
): Promise<RpcTail> {
  const leave = await room(bytes);
  try {
    await make();
    return { parts: [], release: leave };
  } catch (error) {
    leave();
    throw error;
  }
}

/** The procedure that every program has, number 0: nothing goes in, nothing comes out. */
export const NULL_PROCEDURE: RpcProcedure = { name: "NULL", run: () => ({ status: "OK" }) };
