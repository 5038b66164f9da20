/** A UDP port that answers remote procedure calls: a call and its answer are a datagram each. RFC 5531 §10 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { cannotListen } from "../listen.ts";
import { bareAddress, plainAddress } from "./address-list.ts";
import { Admission } from "./admission.ts";
import type { RpcPortOptions } from "./rpc-port.ts";
import type { RpcCaller } from "./rpc-programs.ts";

/** Answers on their way to the network; further calls are not answered, and clients ask again. */
const ANSWERS_MAX = 64;
/** Bytes before an answer, for a mark that datagrams do not have. */
const MARK_BYTES = 4;

/** How the port is reached, and what answers. */
export type RpcDatagramsOptions = Pick<
  RpcPortOptions,
  "port" | "setting" | "isShared" | "programs" | "allowed" | "warnings" | "log"
> & {
  /** Of all: "::" or "0.0.0.0". */
  readonly address: string;
};

/**
 * Opens a port. Whoever is not let in hears nothing: who sent a datagram is not certain, and nobody shall be sent what they did not
 * ask for. Errors: CONFIG_INVALID when it cannot be had.
 */
export async function openRpcDatagrams(
  options: RpcDatagramsOptions,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const { address, port, isShared, programs, allowed, warnings, log } = options;
  const admission = new Admission(allowed, warnings);
  const closing = new AbortController();
  const socket = createSocket({ type: isIPv6(address) ? "udp6" : "udp4", reusePort: isShared });
  let underWay = 0;
  const answer = async (message: Buffer, from: RemoteInfo): Promise<void> => {
    const caller: RpcCaller = {
      address: plainAddress(from.address),
      ownAddress: ownAddressFor(bareAddress(from.address), address),
      transport: "udp",
      signal: closing.signal,
      // All that is held is the datagram.
      room: () => Promise.resolve(() => undefined),
    };
    const answered = await programs.answer(message, caller);
    answered?.tail?.release(false);
    if (answered === undefined || answered.tail !== undefined || closing.signal.aborted) return;
    const bytes = answered.head.subarray(MARK_BYTES);
    await new Promise<void>((resolve) => {
      socket.send(bytes, from.port, from.address, () => {
        resolve();
      });
    });
  };
  socket.on("message", (message, from) => {
    if (!admission.admits(from.address) || underWay >= ANSWERS_MAX) return;
    underWay++;
    void answer(message, from).finally(() => {
      underWay--;
    });
  });
  await bind(socket, options);
  socket.on("error", (error) => {
    log.debug({ err: error, port }, "a datagram was lost");
  });
  return {
    port: socket.address().port,
    close: async () => {
      closing.abort();
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}

async function bind(socket: Socket, options: RpcDatagramsOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address: options.address, port: options.port, exclusive: true }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    socket.close();
    throw cannotListen({ ...options, host: options.address }, cause);
  }
}

/** The address by which somebody reaches this machine: no datagram says where it was sent to. "": not known. */
function ownAddressFor(from: string, bound: string): string {
  if (bound !== "::" && bound !== "0.0.0.0") return bound;
  for (const { address, cidr, family } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
    const [network = address, bits = "0"] = (cidr ?? "").split("/");
    const kind = family === "IPv6" ? "ipv6" : "ipv4";
    const near = new BlockList();
    near.addSubnet(network, Number(bits), kind);
    if (near.check(from, isIPv6(from) ? "ipv6" : "ipv4")) return address;
  }
  return "";
}
