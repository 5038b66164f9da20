/** A file of a version as a response. RFC 9110 §14, §15.3 */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { gatherBytes } from "../../base/bytes.ts";
import { KiB } from "../../base/limits.ts";
import { AetherError } from "../../base/errors.ts";
import type { FileEntry } from "../../format/entry.ts";
import { WHOLE_BYTES_MAX, type Answer } from "../answers.ts";
import { Body } from "../body.ts";
import { parseRanges } from "../byte-ranges.ts";
import { checkConditions, holdsIfRange, type Validators } from "../conditions.ts";
import { contentTypeOf, guardsOf } from "../content-type.ts";
import { httpDate, modifiedSecondsOf } from "../http-time.ts";
import { sendNotAcceptable, type HttpRequest, type HttpResponse } from "../http-handler.ts";
import { code, codingOf, isWorthCoding, type Coding } from "../codings.ts";
import { attachment } from "./disposition.ts";
import { multipartOf } from "./multipart.ts";

/** What answering takes. */
export interface FileAnswer {
  readonly entry: FileEntry;
  /** For Cache-Control. */
  readonly cacheControl: string;
  /** Whether the request's target names this content and no other, ever. */
  readonly isFixed: boolean;
  /** The name to save it under: "" is its own, undefined leaves it to the client. */
  readonly download: string | undefined;
  readonly nowMs: number;
  /** Parts several ranges: 32 unguessable hex digits. */
  readonly boundary: () => string;
  readonly answer: Answer;
  /** The bytes of a small file, verified, which others read too; undefined: it is larger. */
  readonly whole: () => Promise<Uint8Array> | undefined;
  /** The file's bytes within a range, verified. */
  readonly read: (range: ByteRange) => AsyncIterable<Uint8Array>;
}

/** Content up to this size is sent in one piece with its head: a second piece costs more than a copy. */
const JOINED_BYTES_MAX = 4 * KiB;

type Fields = Readonly<Record<string, string | number>>;

/** What the answers about an entry have in common. */
interface Prepared {
  readonly contentType: string;
  /** Its own time as a date, whether or not it may be told. */
  readonly modified: string;
  readonly digest: string;
  /** Of 200 and 206. */
  readonly shape: Fields;
}

/** Entries are kept by the tree as long as they are asked for. */
const PREPARED = new WeakMap<FileEntry, Prepared>();

function prepared(entry: FileEntry): Prepared {
  const known = PREPARED.get(entry);
  if (known !== undefined) return known;
  const contentType = contentTypeOf(entry.path);
  const facts = {
    contentType,
    modified: httpDate(entry.mtime.seconds),
    digest: `sha-256=:${Buffer.from(entry.digest, "hex").toString("base64")}:`,
    shape: { "accept-ranges": "bytes", "content-type": contentType, ...guardsOf(contentType) },
  };
  PREPARED.set(entry, facts);
  return facts;
}

/**
 * Answers a GET or HEAD with a file, or a part of it, as its conditions and the codings that the client takes say. Errors:
 * RANGE_INVALID; HUB_BUSY; those of `read`.
 */
export async function sendFile(
  request: HttpRequest,
  response: HttpResponse,
  file: FileAnswer,
): Promise<void> {
  const { entry, cacheControl } = file;
  const { headers } = request;
  const { contentType, modified, digest, shape: common } = prepared(entry);
  const coding = chooseCoding(request, file, contentType);
  if (coding === undefined) {
    sendNotAcceptable(response, "content-encoding zstd, br, gzip or identity");
    return;
  }
  const validators = validatorsOf(file, coding);
  const { etag, modifiedSeconds } = validators;
  const about = {
    etag,
    "cache-control": cacheControl,
    // Also of what is coded for nobody but who takes nothing else (identity;q=0).
    vary: "accept-encoding",
    ...(modifiedSeconds === undefined ? {} : { "last-modified": modified }),
  };
  const status = checkConditions(headers, validators);
  if (status !== 200) {
    response.writeHead(status, status === 304 ? about : { ...about, "content-length": 0 });
    response.end();
    return;
  }
  const shape = { ...about, ...common, ...dispositionOf(file) };
  if (coding === "identity") {
    await sendPlain(request, response, file, validators, { ...shape, "repr-digest": digest });
    return;
  }
  const isSent = request.method !== "HEAD";
  if (isSent) {
    await file.answer.stream();
    await file.answer.takeCoder();
  }
  response.writeHead(200, { ...shape, "content-encoding": coding });
  const content = file.read({ start: 0, end: entry.size });
  if (isSent) await new Body(response).send(file.answer.sent(code(file.answer.wanted(content), coding)));
  else response.end();
}

