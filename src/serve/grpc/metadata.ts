/** Metadata of gRPC calls as headers of HTTP/2. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

const UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** What a timer can hold: 24 days, which no call takes. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Milliseconds of a `grpc-timeout`, or undefined. Errors (ConnectError): InvalidArgument. */
export function timeoutMsOf(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  if (amount === undefined) throw new ConnectError("grpc-timeout is malformed", Code.InvalidArgument);
  return Math.min(TIMEOUT_MS_MAX, Number(amount) * (UNITS_MS[unit] ?? 1));
}

/** A request's metadata, without what HTTP/2 itself says. */
export function headersOf(headers: IncomingHttpHeaders): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) all.append(name, one);
  }
  return all;
}

/** Metadata as trailers (or headers) of a response. */
export function trailersOf(metadata: Headers): OutgoingHttpHeaders {
  return Object.fromEntries(metadata);
}

/** What ends a call with an error: its status and details, and its metadata. */
export function errorTrailers(error: ConnectError): OutgoingHttpHeaders {
  return trailersOf(setTrailerStatus(new Headers(error.metadata), error));
}
