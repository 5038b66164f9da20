/** The one port of a hub: HTTP/1.1, HTTP/2 and TLS, told apart by their first bytes. */
import { createServer, type Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { HttpHandler } from "../http-handler.ts";
import { listen, type ListenPlace } from "../listen.ts";
import type { PortTls } from "./certificates.ts";
import { Connections } from "./connections.ts";
import { createHttp1 } from "./http1.ts";
import { createHttp2 } from "./http2.ts";
import { DEFAULT_PORT_LIMITS, type PortLimits } from "./port-limits.ts";
import type { GrpcHandler, PortParts } from "./port-parts.ts";
import { sniff, type Protocol } from "./sniff.ts";
import { TlsGate } from "./tls-gate.ts";

/** What a port is made of. */
export interface PortOptions extends ListenPlace {
  /** With it nothing is answered that is not encrypted. */
  readonly tls: PortTls | undefined;
  /** Gets the streams of HTTP/2 whose content is gRPC. */
  readonly grpc: GrpcHandler;
  /** Gets all other requests, by HTTP/1.1 and HTTP/2. */
  readonly http: HttpHandler;
  readonly log: Log;
  readonly clock: Clock;
  readonly limits?: Partial<PortLimits>;
}

/** What goes on at a port. */
export interface PortLoad {
  readonly connections: number;
  /** Requests under way. */
  readonly exchanges: number;
  /** Bytes on the wire since the port was opened. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** A port that answers. */
export interface Port {
  readonly host: string;
  readonly port: number;
  readonly load: () => PortLoad;
  /** Uses what the certificates' files hold now, for new connections. Errors: CONFIG_INVALID. */
  readonly reloadTls: () => Promise<void>;
  /** Takes nothing new, waits at most `graceMs` for requests under way, and ends every connection. */
  readonly close: (options: { readonly graceMs: number }) => Promise<void>;
}

/** What a client hears that does not encrypt where it must. */
const NOT_ENCRYPTED = Buffer.from(
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n" +
    "This port speaks TLS: use https.\n",
);

/** Opens a port. Errors: CONFIG_INVALID when it cannot be had or the certificates are not usable. */
export async function openPort(options: PortOptions): Promise<Port> {
  const { grpc, http, log, clock } = options;
  const limits = { ...DEFAULT_PORT_LIMITS, ...options.limits };
  const connections = new Connections(clock);
  const parts: PortParts = { grpc, http, connections, limits, log };
  const servers = { http1: createHttp1(parts), http2: createHttp2(parts) };
  const gate = await openGate(options, limits, servers);
  const sockets = new Sockets();
  const stop = new AbortController();
  const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", (error) => {
      log.debug({ err: error }, "a connection broke off");
    });
    const silent = connections.add(
      { close: () => void socket.destroy(), destroy: () => void socket.destroy() },
      limits.helloMs,
    );
    const forget = (): void => {
      connections.remove(silent);
    };
    socket.once("close", forget);
    sniff(socket, (protocol) => {
      socket.off("close", forget);
      pass(socket, protocol, gate, servers);
      forget();
    });
  });
  server.maxConnections = limits.connectionsMax;
  const { address: host, port } = await listen(server, options).finally(() => {
    if (!server.listening) servers.http1.close();
  });
  void connections.sweep(limits.sweepMs, stop.signal);
  if (options.tls?.reloadMs !== undefined) void gate?.watch(options.tls.reloadMs, stop.signal);
  return {
    host,
    port,
    load: () => ({ ...sockets.load, exchanges: connections.exchanges }),
    reloadTls: async () => gate?.reload(),
    close: async ({ graceMs }) => {
      const closed = new Promise((resolve) => server.close(resolve));
      servers.http1.close();
      await connections.close(graceMs);
      stop.abort();
      sockets.destroy();
      await closed;
    },
  };
}

interface Servers {
  readonly http1: ReturnType<typeof createHttp1>;
  readonly http2: ReturnType<typeof createHttp2>;
}

function pass(socket: Socket, protocol: Protocol, gate: TlsGate | undefined, servers: Servers): void {
  if (protocol === "tls") {
    if (gate === undefined) socket.destroy();
    else gate.server.emit("connection", socket);
    return;
  }
  if (gate !== undefined) {
    if (protocol === "http1") socket.end(NOT_ENCRYPTED);
    socket.destroySoon();
    return;
  }
  servers[protocol].emit("connection", socket);
  // HTTP/2 and TLS read the socket's handle themselves.
  if (protocol === "http1") socket.resume();
}

async function openGate(
  { tls, clock, log }: PortOptions,
  limits: PortLimits,
  { http1, http2 }: Servers,
): Promise<TlsGate | undefined> {
  if (tls === undefined) return undefined;
  const pass = (socket: Socket, isHttp2: boolean): void => {
    (isHttp2 ? http2 : http1).emit("connection", socket);
  };
  return TlsGate.open({ files: tls, limits, clock, log, pass });
}

/** All sockets of the port, before and under whatever they carry. */
class Sockets {
  readonly #open = new Set<Socket>();
  #receivedBytes = 0;
  #sentBytes = 0;

  add(socket: Socket): void {
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      this.#receivedBytes += socket.bytesRead;
      this.#sentBytes += socket.bytesWritten;
    });
  }

  get load(): Omit<PortLoad, "exchanges"> {
    let receivedBytes = this.#receivedBytes;
    let sentBytes = this.#sentBytes;
    for (const socket of this.#open) {
      receivedBytes += socket.bytesRead;
      sentBytes += socket.bytesWritten;
    }
    return { connections: this.#open.size, receivedBytes, sentBytes };
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
