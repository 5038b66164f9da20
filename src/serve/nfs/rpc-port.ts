/** A TCP port that answers remote procedure calls. */
import { createServer, type Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { Gate } from "../../store/layers/gate.ts";
import { listen, type ListenPlace } from "../listen.ts";
import type { AddressList } from "./address-list.ts";
import { Admission } from "./admission.ts";
import type { RareWarnings } from "./rare-warnings.ts";
import { LOOK_MS, RpcConnection } from "./rpc-connection.ts";
import type { RpcPrograms } from "./rpc-programs.ts";

/** Connections at a time; those beyond are dropped. */
const CONNECTIONS_MAX = 1024;
/** Of them, those of addresses that are not let in, until they are told so; they may have a look's time to ask. */
const STRANGERS_MAX = 64;
/** Calls of all connections that may wait for memory. */
const WAITERS_MAX = 65_536;

/** What a port is made of. */
export interface RpcPortOptions extends ListenPlace {
  readonly programs: RpcPrograms;
  /** The addresses that are let in. */
  readonly allowed: AddressList;
  /** Where it is said who is not. */
  readonly warnings: RareWarnings;
  /** Content that answers under way may hold. */
  readonly heldBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A port that answers. */
export interface RpcPort {
  /** The address that it listens on; of all, "::" or "0.0.0.0". */
  readonly address: string;
  readonly port: number;
  readonly load: () => {
    readonly connections: number;
    readonly exchanges: number;
    readonly receivedBytes: number;
    readonly sentBytes: number;
  };
  /** Takes nothing new, waits at most `graceMs` for calls under way, and ends every connection. */
  readonly close: (options: { readonly graceMs: number }) => Promise<void>;
}

/** Opens a port. Errors: CONFIG_INVALID when it cannot be had. */
export async function openRpcPort(options: RpcPortOptions): Promise<RpcPort> {
  const { programs, allowed, warnings, clock, log } = options;
  const held = new Gate({ callsMax: WAITERS_MAX, bytesMax: options.heldBytesMax, waitersMax: WAITERS_MAX });
  const open = new Map<Socket, RpcConnection>();
  const admission = new Admission(allowed, warnings);
  const strangers = new Set<Socket>();
  const closed = { receivedBytes: 0, sentBytes: 0 };
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    const { remoteAddress: address = "" } = socket;
    const isAllowed = admission.admits(address);
    if (!isAllowed) {
      if (strangers.size >= STRANGERS_MAX) {
        socket.destroy();
        return;
      }
      strangers.add(socket);
    }
    open.set(socket, new RpcConnection(socket, { programs, held, isAllowed }));
    socket.on("error", (error) => {
      log.debug({ err: error, address }, "a connection broke off");
    });
    socket.once("close", () => {
      open.delete(socket);
      strangers.delete(socket);
      closed.receivedBytes += socket.bytesRead;
      closed.sentBytes += socket.bytesWritten;
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const { address, port } = await listen(server, options);
  const looking = new AbortController();
  void lookAgain(open, clock, looking.signal);
  return {
    address,
    port,
    load: () => loadOf(open, closed),
    close: async ({ graceMs }) => {
      looking.abort();
      const ended = new Promise((resolve) => server.close(resolve));
      for (const connection of open.values()) connection.close();
      const timer = new AbortController();
      await Promise.race([ended, clock.sleep(graceMs, timer.signal).catch(() => undefined)]);
      timer.abort();
      for (const socket of open.keys()) socket.destroy();
      await ended;
    },
  };
}

async function lookAgain(
  open: ReadonlyMap<Socket, RpcConnection>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    for (const connection of open.values()) connection.look();
  }
}

function loadOf(
  open: ReadonlyMap<Socket, RpcConnection>,
  closed: { readonly receivedBytes: number; readonly sentBytes: number },
): ReturnType<RpcPort["load"]> {
  let { receivedBytes, sentBytes } = closed;
  let exchanges = 0;
  for (const [socket, connection] of open) {
    receivedBytes += socket.bytesRead;
    sentBytes += socket.bytesWritten;
    exchanges += connection.underWay;
  }
  return { connections: open.size, exchanges, receivedBytes, sentBytes };
}