/** Ranges and strong comparisons are of the content as it is: a coded one is another each time that it is made. */
function chooseCoding(
  { headers }: HttpRequest,
  { entry, answer }: FileAnswer,
  contentType: string,
): Coding | undefined {
  const accepted = headers["accept-encoding"];
  if (typeof accepted !== "string") return "identity";
  const isPlain = headers.range !== undefined || headers["if-match"] !== undefined || !answer.mayCode;
  return codingOf(accepted, !isPlain && isWorthCoding(contentType, entry.size));
}

/** Each representation has an entity tag of its own. RFC 9110 §8.8.3.3 */
function validatorsOf({ entry, isFixed, nowMs }: FileAnswer, coding: Coding): Validators {
  const modifiedSeconds = modifiedSecondsOf(entry.mtime, nowMs);
  const isPlain = coding === "identity";
  const etag = isPlain ? `"${entry.digest}"` : `W/"${entry.digest}.${coding}"`;
  return { etag, modifiedSeconds, isModifiedStrong: isFixed && isPlain, mayGoBack: !isFixed };
}

function dispositionOf({ download, entry: { path } }: FileAnswer): Fields {
  if (download === undefined) return {};
  const name = download === "" ? path.slice(path.lastIndexOf("/") + 1) : download;
  return { "content-disposition": attachment(name) };
}

async function sendPlain(
  request: HttpRequest,
  response: HttpResponse,
  file: FileAnswer,
  validators: Validators,
  shape: Fields,
): Promise<void> {
  const { size } = file.entry;
  const ranges = rangesOf(request, validators, size);
  if (ranges?.length === 0) {
    response.setHeader("content-range", `bytes */${size}`);
    throw new AetherError("RANGE_INVALID", `no byte of ${size} lies in the range`, {
      data: { sizeBytes: size },
    });
  }
  const asked = ranges ?? [{ start: 0, end: size }];
  const bytes = asked.reduce((sum, { start, end }) => sum + end - start, 0);
  if (request.method !== "HEAD" && (asked.length > 1 || bytes > WHOLE_BYTES_MAX)) await file.answer.stream();
  if (asked.length > 1) {
    await sendRanges(response, file, asked, shape);
    return;
  }
  const range = must(asked[0], "there is one");
  const { start, end } = range;
  // Before the head: what is not to be had is an error's status, not half an answer.
  const whole = request.method === "HEAD" ? undefined : await wholeOf(file, range);
  if (ranges === undefined) {
    response.writeHead(200, { ...shape, "content-length": size });
  } else {
    const contentRange = `bytes ${start}-${end - 1}/${size}`;
    response.writeHead(206, { ...shape, "content-length": end - start, "content-range": contentRange });
  }
  if (request.method === "HEAD" || start === end) response.end();
  else if (whole !== undefined) endWith(response, whole);
  else await new Body(response).send(file.answer.sent(file.read(range)));
}

/** Node joins a head with text into one piece, with bytes never. */
function endWith(response: HttpResponse, { buffer, byteOffset, byteLength }: Uint8Array): void {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  if (byteLength <= JOINED_BYTES_MAX) response.end(bytes.toString("latin1"), "latin1");
  else response.end(bytes);
}

/** Only GET has ranges. RFC 9110 §14.2 */
function rangesOf(request: HttpRequest, validators: Validators, sizeBytes: number): ByteRange[] | undefined {
  const { method, headers } = request;
  if (method !== "GET" || headers.range === undefined || !holdsIfRange(headers, validators)) return undefined;
  return parseRanges(headers.range, sizeBytes);
}

/** The bytes of a range that are sent whole; undefined: they are too many, or none. */
async function wholeOf(
  { read, whole }: FileAnswer,
  { start, end }: ByteRange,
): Promise<Uint8Array | undefined> {
  if (start === end) return undefined;
  const small = await whole();
  if (small !== undefined) return small.subarray(start, end);
  return end - start <= WHOLE_BYTES_MAX ? gatherBytes(read({ start, end }), end - start) : undefined;
}

/** Several ranges as one body. RFC 9110 §15.3.7.2 */
async function sendRanges(
  response: HttpResponse,
  { entry, boundary, read, answer }: FileAnswer,
  ranges: readonly ByteRange[],
  shape: Fields,
): Promise<void> {
  const contentType = contentTypeOf(entry.path);
  const parts = multipartOf(ranges, entry.size, contentType, boundary());
  const { contentType: type, contentLength, heads, tail } = parts;
  response.writeHead(206, { ...shape, "content-type": type, "content-length": contentLength });
  async function* pieces(): AsyncGenerator<Uint8Array | string> {
    for (const [index, range] of ranges.entries()) {
      yield must(heads[index], "every range has one");
      yield* read(range);
    }
    yield tail;
  }
  await new Body(response).send(answer.sent(pieces()));
}
