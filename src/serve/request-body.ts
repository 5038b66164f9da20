/** Bodies of requests: read whole, or refused. */
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { problemMessage, type ProblemMessage, type HttpRequest, type HttpResponse } from "./http-handler.ts";

const FIRST_BYTES = 4096;
/** Bytes of a refused body that are taken and thrown away, so that its connection can be used again: a part, as clients of S3 send them. */
const REFUSED_BYTES_MAX = 256 * MiB;

/** A body whole. What was refused is left to be taken. Errors: LIMIT_EXCEEDED; CANCELLED when the client goes away. */
export async function readBody(request: HttpRequest, bytesMax: number): Promise<Buffer> {
  const tooLong = (): AetherError =>
    new AetherError("LIMIT_EXCEEDED", `a body has at most ${bytesMax} bytes`, { data: { limit: bytesMax } });
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) throw tooLong();
  // Parts are put together as they come: kept one by one, parts of a byte take a hundred times their length.
  let body = Buffer.allocUnsafe(FIRST_BYTES);
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const needed = bytes + part.byteLength;
    if (needed > bytesMax) throw tooLong();
    if (needed > body.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(needed, body.byteLength * 2));
      body.copy(larger, 0, 0, bytes);
      body = larger;
    }
    bytes += part.copy(body, bytes);
  }
  return body.subarray(0, bytes);
}

/** Throws a request's body away; false: there was more of it than is taken, or it broke off. */
export async function takeBody(request: HttpRequest): Promise<boolean> {
  let bytes = 0;
  try {
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      bytes += (piece as Uint8Array).byteLength;
      if (bytes > REFUSED_BYTES_MAX) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/**
 * Answers with an error at once, whatever body is still on its way: the client reads it while it sends. What comes of the body is
 * thrown away, and the connection is not used again.
 */
export async function refuse(request: HttpRequest, response: HttpResponse, error: unknown): Promise<void> {
  await refuseWith(request, response, problemMessage(error));
}

/** As refuse(), with a message that is made already. */
export async function refuseWith(
  request: HttpRequest,
  response: HttpResponse,
  { status, headers, bytes }: ProblemMessage,
): Promise<void> {
  const { httpVersionMajor, complete } = request;
  // Who waits for leave to send (RFC 9110 §10.1.1) was given none.
  const isWaiting = request.headers.expect !== undefined && !request.readableDidRead;
  if (httpVersionMajor > 1 || complete || isWaiting) {
    response.writeHead(status, headers);
    response.end(bytes);
    if (httpVersionMajor > 1 && !(await takeBody(request))) response.destroy();
    return;
  }
  response.writeHead(status, { ...headers, connection: "close" });
  response.write(bytes);
  await takeBody(request);
  response.end();
}
