/** What all interfaces over HTTP share: the form of a handler, and of an error (RFC 9457). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { AetherError, codeOf, ERRORS } from "../base/errors.ts";

/** A request by HTTP/1.1, or by HTTP/2 in the form that Node gives it for compatibility. */
export type HttpRequest = IncomingMessage;
/** Its response: only what both have (node:http2, "Compatibility API") may be used of it. */
export type HttpResponse = ServerResponse;

/** Answers a request whole. What it throws is answered by sendProblem(), by whoever called it. */
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => Promise<void>;

/** An error as RFC 9457 has it. Nothing of AetherFS's insides is in it. */
export function problemOf(error: unknown): {
  readonly status: number;
  readonly body: Record<string, unknown>;
} {
  const code = codeOf(error);
  const { text, http: status, retry } = ERRORS[code];
  const isOurs = error instanceof AetherError && code !== "INTERNAL";
  const detail = isOurs ? error.message : undefined;
  const data = isOurs ? error.data : {};
  const type = `https://aetherfs.dev/errors/${code}`;
  return { status, body: { type, title: text, status, detail, code, retry, data } };
}

/** When to ask again, in whole seconds, or undefined: nobody knows. RFC 9110 §10.2.3 */
export function retryAfterOf(error: unknown): string | undefined {
  const seconds = error instanceof AetherError ? error.data["retryAfterSeconds"] : undefined;
  return seconds === undefined ? undefined : String(seconds);
}

/** Answers with an error; a response that has begun already is broken off. */
export function sendProblem(response: HttpResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, headers, bytes } = problemMessage(error);
  response.writeHead(status, headers);
  response.end(bytes);
}

/** Answers a method that the resource does not have (RFC 9110 §15.5.6). `allowed` are those that it has. */
export function sendMethodNotAllowed(response: HttpResponse, allowed: readonly string[]): void {
  response.setHeader("allow", allowed.join(", "));
  const title = "The resource does not have that method.";
  sendProblemBody(response, 405, { type: "about:blank", title, status: 405 });
}

/** Answers a client that takes no form that there is (RFC 9110 §15.5.7). `offered` says which there are. */
export function sendNotAcceptable(response: HttpResponse, offered: string): void {
  const title = "The resource has no form that you take.";
  sendProblemBody(response, 406, { type: "about:blank", title, status: 406, detail: `take ${offered}` });
}

/** Answers a body in a form that the resource does not take (RFC 9110 §15.5.16). `taken` is the one that it does. */
export function sendUnsupportedMediaType(response: HttpResponse, taken: string): void {
  response.setHeader("accept", taken);
  const title = "The resource does not take a body of that type.";
  const detail = `send it as ${taken}, without content-encoding`;
  sendProblemBody(response, 415, { type: "about:blank", title, status: 415, detail });
}

function sendProblemBody(response: HttpResponse, status: number, body: Record<string, unknown>): void {
  const { headers, bytes } = messageOf(body);
  response.writeHead(status, headers);
  response.end(bytes);
}

/** An error as a response's head and body. */
export interface ProblemMessage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly bytes: Buffer;
}

/** What sendProblem() sends. */
export function problemMessage(error: unknown): ProblemMessage {
  const { status, body } = problemOf(error);
  const { headers, bytes } = messageOf(body);
  const seconds = retryAfterOf(error);
  const retry = seconds === undefined ? {} : { "retry-after": seconds };
  return { status, headers: { ...headers, ...retry }, bytes };
}

function messageOf(body: Record<string, unknown>): Omit<ProblemMessage, "status"> {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const headers = {
    "content-type": "application/problem+json",
    "content-length": bytes.byteLength,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return { headers, bytes };
}
