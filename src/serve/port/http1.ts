/** HTTP/1.1 on connections that are handed over. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { must } from "../../base/assert.ts";
import { answer } from "./answer.ts";
import type { Connection } from "./connections.ts";
import { hasOneHost, refuseHosts } from "./one-host.ts";
import type { PortParts } from "./port-parts.ts";

/** A connection, the last request that came on it, and when all requests so far are answered. */
interface Speaker {
  readonly connection: Connection;
  last: IncomingMessage | undefined;
  answered: Promise<void>;
}

/** Takes connections by its event `connection`. */
export function createHttp1(parts: PortParts): Server {
  const { limits } = parts;
  const speakers = new WeakMap<Socket, Speaker>();
  const server = createServer({
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.sweepMs,
    keepAliveTimeout: limits.idleMs,
    maxHeaderSize: limits.headerBytesMax,
  });
  server.maxHeadersCount = limits.headersMax;
  server.timeout = limits.stallMs;
  server.on("connection", (socket: Socket) => {
    speakers.set(socket, { connection: admit(parts, socket), last: undefined, answered: Promise.resolve() });
  });
  server.on("request", (request, response) => {
    take(parts, must(speakers.get(request.socket), "a request comes on a connection"), request, response);
  });
  server.on("checkContinue", (request, response) => {
    continueWhenRead(request, response);
    take(parts, must(speakers.get(request.socket), "a request comes on a connection"), request, response);
  });
  server.on("timeout", (socket: Socket) => {
    const { connection, last } = must(speakers.get(socket), "a connection was taken in");
    const waitsForUs = connection.exchanges > 0 && last?.complete === true && socket.writableLength === 0;
    if (!waitsForUs || socket.readableEnded) socket.destroy();
  });
  // What a server that never listens itself takes for its start: without it no time limit holds.
  server.emit("listening");
  return server;
}

function admit({ connections, limits }: PortParts, socket: Socket): Connection {
  const close = (): void => {
    if (connection.exchanges === 0) socket.destroySoon();
  };
  const connection = connections.add({ close, destroy: () => void socket.destroy() }, limits.idleMs);
  socket.once("close", () => {
    connections.remove(connection);
  });
  return connection;
}

/** A client that asks whether it may send its body is told so when somebody reads it: not when it is refused. RFC 9110 §10.1.1 */
function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request);
  request._read = (bytes) => {
    request._read = read;
    if (!response.headersSent) response.writeContinue();
    read(bytes);
  };
}

const ABSOLUTE = /^https?:\/\/(?:[^/?#]*@)?([^/?#@]+)/i;

/**
 * Gives a target in absolute form the origin form, which is what handlers read; the host that it names stands for what the header says.
 * All else stays as it is. RFC 9112 §3.2.2
 */
function toOriginForm(request: IncomingMessage): void {
  const { url = "" } = request;
  const [start, host] = ABSOLUTE.exec(url) ?? [];
  if (start === undefined) return;
  const rest = url.slice(start.length);
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  request.headers.host = host;
}

/** Requests of one connection are answered one after another, whatever a client sends ahead. */
function take(parts: PortParts, speaker: Speaker, request: IncomingMessage, response: ServerResponse): void {
  const { connections, limits, http, log } = parts;
  const { connection } = speaker;
  const { socket } = request;
  if (connection.exchanges >= limits.pipelinedMax) {
    socket.destroy();
    return;
  }
  connections.begin(connection);
  toOriginForm(request);
  speaker.last = request;
  response.on("error", (error) => {
    log.debug({ err: error }, "a response broke off");
  });
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  speaker.answered = speaker.answered.then(async () => {
    if (socket.destroyed) return;
    const isForOne = hasOneHost(request.rawHeaders);
    if (connections.closing || !isForOne) response.shouldKeepAlive = false;
    await Promise.all([closed, answer(isForOne ? http : refuseHosts, request, response, log)]);
    connections.end(connection);
  });
}
