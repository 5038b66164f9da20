/** One port for HTTP/1.1, HTTP/2, gRPC and, with certificates, the same over TLS. docs/protocol.md */
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { must } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { AetherError, errnoOf } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { sendProblem, type HttpHandler, type HttpRequest, type HttpResponse } from "../http-handler.ts";
import { readCertificates, watchCertificates, type PortTls } from "./certificates.ts";
import { sniff, type Protocol } from "./sniff.ts";

/** What one client, and all of them, may take. */
export interface PortLimits {
  readonly connections: number;
  /** Streams at a time of one HTTP/2 connection. */
  readonly streams: number;
  readonly headerBytes: number;
  /** From a connection's beginning to its first bytes, and from a request's first byte to the end of its headers. */
  readonly headersMs: number;
  /** A connection on which nothing happens at all. */
  readonly idleMs: number;
}

const LIMITS: PortLimits = {
  connections: 4096,
  streams: 256,
  headerBytes: 32 * KiB,
  headersMs: 20_000,
  idleMs: 120_000,
};

/** What a sender may have on its way: of one stream, and of a connection. */
const STREAM_WINDOW_BYTES = MiB;
const SESSION_WINDOW_BYTES = 4 * MiB;
/** How often Node looks for requests whose headers take too long. */
const CHECK_MS = 1000;

/** Answers a gRPC call. It never throws. */
export type GrpcHandler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

/** What a port is made of. */
export interface PortOptions {
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** 0: any that is free. */
  readonly port: number;
  readonly tls: PortTls | undefined;
  readonly grpc: GrpcHandler;
  readonly http: HttpHandler;
  readonly log: Log;
  readonly clock: Clock;
  readonly limits?: Partial<PortLimits>;
}

/** An open port. */
export interface Port {
  readonly host: string;
  readonly port: number;
  /** Refuses what is new, waits at most `graceMs` for what is under way, then ends it. */
  readonly close: (options: { readonly graceMs: number }) => Promise<void>;
}

/** Opens the port. Errors: CONFIG_INVALID when it is taken or not allowed, or certificates cannot be used. */
export async function openPort(options: PortOptions): Promise<Port> {
  const certificates = options.tls === undefined ? undefined : await readCertificates(options.tls);
  const port = new OnePort(options, certificates);
  await port.listen();
  return port;
}

class OnePort implements Port {
  readonly #options: PortOptions;
  readonly #limits: PortLimits;
  readonly #server: net.Server;
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #tls: tls.Server | undefined;
  readonly #sockets = new Set<net.Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #closing = new AbortController();

