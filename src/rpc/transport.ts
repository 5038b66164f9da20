/** A client's way to the services of a hub: gRPC over one HTTP/2 connection, which is opened by the first call. */
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

/** Certificates in PEM. */
interface TransportTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Whose services. */
export interface TransportOptions {
  /** `http://host:port` (HTTP/2 without negotiation) or `https://host:port`. */
  readonly origin: string;
  readonly tls: TransportTls | undefined;
}

/** A transport, and what ends its connection. */
export interface RpcTransport {
  readonly transport: Transport;
  /** Ends the connection; calls that are under way fail. */
  readonly close: () => void;
}

/** One message at most, in bytes: whoever answers more is no hub. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
const PING_INTERVAL_MS = 20_000;
const PING_TIMEOUT_MS = 15_000;
const IDLE_MS_MAX = 5 * 60_000;

/** Makes a transport. Calls throw ConnectError (rpc-error.ts reads them). */
export function openTransport({ origin, tls }: TransportOptions): RpcTransport {
  const pings = {
    pingIntervalMs: PING_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    idleConnectionTimeoutMs: IDLE_MS_MAX,
  };
  const sessionManager = new Http2SessionManager(origin, pings, { ...tls });
  const transport = createGrpcTransport({
    baseUrl: origin,
    sessionManager,
    acceptCompression: [],
    readMaxBytes: MESSAGE_BYTES_MAX,
  });
  const close = (): void => {
    sessionManager.abort();
  };
  return { transport, close };
}
