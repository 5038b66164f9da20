/**
 * Mounting as somebody who is not root: the program fusermount3 may, and hands the device over a socket (SCM_RIGHTS, unix(7)). Node
 * has no call for that; the C library's are called through `node:ffi`, where a Node has it.
 */
import { closeSync } from "node:fs";
import { createRequire } from "node:module";
import type * as Ffi from "node:ffi";
import { AetherError } from "../../base/errors.ts";
import type { MountOptions } from "./mount.ts";
import { runProgram } from "./program.ts";

/** Of socketpair(2) and recvmsg(2) in Linux. */
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** `struct msghdr` and `struct cmsghdr` where pointers and size_t have 64 bits. */
const MSGHDR_BYTES = 56;
const CONTROL_BYTES = 64;

/** What is called of the C library. */
interface Calls {
  readonly socketpair: (domain: number, type: number, protocol: number, pair: Buffer) => number;
  readonly recvmsg: (fd: number, message: Buffer, flags: number) => bigint;
  readonly address: (bytes: Buffer) => bigint;
}

function loadCalls(): Calls {
  try {
    const ffi = createRequire(import.meta.url)("node:ffi") as typeof Ffi;
    const { functions } = ffi.dlopen(null, {
      socketpair: { arguments: ["int32", "int32", "int32", "buffer"], return: "int32" },
      recvmsg: { arguments: ["int32", "buffer", "int32"], return: "int64" },
    });
    return { ...functions, address: (bytes) => ffi.getRawPointer(bytes) };
  } catch (cause) {
    const text =
      "this Node has no node:ffi, without which only root can mount: AetherFS brings one that has it";
    throw new AetherError("FEATURE_UNSUPPORTED", text, { cause });
  }
}

/** Mounts through fusermount3, and gives the descriptor. Errors: MOUNT_FAILED, FEATURE_UNSUPPORTED. */
export async function mountWithHelper({ folder, source, allowOther, noexec }: MountOptions): Promise<number> {
  const calls = loadCalls();
  const pair = Buffer.alloc(8);
  if (calls.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) {
    throw new AetherError("MOUNT_FAILED", "no pair of sockets is to be had for fusermount3");
  }
  const [ours, theirs] = [pair.readInt32LE(0), pair.readInt32LE(4)];
  // A comma or backslash would end the option.
  const named = source.replaceAll(/[\\,]/g, "\\$&");
  const words = ["ro", "nosuid", "nodev", "default_permissions", `fsname=${named}`, "subtype=aetherfs"];
  if (allowOther) words.push("allow_other");
  if (noexec) words.push("noexec");
  try {
    const helping = runProgram("fusermount3", ["-o", words.join(","), "--", folder], {
      passed: [theirs],
      environment: { _FUSE_COMMFD: "3" },
    });
    closeSync(theirs);
    const { code, said } = await helping;
    if (code === 0) return receiveDescriptor(calls, ours);
    throw new AetherError("MOUNT_FAILED", `${folder} is not mounted: ${said}`, { data: { folder } });
  } finally {
    closeSync(ours);
  }
}

/** The descriptor that lies in the socket: whoever sent it has ended. */
function receiveDescriptor({ recvmsg, address }: Calls, socket: number): number {
  const data = Buffer.alloc(8);
  const control = Buffer.alloc(CONTROL_BYTES);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(address(data), 0);
  vector.writeBigUInt64LE(1n, 8);
  const message = Buffer.alloc(MSGHDR_BYTES);
  message.writeBigUInt64LE(address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(address(control), 32);
  message.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
  const received = recvmsg(socket, message, MSG_CMSG_CLOEXEC);
  const isDescriptor = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  if (received > 0n && isDescriptor) return control.readInt32LE(16);
  throw new AetherError("MOUNT_FAILED", "fusermount3 handed no device over");
}