  constructor(options: PortOptions, certificates: tls.SecureContextOptions | undefined) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#http1 = this.#openHttp1();
    this.#http2 = this.#openHttp2();
    this.#tls = certificates === undefined ? undefined : this.#openTls(certificates);
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      this.#accept(socket);
    });
    this.#server.maxConnections = this.#limits.connections;
  }

  get host(): string {
    return this.#address.address;
  }

  get port(): number {
    return this.#address.port;
  }

  get #address(): net.AddressInfo {
    return must(this.#server.address() as net.AddressInfo | null, "it listens");
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => {
        void this.close({ graceMs: 0 });
        reject(cannotListen(host, port, error));
      });
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.#server.on("error", (error) => {
          this.#options.log.error({ err: error }, "the port failed");
        });
        resolve();
      });
    });
  }

  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#http1.close();
    for (const session of this.#sessions) session.close();
    const ended = new AbortController();
    const grace = this.#options.clock.sleep(graceMs, ended.signal).catch(() => undefined);
    await Promise.race([closed, grace]);
    ended.abort();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#http1.closeAllConnections();
    await closed;
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    if (this.#closing.signal.aborted) socket.destroy();
    else sniff(socket, this.#limits.headersMs, (protocol) => this.#passOn(socket, protocol));
  }

  #passOn(socket: net.Socket, protocol: Protocol): void {
    if (protocol === "tls" && this.#tls !== undefined) this.#tls.emit("connection", socket);
    else if (protocol === "tls") socket.destroy();
    else if (this.#tls !== undefined) refusePlain(socket);
    else this.#serve(socket, protocol);
  }

  #serve(socket: net.Socket, protocol: "http1" | "http2"): void {
    if (protocol === "http2") {
      this.#http2.emit("connection", socket);
      return;
    }
    this.#http1.emit("connection", socket);
    socket.resume();
  }

  #openHttp1(): http.Server {
    const { headerBytes, headersMs, idleMs } = this.#limits;
    const server = http.createServer({
      maxHeaderSize: headerBytes,
      headersTimeout: headersMs,
      keepAliveTimeout: idleMs,
      // A body may take as long as it moves: the socket's own timeout ends one that does not.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_MS,
    });
    server.setTimeout(idleMs);
    server.on("request", (request, response) => this.#answer(request, response));
    // It never listens itself, and Node begins to look for slow requests when it does.
    server.emit("listening");
    return server;
  }

  #openHttp2(): http2.Http2Server {
    const { streams, headerBytes, idleMs } = this.#limits;
    const server = http2.createServer({
      settings: {
        maxConcurrentStreams: streams,
        maxHeaderListSize: headerBytes,
        initialWindowSize: STREAM_WINDOW_BYTES,
        enablePush: false,
      },
    });
    server.on("sessionError", () => undefined);
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
      session.on("error", () => undefined);
      session.setTimeout(idleMs, () => {
        session.close();
      });
      session.setLocalWindowSize(SESSION_WINDOW_BYTES);
      if (this.#closing.signal.aborted) session.close();
    });
    server.on("stream", (stream: http2.ServerHttp2Stream, headers, _flags, rawHeaders) => {
      stream.on("error", () => undefined);
      if (isGrpc(headers)) {
        this.#options.grpc(stream, headers);
        return;
      }
      const request = new http2.Http2ServerRequest(stream, headers, {}, rawHeaders);
      const response = new http2.Http2ServerResponse(stream);
      this.#answer(request as unknown as HttpRequest, response as unknown as HttpResponse);
    });
    return server;
  }

  #openTls(certificates: tls.SecureContextOptions): tls.Server {
    const { clock, log, tls: files } = this.#options;
    const isMutual = certificates.ca !== undefined;
    const server = tls.createServer(
      {
        ...certificates,
        requestCert: isMutual,
        rejectUnauthorized: isMutual,
        handshakeTimeout: this.#limits.headersMs,
        ALPNProtocols: ["h2", "http/1.1"],
      },
      (socket) => {
        socket.on("error", () => undefined);
        this.#serve(socket, socket.alpnProtocol === "h2" ? "http2" : "http1");
      },
    );
    server.on("tlsClientError", (error, socket) => {
      log.debug({ reason: error.message }, "a TLS handshake failed");
      socket.destroy();
    });
    const parts = { clock, log, signal: this.#closing.signal };
    void watchCertificates(must(files, "TLS has files"), certificates, parts, (context) =>
      server.setSecureContext(context),
    );
    return server;
  }

  #answer(request: HttpRequest, response: HttpResponse): void {
    response.on("error", () => undefined);
    request.on("error", () => undefined);
    const stopping = this.#closing.signal.aborted;
    if (stopping && request.httpVersionMajor === 1) response.setHeader("connection", "close");
    // Node keeps connections that were busy when close() was called.
    response.once("close", () => {
      if (this.#closing.signal.aborted) setImmediate(() => this.#http1.closeIdleConnections());
    });
    const answered = stopping
      ? Promise.reject(new AetherError("HUB_UNAVAILABLE", "the hub is stopping: try again"))
      : this.#options.http(request, response);
    answered.catch((error: unknown) => {
      this.#fail(request, response, error);
    });
  }

  #fail(request: HttpRequest, response: HttpResponse, error: unknown): void {
    if (response.destroyed || response.writableEnded) return;
    sendProblem(response, error);
    if (!(error instanceof AetherError) || error.code === "INTERNAL") {
      this.#options.log.error(
        { err: error, method: request.method, target: request.url },
        "a request failed",
      );
    }
  }
}

function isGrpc(headers: http2.IncomingHttpHeaders): boolean {
  const type = headers["content-type"] ?? "";
  return type.startsWith("application/grpc") && !type.startsWith("application/grpc-web");
}

function refusePlain(socket: net.Socket): void {
  const text = "This port speaks TLS: use https.\n";
  const head = `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}`;
  socket.end(`${head}\r\n\r\n${text}`);
  socket.resume();
}

function cannotListen(host: string | undefined, port: number, error: Error): AetherError {
  const where = `${host === undefined ? "" : `${host}:`}${port}`;
  const reason: Readonly<Record<string, string>> = {
    EADDRINUSE: "something listens there already: choose another with --port",
    EACCES: "that is not allowed: choose a port above 1023 with --port",
    EADDRNOTAVAIL: "this machine does not have that address: see --bind",
    ENOTFOUND: "that is no address of this machine: see --bind",
  };
  const why = reason[errnoOf(error) ?? ""] ?? error.message;
  return new AetherError("CONFIG_INVALID", `cannot listen on ${where}: ${why}`, { cause: error });
}
