/** Answers of methods as responses of HTTP. */
import { create, ScalarType, toJson, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import type { Clock } from "../../base/clock.ts";
import { problemOf, type HttpRequest, type HttpResponse } from "../http-handler.ts";

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/** A message as proto3's JSON: camelCase, int64 as text, every field that has no presence. */
function jsonOf(output: DescMessage, message: unknown): JsonValue {
  return toJson(output, create(output, message as Record<string, unknown>), { alwaysEmitImplicit: true });
}

/** One message. */
export function sendMessage(response: HttpResponse, output: DescMessage, message: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(jsonOf(output, message))}\n`);
  response.writeHead(200, {
    ...HEADERS,
    "content-type": "application/json",
    "content-length": bytes.byteLength,
  });
  response.end(bytes);
}

/** A form in which many messages are sent. */
interface StreamForm {
  readonly contentType: string;
  readonly encode: (message: unknown) => string | Uint8Array;
  /** What says an error after the beginning; undefined: the connection breaks off. */
  readonly encodeError: ((error: unknown) => string) | undefined;
  /** What is sent so that nobody between takes the connection for dead. */
  readonly nothing: string;
}

/** How long errors may still become a status, and how long nothing may be sent. */
const BEGIN_MS = 1000;
const SILENCE_MS = 15_000;

/**
 * Messages as they come: a line of JSON each; server-sent events for who accepts these; the bytes alone when the messages
 * are parts of bytes. Errors before the first message, and within a second, are thrown; later they are the last line.
 */
export async function sendStream(
  { request, response }: { readonly request: HttpRequest; readonly response: HttpResponse },
  output: DescMessage,
  messages: AsyncIterable<unknown>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const form = formOf(request, output);
  const iterator = messages[Symbol.asyncIterator]();
  const begin = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { ...HEADERS, "content-type": form.contentType });
  };
  try {
    for (;;) {
      const pending = iterator.next();
      let next = await within(pending, response.headersSent ? SILENCE_MS : BEGIN_MS, clock);
      while (next === undefined && !signal.aborted) {
        begin();
        response.write(form.nothing);
        next = await within(pending, SILENCE_MS, clock);
      }
      if (next === undefined || signal.aborted) return;
      begin();
      if (next.done === true) break;
      if (!response.write(form.encode(next.value))) await drained(response);
    }
    response.end();
  } catch (error) {
    if (!response.headersSent) throw error;
    if (form.encodeError === undefined) response.destroy();
    else response.end(form.encodeError(error));
  } finally {
    // It may hang in what it waits for: the signal ends that.
    void iterator.return?.().catch(() => undefined);
  }
}

function formOf(request: HttpRequest, output: DescMessage): StreamForm {
  const line = (message: unknown): string => JSON.stringify(jsonOf(output, message));
  const problem = (error: unknown): string => JSON.stringify({ error: problemOf(error).body });
  const [only, ...others] = output.fields;
  if (only?.fieldKind === "scalar" && only.scalar === ScalarType.BYTES && others.length === 0) {
    const encode = (message: unknown): Uint8Array =>
      (message as Readonly<Record<string, Uint8Array>>)[only.localName] ?? new Uint8Array();
    return { contentType: "application/octet-stream", encode, encodeError: undefined, nothing: "" };
  }
  if (/text\/event-stream/i.test(request.headers.accept ?? "")) {
    return {
      contentType: "text/event-stream",
      encode: (message) => `${idOf(message)}data: ${line(message)}\n\n`,
      encodeError: (error) => `event: error\ndata: ${problem(error)}\n\n`,
      nothing: ":\n\n",
    };
  }
  return {
    contentType: "application/x-ndjson",
    encode: (message) => `${line(message)}\n`,
    encodeError: (error) => `${problem(error)}\n`,
    nothing: "\n",
  };
}

/** What a client that comes back says with Last-Event-ID: the number of a numbered message. */
function idOf(message: unknown): string {
  const { sequence } = message as { readonly sequence?: bigint };
  return sequence === undefined ? "" : `id: ${sequence}\n`;
}

/** What the promise gives within the time, else undefined. */
async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  const ended = new AbortController();
  const late = clock.sleep(ms, ended.signal).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    ended.abort();
  }
}

function drained(response: HttpResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}
