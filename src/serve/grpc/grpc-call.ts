/**
 * Answers gRPC calls on streams of HTTP/2. @connectrpc/connect-node does the same; per call it takes some four times the
 * processor time (docs/decisions/0006), and it still serves gRPC-Web and Connect.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary, type DescMessage, type DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import { MiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { toRpcError } from "../../rpc/rpc-error.ts";
import type { RpcService } from "../../rpc/rpc-service.ts";
import { readMessages } from "./message-reader.ts";
import { errorTrailers, headersOf, timeoutMsOf, trailersOf } from "./metadata.ts";

/** A method as connect-es's ServiceImpl has it, whatever its kind. */
type Implementation = (request: unknown, context: HandlerContext) => unknown;

type CallContext = ReturnType<typeof createHandlerContext>;

interface Method {
  readonly service: RpcService["service"];
  readonly method: DescMethod;
  readonly run: Implementation;
}

/** What calls are held to. */
export interface GrpcOptions {
  /** One message of a request, in bytes. */
  readonly messageBytesMax: number;
  readonly log: Log;
}

/** Path (`/package.Service/Method`) → method. */
export class GrpcCalls {
  readonly #methods = new Map<string, Method>();
  readonly #options: GrpcOptions;

  constructor(services: readonly RpcService[], options: GrpcOptions) {
    this.#options = options;
    for (const { service, impl } of services) {
      for (const method of service.methods) {
        const run = (impl as Record<string, Implementation | undefined>)[method.localName];
        if (run === undefined) continue;
        this.#methods.set(`/${service.typeName}/${method.name}`, { service, method, run: run.bind(impl) });
      }
    }
  }

  /** Answers one call. Never throws. */
  async answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on("error", () => undefined);
    const found = this.#methods.get(headers[":path"] ?? "");
    if (found === undefined || headers[":method"] !== "POST") {
      refuse(stream, new ConnectError("there is no such method", Code.Unimplemented));
      return;
    }
    let context: CallContext | undefined;
    try {
      context = contextOf(stream, headers, found);
      await this.#run(stream, headers, found, context);
    } catch (error) {
      this.#fail(stream, context, error);
    } finally {
      context?.abort();
    }
  }

  async #run(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    { method, run }: Method,
    context: HandlerContext,
  ): Promise<void> {
    const { messageBytesMax } = this.#options;
    const encoding = headers["grpc-encoding"] as string | undefined;
    const requests = decode(method.input, readMessages(stream, encoding, messageBytesMax));
    const isStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
    const request = isStream ? requests : await onlyOne(requests);
    const given = run(request, context);
    if (method.methodKind === "unary" || method.methodKind === "client_streaming") {
      const response = frameOf(method.output, await raced(given as Promise<object>, context.signal));
      respond(stream, context);
      stream.end(response);
    } else {
      await this.#sendAll(stream, method.output, given as AsyncIterable<object>, context);
    }
  }

  async #sendAll(
    stream: ServerHttp2Stream,
    output: DescMessage,
    responses: AsyncIterable<object>,
    context: HandlerContext,
  ): Promise<void> {
    const iterator = responses[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await raced(iterator.next(), context.signal);
        if (!stream.headersSent) respond(stream, context);
        if (next.done === true) break;
        if (!stream.write(frameOf(output, next.value))) await drained(stream, context.signal);
      }
      stream.end();
    } finally {
      // It may hang in what it waits for: the signal ends that.
      void iterator.return?.().catch(() => undefined);
    }
  }

  #fail(stream: ServerHttp2Stream, context: CallContext | undefined, thrown: unknown): void {
    const ended: unknown = context?.signal.aborted === true ? context.signal.reason : undefined;
    const error = toRpcError(ended instanceof ConnectError ? ended : thrown);
    if (error.code === Code.Internal || error.code === Code.Unknown) {
      this.#options.log.error({ err: thrown, method: context?.url }, "a call failed");
    }
    if (stream.destroyed || stream.closed) return;
    for (const [name, value] of context?.responseTrailer ?? []) error.metadata.append(name, value);
    refuse(stream, error);
  }
}

/** The call as methods see it: its signal aborts at the deadline, and when the client goes away. */
function contextOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, called: Method): CallContext {
  const timeoutMs = timeoutMsOf(headers["grpc-timeout"]);
  const ended = new AbortController();
  stream.once("close", () => {
    ended.abort(new ConnectError("the client went away", Code.Canceled));
  });
  return createHandlerContext({
    service: called.service,
    method: called.method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: headers[":path"] ?? "",
    requestHeader: headersOf(headers),
    requestSignal: ended.signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

/** Ends the call with an error, whether or not a response has begun. */
function refuse(stream: ServerHttp2Stream, error: ConnectError): void {
  const trailers = errorTrailers(error);
  if (!stream.headersSent) {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc+proto", ...trailers },
      { endStream: true },
    );
    endRequest(stream);
    return;
  }
  stream.removeAllListeners("wantTrailers");
  stream.once("wantTrailers", () => {
    stream.sendTrailers(trailers);
    endRequest(stream);
  });
  stream.end();
}

/** What a client still sends of a request that is answered: some is on its way, more breaks the stream off. RFC 9113 §8.1 */
const REST_BYTES_MAX = 4 * MiB;

function endRequest(stream: ServerHttp2Stream): void {
  let bytes = 0;
  stream.on("data", (part: Buffer) => {
    bytes += part.byteLength;
    if (bytes > REST_BYTES_MAX) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function respond(stream: ServerHttp2Stream, context: HandlerContext): void {
  const own = trailersOf(context.responseHeader);
  stream.once("wantTrailers", () => {
    stream.sendTrailers({ ...trailersOf(context.responseTrailer), "grpc-status": "0" });
    endRequest(stream);
  });
  const headers = { ":status": 200, "content-type": "application/grpc+proto", ...own };
  stream.respond({ ...headers, "grpc-accept-encoding": "identity,gzip" }, { waitForTrailers: true });
}

async function* decode(input: DescMessage, messages: AsyncIterable<Uint8Array>): AsyncGenerator<object> {
  for await (const bytes of messages) {
    let message: object;
    try {
      message = fromBinary(input, bytes);
    } catch (error) {
      throw new ConnectError("a message is malformed", Code.InvalidArgument, undefined, undefined, error);
    }
    yield message;
  }
}

async function onlyOne(requests: AsyncGenerator<object>): Promise<object> {
  const first = await requests.next();
  if (first.done !== true && (await requests.next()).done === true) return first.value;
  throw new ConnectError("the call takes one message", Code.InvalidArgument);
}

/** What the promise gives, unless the call ends before: by its deadline, or because the client goes away. */
function raced<T>(promise: Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const done = (): void => {
      signal.removeEventListener("abort", onAbort);
    };
    Promise.resolve(promise).then(resolve, reject).finally(done);
  });
}

function drained(stream: ServerHttp2Stream, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => {
    resolve(undefined);
  };
  stream.once("drain", done);
  return raced(promise, signal).finally(() => stream.off("drain", done));
}

function frameOf(output: DescMessage, response: object): Buffer {
  const bytes = toBinary(output, create(output, response as Record<string, unknown>));
  const frame = Buffer.allocUnsafe(5 + bytes.byteLength);
  frame[0] = 0;
  frame.writeUInt32BE(bytes.byteLength, 1);
  frame.set(bytes, 5);
  return frame;
}
