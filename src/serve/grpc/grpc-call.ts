/**
 * Answers gRPC calls on streams of HTTP/2. @connectrpc/connect-node does the same; per call it takes some four times the
 * processor time (docs/decisions/0006), and it still serves gRPC-Web and Connect.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary, type DescMessage, type DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { raced } from "../../base/raced.ts";
import { toRpcError } from "../../rpc/rpc-error.ts";
import type { RpcService } from "../../rpc/rpc-service.ts";
import { readMessages } from "./message-reader.ts";
import { MessageRoom, MessageRooms } from "./message-room.ts";
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
  readonly clock: Clock;
}

/** The request of a stream of answers: such a call lasts, and so does what it was asked with. */
const QUESTION_BYTES_MAX = 64 * KiB;
/** How many of the largest messages the hub may hold at a time. */
const LARGEST_AT_ONCE = 4;
/** Messages in protobuf; gRPC knows others, which are not served. */
const CONTENT_TYPE = /^application\/grpc(?:\+proto)?\s*(?:;|$)/i;

/** Path (`/package.Service/Method`) → method. */
export class GrpcCalls {
  readonly #methods = new Map<string, Method>();
  readonly #options: GrpcOptions;
  readonly #rooms: MessageRooms;

  constructor(services: readonly RpcService[], options: GrpcOptions) {
    this.#options = options;
    this.#rooms = new MessageRooms(options.messageBytesMax * LARGEST_AT_ONCE, options.clock);
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
    if (!CONTENT_TYPE.test(headers["content-type"] ?? "")) {
      stream.respond({ ":status": 415 }, { endStream: true });
      endRequest(stream);
      return;
    }
    const found = this.#methods.get(headers[":path"] ?? "");
    if (found === undefined || headers[":method"] !== "POST") {
      refuse(stream, new ConnectError("there is no such method", Code.Unimplemented));
      return;
    }
    let context: CallContext | undefined;
    let room: MessageRoom | undefined;
    try {
      context = contextOf(stream, headers, found);
      room = new MessageRoom(this.#rooms, context.signal);
      await this.#run(stream, headers["grpc-encoding"] as string | undefined, found, context, room);
    } catch (error) {
      this.#fail(stream, context, error);
    } finally {
      room?.close();
      context?.abort();
    }
  }

  async #run(
    stream: ServerHttp2Stream,
    encoding: string | undefined,
    { method, run }: Method,
    context: HandlerContext,
    room: MessageRoom,
  ): Promise<void> {
    const { methodKind: kind, input, output } = method;
    const { messageBytesMax } = this.#options;
    const bytesMax =
      kind === "server_streaming" ? Math.min(messageBytesMax, QUESTION_BYTES_MAX) : messageBytesMax;
    const requests = decode(input, readMessages(stream, { encoding, bytesMax, room }));
    const isStream = kind === "client_streaming" || kind === "bidi_streaming";
    const request = isStream ? requests : await raced(onlyOne(requests), context.signal);
    const given = run(request, context);
    if (kind === "unary" || kind === "client_streaming") {
      const response = frameOf(output, await raced(given as Promise<object>, context.signal));
      respond(stream, context);
      stream.end(response);
    } else {
      await this.#sendAll(stream, output, given as AsyncIterable<object>, context);
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

/** Of every answer. */
const HEADERS = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": "identity,gzip",
};

/** Ends the call with an error, whether or not a response has begun. */
function refuse(stream: ServerHttp2Stream, error: ConnectError): void {
  const trailers = errorTrailers(error);
  if (!stream.headersSent) {
    stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
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
/** How long a client may be silent that has its answer. */
const REST_SILENCE_MS_MAX = 10_000;

function endRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded) return;
  stream.setTimeout(REST_SILENCE_MS_MAX, () => {
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
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
  stream.respond({ ...HEADERS, ...own }, { waitForTrailers: true });
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
