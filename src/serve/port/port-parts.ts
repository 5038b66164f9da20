import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Log } from "../../base/log.ts";
import type { HttpHandler } from "../http-handler.ts";
import type { Connections } from "./connections.ts";
import type { PortLimits } from "./port-limits.ts";

/** Answers a stream whose content is gRPC, whole; it does not throw. */
export type GrpcHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** What the protocols of a port work with. */
export interface PortParts {
  readonly grpc: GrpcHandler;
  readonly http: HttpHandler;
  readonly connections: Connections;
  readonly limits: PortLimits;
  readonly log: Log;
}
