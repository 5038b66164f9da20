/** HTTP/2 on connections that are handed over. */
import {
  constants,
  createServer,
  Http2ServerRequest,
  Http2ServerResponse,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import { answer } from "./answer.ts";
import type { Connection } from "./connections.ts";
import { hasOneHost, refuseHosts } from "./one-host.ts";
import type { PortParts } from "./port-parts.ts";

/** `application/grpc`, also with what follows a `+` or `;`; gRPC-Web is a protocol of its own. */
const GRPC = /^application\/grpc(?:[+;\s]|$)/i;

/** Takes connections by its event `connection`. */
export function createHttp2(parts: PortParts): Http2Server {
  const { limits, log } = parts;
  const sessions = new WeakMap<ServerHttp2Session, Connection>();
  const server = createServer({
    maxHeaderListPairs: limits.headersMax,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
    settings: {
      maxConcurrentStreams: limits.streamsMax,
      maxHeaderListSize: limits.headerBytesMax,
      initialWindowSize: limits.streamWindowBytes,
      enablePush: false,
    },
  });
  server.on("session", (session: ServerHttp2Session) => {
    sessions.set(session, admit(parts, session));
  });
  server.on("sessionError", (error: Error) => {
    log.debug({ err: error }, "a session broke off");
  });
  server.on("stream", (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    const session = stream.session as ServerHttp2Session | undefined;
    const connection = session && sessions.get(session);
    // A client may have broken the stream or its session off before it is told of here.
    if (connection === undefined || stream.destroyed) return;
    parts.connections.begin(connection);
    stream.once("close", () => {
      parts.connections.end(connection);
    });
    take(parts, stream, headers, rawHeaders);
  });
  return server;
}

function admit({ connections, limits }: PortParts, session: ServerHttp2Session): Connection {
  const ends = {
    close: () => {
      if (!session.closed) session.close();
    },
    destroy: () => {
      session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
    },
  };
  const connection = connections.add(ends, limits.idleMs);
  session.setLocalWindowSize(limits.sessionWindowBytes);
  // Who has closed its side moves no window either: it has gone. The port's sockets stay half open by themselves.
  session.socket.once("end", () => {
    ends.destroy();
  });
  session.once("close", () => {
    connections.remove(connection);
  });
  return connection;
}

function take(
  parts: PortParts,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): void {
  const { grpc, http, log, limits } = parts;
  stream.on("error", (error: Error) => {
    log.debug({ err: error }, "a stream broke off");
  });
  // Node holds a client to maxHeaderListSize only after it has acknowledged it.
  const headerBytes = rawHeaders.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (headerBytes > limits.headerBytesMax) {
    stream.respond({ ":status": 431 }, { endStream: true });
    return;
  }
  const isGrpc = GRPC.test(headers["content-type"] ?? "");
  stream.setTimeout(limits.stallMs, () => {
    const isSilent = !isGrpc && !stream.readableEnded;
    if (isSilent || stream.writableLength > 0) stream.close(constants.NGHTTP2_CANCEL);
  });
  if (isGrpc) {
    grpc(stream, headers);
    return;
  }
  // The forms that HttpRequest and HttpResponse promise; Node's types do not say that they are alike.
  const request: unknown = new Http2ServerRequest(stream, headers, {}, rawHeaders);
  const response: unknown = new Http2ServerResponse(stream);
  if (headers.expect === "100-continue") (response as Http2ServerResponse).writeContinue();
  const handler = hasOneHost(rawHeaders) ? http : refuseHosts;
  void answer(handler, request as HttpRequest, response as HttpResponse, log);
}
