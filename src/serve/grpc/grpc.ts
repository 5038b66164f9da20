/** The services by gRPC, gRPC-Web and Connect. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Code, type ConnectError, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { toRpcError } from "../../rpc/rpc-error.ts";
import type { RpcService } from "../../rpc/rpc-service.ts";
import { sendProblem, type HttpHandler } from "../http-handler.ts";
import { AetherError } from "../../base/errors.ts";
import { GrpcCalls } from "./grpc-call.ts";
import { healthService } from "./health.ts";
import { reflectionServices } from "./reflection.ts";

/** What calls are held to. */
export interface GrpcOptions {
  /** One message of a request, in bytes. */
  readonly messageBytesMax: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborts when the hub stops. */
  readonly stopping: AbortSignal;
}

/** Who answers calls. */
export interface Grpc {
  /** gRPC itself, on a stream of HTTP/2. Never throws. */
  readonly stream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
  /** gRPC-Web and Connect, at the paths of `names`. */
  readonly http: HttpHandler;
  /** Full names of the services: the first parts of the paths. */
  readonly names: readonly string[];
}

/** Serves the services, with the standard ones for health and reflection beside them. */
export function createGrpc(services: readonly RpcService[], options: GrpcOptions): Grpc {
  const { messageBytesMax, log, clock, stopping } = options;
  const standard = [healthService(services, stopping), ...reflectionServices(services)];
  const all = [...services, ...standard];
  const calls = new GrpcCalls(all, { messageBytesMax, log, clock });
  const adapter = connectNodeAdapter({
    routes: (router) => {
      for (const { service, impl } of all) router.service(service, impl);
    },
    grpc: false,
    readMaxBytes: messageBytesMax,
    acceptCompression: [],
    interceptors: [withTableErrors(log)],
    fallback: (_request, response) => {
      sendProblem(
        response as Parameters<HttpHandler>[1],
        new AetherError("PATH_NOT_FOUND", "there is no such method"),
      );
    },
  });
  return {
    stream: (stream, headers) => void calls.answer(stream, headers),
    http: (request, response) => {
      adapter(request, response);
      return Promise.resolve();
    },
    names: all.map(({ service }) => service.typeName),
  };
}

/** Errors of the table in place of those that methods throw, also in the middle of a stream. */
function withTableErrors(log: Log): Interceptor {
  const mapped = (error: unknown): ConnectError => {
    const told = toRpcError(error);
    if (told.code === Code.Internal || told.code === Code.Unknown) {
      log.error({ err: error }, "a call failed");
    }
    return told;
  };
  return (next) => async (request) => {
    try {
      const response = await next(request);
      if (!response.stream) return response;
      const messages = response.message;
      async function* guarded() {
        try {
          yield* messages;
        } catch (error) {
          throw mapped(error);
        }
      }
      return { ...response, message: guarded() };
    } catch (error) {
      throw mapped(error);
    }
  };
}
