/** A file of a version as a response. RFC 9110 §14, §15.3 */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import type { FileEntry } from "../../format/entry.ts";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import { Body } from "../body.ts";
import { parseRanges } from "../byte-ranges.ts";
import { checkConditions, holdsIfRange, type Validators } from "../conditions.ts";
import { contentTypeOf, guardsOf } from "../content-type.ts";
import { httpDate, modifiedSecondsOf } from "../http-time.ts";
import { multipartOf } from "./multipart.ts";

/** What answering takes. */
export interface FileAnswer {
  readonly entry: FileEntry;
  /** For Cache-Control. */
  readonly cacheControl: string;
  readonly nowMs: number;
  /** Parts several ranges: 32 unguessable hex digits. */
  readonly boundary: string;
  /** The file's bytes within a range, verified. */
  readonly read: (range: ByteRange) => AsyncIterable<Uint8Array>;
}

/** Answers a GET or HEAD with a file, or a part of it, as its conditions say. Errors: RANGE_INVALID; those of `read`. */
export async function sendFile(
  request: HttpRequest,
  response: HttpResponse,
  file: FileAnswer,
): Promise<void> {
  const { entry, cacheControl, nowMs } = file;
  const { headers } = request;
  const modifiedSeconds = modifiedSecondsOf(entry.mtime, nowMs);
  const validators: Validators = { etag: `"${entry.digest}"`, modifiedSeconds };
  const about = {
    etag: validators.etag,
    "cache-control": cacheControl,
    "accept-ranges": "bytes",
    ...(modifiedSeconds === undefined ? {} : { "last-modified": httpDate(modifiedSeconds) }),
  };
  const status = checkConditions(headers, validators);
  if (status !== 200) {
    response.writeHead(status, about);
    response.end();
    return;
  }
  const contentType = contentTypeOf(entry.path);
  const shape = { ...about, "content-type": contentType, ...guardsOf(contentType) };
  const ranges = rangesOf(request, validators, entry.size);
  if (ranges?.length === 0) {
    response.setHeader("content-range", `bytes */${entry.size}`);
    throw new AetherError("RANGE_INVALID", `no byte of ${entry.size} lies in the range`, {
      data: { sizeBytes: entry.size },
    });
  }
  if (ranges === undefined) {
    response.writeHead(200, { ...shape, "content-length": entry.size });
    await sendBytes(request, response, file, { start: 0, end: entry.size });
  } else if (ranges.length > 1) {
    await sendRanges(response, file, ranges, shape);
  } else {
    const range = must(ranges[0], "there is one");
    const { start, end } = range;
    const contentRange = `bytes ${start}-${end - 1}/${entry.size}`;
    response.writeHead(206, { ...shape, "content-length": end - start, "content-range": contentRange });
    await sendBytes(request, response, file, range);
  }
}

/** Only GET has ranges. RFC 9110 §14.2 */
function rangesOf(request: HttpRequest, validators: Validators, sizeBytes: number): ByteRange[] | undefined {
  const { method, headers } = request;
  if (method !== "GET" || headers.range === undefined || !holdsIfRange(headers, validators)) return undefined;
  return parseRanges(headers.range, sizeBytes);
}

async function sendBytes(
  { method }: HttpRequest,
  response: HttpResponse,
  { read }: FileAnswer,
  range: ByteRange,
): Promise<void> {
  if (method === "HEAD" || range.start === range.end) {
    response.end();
    return;
  }
  await new Body(response).send(read(range));
}

/** Several ranges as one body. RFC 9110 §15.3.7.2 */
async function sendRanges(
  response: HttpResponse,
  { entry, boundary, read }: FileAnswer,
  ranges: readonly ByteRange[],
  shape: Readonly<Record<string, string>>,
): Promise<void> {
  const contentType = contentTypeOf(entry.path);
  const parts = multipartOf(ranges, entry.size, contentType, boundary);
  const { contentType: type, contentLength, heads, tail } = parts;
  response.writeHead(206, { ...shape, "content-type": type, "content-length": contentLength });
  async function* pieces(): AsyncGenerator<Uint8Array | string> {
    for (const [index, range] of ranges.entries()) {
      yield must(heads[index], "every range has one");
      yield* read(range);
    }
    yield tail;
  }
  await new Body(response).send(pieces());
}
