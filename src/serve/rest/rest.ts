/** The services as REST: a transcoder by the annotations of proto/. docs/protocol.md §5 */
import { create, type DescMethod } from "@bufbuild/protobuf";
import { ConnectError, createHandlerContext } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { fromRpcError } from "../../rpc/rpc-error.ts";
import type { RpcService } from "../../rpc/rpc-service.ts";
import {
  sendMethodNotAllowed,
  sendUnsupportedMediaType,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
} from "../http-handler.ts";
import { sendMessage, sendStream } from "./answer.ts";
import { bindingsOf, matchRequest, type Binding, type Match } from "./bindings.ts";
import { openApiOf } from "./openapi.ts";
import { readMessage, typeInstead } from "./request.ts";

const BODY_BYTES_MAX = MiB;
const OPENAPI_PATH = "/api/openapi.json";

/** What REST is made of. */
export interface RestOptions {
  readonly clock: Clock;
  /** The product's version, for the description. */
  readonly version: string;
}

/** A handler for everything under /api, and for its description at /api/openapi.json. */
export function createRest(services: readonly RpcService[], { clock, version }: RestOptions): HttpHandler {
  const bindings = bindingsOf(services);
  const description = Buffer.from(JSON.stringify(openApiOf(bindings, version)));
  return async (request, response) => {
    const url = new URL(request.url ?? "/", "http://hub");
    if (url.pathname === OPENAPI_PATH) {
      sendDescription(request, response, description);
      return;
    }
    const { match, verbs } = matchRequest(bindings, request.method ?? "", url.pathname);
    if (match !== undefined) await answer(match, request, response, { query: url.searchParams, clock });
    else if (verbs.length > 0) sendMethodNotAllowed(response, verbs);
    else throw new AetherError("PATH_NOT_FOUND", `there is nothing at ${url.pathname}: see ${OPENAPI_PATH}`);
  };
}

async function answer(
  match: Match,
  request: HttpRequest,
  response: HttpResponse,
  { query, clock }: { readonly query: URLSearchParams; readonly clock: Clock },
): Promise<void> {
  const { binding } = match;
  const { method, run } = binding;
  const otherType = typeInstead(match, request);
  if (otherType !== undefined) {
    sendUnsupportedMediaType(response, otherType);
    return;
  }
  const context = contextOf(binding, request, response);
  const { signal } = context;
  try {
    if (isFromStream(method)) {
      const given = await run(readParts(method, request), context);
      sendMessage(response, method.output, given);
      return;
    }
    if (method.methodKind === "server_streaming") resume(method, request, query);
    const message = await readMessage(match, request, query, BODY_BYTES_MAX);
    const given = run(message, context);
    if (method.methodKind === "unary") sendMessage(response, method.output, await given);
    else
      await sendStream({ request, response }, method.output, given as AsyncIterable<unknown>, {
        clock,
        signal,
      });
  } catch (error) {
    throw error instanceof ConnectError ? fromRpcError(error, "hub") : error;
  } finally {
    context.abort();
  }
}

type CallContext = ReturnType<typeof createHandlerContext>;

function contextOf({ service, method }: Binding, request: HttpRequest, response: HttpResponse): CallContext {
  const ended = new AbortController();
  response.once("close", () => {
    ended.abort(new AetherError("CANCELLED", "the client went away"));
  });
  const headers = Object.entries(request.headers).filter(([name]) => !name.startsWith(":"));
  return createHandlerContext({
    service,
    method,
    protocolName: "rest",
    requestMethod: request.method ?? "",
    url: request.url ?? "",
    requestHeader: headers.map(([name, value]) => [name.replace(/^grpc-metadata-/, ""), String(value)]),
    requestSignal: ended.signal,
  });
}

function isFromStream({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

/** A body of bytes as the parts of a stream: each message has them in its one field. */
async function* readParts({ input }: DescMethod, request: HttpRequest): AsyncGenerator {
  const only = must(input.fields[0], "a message of parts has one field");
  for await (const part of request) yield create(input, { [only.localName]: part as Buffer });
}

/** Who comes back to a stream of events says which was the last one: https://html.spec.whatwg.org/#last-event-id */
function resume({ input }: DescMethod, request: HttpRequest, query: URLSearchParams): void {
  const last = request.headers["last-event-id"];
  if (!input.fields.some(({ name }) => name === "sequence")) return;
  if (typeof last !== "string" || !/^\d{1,15}$/.test(last)) return;
  query.set("sequence", String(Number(last) + 1));
}

function sendDescription(request: HttpRequest, response: HttpResponse, bytes: Buffer): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    sendMethodNotAllowed(response, ["GET", "HEAD"]);
    return;
  }
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": bytes.byteLength,
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  });
  response.end(bytes);
}
