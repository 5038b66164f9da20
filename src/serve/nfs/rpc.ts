/** Remote procedure calls: who is asked for what, and the head of the answer. RFC 5531 */
import { XdrError, XdrReader, type XdrWriter } from "./xdr.ts";

const RPC_VERSION = 2;
const CALL = 0;
const REPLY = 1;
const [MSG_ACCEPTED, MSG_DENIED] = [0, 1];
const [RPC_MISMATCH, AUTH_ERROR] = [0, 1];
const AUTH_BYTES_MAX = 400;

/** How a caller says who it is; nothing proves it. §8.2 */
export const AUTH_NONE = 0;
export const AUTH_SYS = 1;

/** Why a call is not done. §9 */
export const ACCEPT = {
  success: 0,
  programUnavailable: 1,
  programMismatch: 2,
  procedureUnavailable: 3,
  garbageArguments: 4,
  systemError: 5,
} as const;

/** Why nobody is let in. §9 */
export const AUTH_STATUS = {
  badCredentials: 1,
  rejectedCredentials: 2,
  badVerifier: 3,
  tooWeak: 5,
} as const;
/** One of its numbers. */
type AuthStatus = (typeof AUTH_STATUS)[keyof typeof AUTH_STATUS];

/** A call, with its arguments unread. */
export interface RpcCall {
  readonly xid: number;
  readonly rpcVersion: number;
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  /** What is wrong with what the caller says it is, whatever it asks for; undefined: nothing. */
  readonly denial: AuthStatus | undefined;
  readonly args: XdrReader;
}

/** The call in a message, or undefined when it is none. Throws XdrError. §9 */
export function readCall(message: Uint8Array): RpcCall | undefined {
  const args = new XdrReader(message);
  const xid = args.uint32();
  if (args.uint32() !== CALL) return undefined;
  const rpcVersion = args.uint32();
  // What another version has here nobody knows.
  if (rpcVersion !== RPC_VERSION)
    return { xid, rpcVersion, program: 0, version: 0, procedure: 0, denial: undefined, args };
  const [program, version, procedure] = [args.uint32(), args.uint32(), args.uint32()];
  return { xid, rpcVersion, program, version, procedure, denial: denialOf(args), args };
}

/** Reads credentials and verifier. What is longer than RPC allows, or than the message, ends the call, not the connection. §8.2 */
function denialOf(args: XdrReader): AuthStatus | undefined {
  let status: AuthStatus = AUTH_STATUS.badCredentials;
  try {
    const flavor = args.uint32();
    args.opaque(AUTH_BYTES_MAX);
    status = AUTH_STATUS.badVerifier;
    args.uint32();
    args.opaque(AUTH_BYTES_MAX);
    return flavor === AUTH_NONE || flavor === AUTH_SYS ? undefined : AUTH_STATUS.rejectedCredentials;
  } catch (error) {
    if (error instanceof XdrError) return status;
    throw error;
  }
}

/** Whether the call is one of the version of RPC that there is. */
export function isKnownRpc({ rpcVersion }: RpcCall): boolean {
  return rpcVersion === RPC_VERSION;
}

/** Begins an answer; with `success`, the results follow. `versions`: the lowest and highest of the program, of programMismatch. */
export function writeAccepted(
  answer: XdrWriter,
  xid: number,
  status: number,
  versions?: readonly [number, number],
): XdrWriter {
  answer.uint32(xid).uint32(REPLY).uint32(MSG_ACCEPTED);
  answer.uint32(AUTH_NONE).uint32(0).uint32(status);
  for (const version of versions ?? []) answer.uint32(version);
  return answer;
}

/** The whole answer to a call of another version of RPC. */
export function writeRpcMismatch(answer: XdrWriter, xid: number): XdrWriter {
  answer.uint32(xid).uint32(REPLY).uint32(MSG_DENIED).uint32(RPC_MISMATCH);
  return answer.uint32(RPC_VERSION).uint32(RPC_VERSION);
}

/** The whole answer to somebody who is not let in. */
export function writeAuthError(answer: XdrWriter, xid: number, status: number): XdrWriter {
  return answer.uint32(xid).uint32(REPLY).uint32(MSG_DENIED).uint32(AUTH_ERROR).uint32(status);
}
