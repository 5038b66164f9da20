/** GetObject, HeadObject and GetObjectAttributes. "Amazon S3 API reference" */
import type { IncomingHttpHeaders } from "node:http";
import type { ByteRange } from "../../base/byte-range.ts";
import { codeOf } from "../../base/errors.ts";
import { parseDigest } from "../../format/digest.ts";
import { parseTag } from "../../format/reference.ts";
import { pathFault } from "../../format/entry.ts";
import type { Caller, DirectoryNode, FileNode, Tree } from "../../vfs/tree.ts";
import type { VersionName } from "../../vfs/tree-path.ts";
import { WHOLE_BYTES_MAX, type Answer } from "../answers.ts";
import { Body } from "../body.ts";
import { likelyRange, parseRanges } from "../byte-ranges.ts";
import { checkConditions, holdsIfRange, type Validators } from "../conditions.ts";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import type { Bucket } from "./buckets.ts";
import { base64Of, objectOf, overridden, type S3Object } from "./object-headers.ts";
import { S3Error } from "./s3-error.ts";
import { subresourceOf } from "./subresources.ts";
import { leaf, element, xmlDocument } from "./xml.ts";

/** Parts that an upload may have had: numbers beyond are none. */
const PARTS_MAX = 10_000;

/** Who asks for which object. */
export interface ObjectRequest {
  readonly request: HttpRequest;
  readonly query: ReadonlyMap<string, string>;
  readonly tree: Tree;
  readonly caller: Caller;
  readonly bucket: Bucket;
  readonly key: string;
  readonly isSigned: boolean;
  readonly nowMs: number;
  readonly answer: Answer;
}

/**
 * What lies at a key: a file, through links of its version, or a directory as `path/`, which is listed only when it is empty and asked
 * for also when it is not. Errors: S3Error NoSuchKey, NoSuchVersion; those of Tree.look.
 */
export async function findObject(asked: ObjectRequest): Promise<FileNode | DirectoryNode> {
  const { tree, caller, bucket, key, query, answer } = asked;
  const version = query.get("versionId");
  if (version !== undefined && version !== "null") {
    throw new S3Error("NoSuchVersion", { Key: key, VersionId: version });
  }
  const isFolder = key.endsWith("/");
  const place = placeOf(bucket, isFolder ? key.slice(0, -1) : key, isFolder);
  if (place === undefined) {
    const isBucket = (await tree.created(caller, bucket.name)) !== undefined;
    throw isBucket ? noSuchKey(key) : new S3Error("NoSuchBucket", { BucketName: bucket.text });
  }
  try {
    const node = await tree.look(caller, { kind: "version", ...place }, soonOf(asked), answer);
    if ((node.kind === "directory") === isFolder) return node;
  } catch (error) {
    if (!GONE.has(codeOf(error))) throw error;
  }
  throw noSuchKey(key);
}

/** What will be read of a file. */
function soonOf({ request, query }: ObjectRequest): ByteRange | undefined {
  const isContent = request.method === "GET" && subresourceOf(query, true) === undefined;
  return isContent && !query.has("attributes") ? likelyRange(request.headers.range) : undefined;
}

const GONE: ReadonlySet<string> = new Set(["TAG_NOT_FOUND", "VERSION_NOT_FOUND", "PATH_NOT_FOUND"]);

/** Undefined: no version can have such a key. */
function placeOf(
  { name, tag }: Bucket,
  key: string,
  isFolder: boolean,
): (VersionName & { readonly path: string }) | undefined {
  if (tag !== undefined) {
    if (pathFault(key) !== undefined) return undefined;
    return { name, tag, digest: undefined, path: key };
  }
  const slash = key.indexOf("/");
  const [text, path] = slash === -1 ? [key, ""] : [key.slice(0, slash), key.slice(slash + 1)];
  const isTop = slash === -1 && isFolder;
  if (!isTop && pathFault(path) !== undefined) return undefined;
  try {
    return text.includes(":")
      ? { name, tag: undefined, digest: parseDigest(text), path }
      : { name, tag: parseTag(text), digest: undefined, path };
  } catch {
    return undefined;
  }
}

function noSuchKey(key: string): S3Error {
  return new S3Error("NoSuchKey", { Key: key });
}

/** Answers GET and HEAD of an object. Errors: S3Error; those of findObject and Tree.read. */
export async function sendObject(asked: ObjectRequest, response: HttpResponse): Promise<void> {
  const { request, query, tree, isSigned, nowMs, answer } = asked;
  const node = await findObject(asked);
  const object = objectOf(node, asked.key, request, nowMs);
  const headers = overridden(object.headers, query, isSigned);
  // 1970 is what stands for a time that nobody can tell.
  const modifiedSeconds = object.lastModified === 0 ? undefined : object.lastModified;
  const validators: Validators = { etag: object.etag, modifiedSeconds };
  const status = checkConditions(quoted(request.headers), validators);
  if (status === 412) {
    const condition = request.headers["if-match"] === undefined ? "If-Unmodified-Since" : "If-Match";
    throw new S3Error("PreconditionFailed", { Condition: condition });
  }
  if (status === 304) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  const range = rangeOf(asked, object, validators);
  const { start, end } = range ?? { start: 0, end: object.sizeBytes };
  const isSent = request.method !== "HEAD" && node.kind === "file" && start < end;
  if (isSent && end - start > WHOLE_BYTES_MAX) await answer.stream();
  // Before the head: what is not to be had is an error's status, not half an answer.
  const small = isSent ? await tree.whole(node, answer) : undefined;
  const length = { "content-length": end - start };
  if (range === undefined) {
    response.writeHead(200, { ...headers, ...length });
  } else {
    const isWhole = end - start === object.sizeBytes;
    const contentRange = { "content-range": `bytes ${start}-${end - 1}/${object.sizeBytes}` };
    response.writeHead(206, {
      ...(isWhole ? headers : withoutChecksum(headers)),
      ...length,
      ...contentRange,
    });
  }
  if (!isSent) {
    response.end();
    return;
  }
  if (small !== undefined) response.end(small.subarray(start, end));
  else await new Body(response).send(answer.sent(tree.read(node, { start, end }, answer)));
}

/** ETags that clients send without quotes count as quoted, as S3 has it. */
function quoted(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const result = { ...headers };
  for (const name of ["if-match", "if-none-match"] as const) {
    const value = headers[name];
    if (value === undefined || value.includes('"') || value.trim() === "*") continue;
    result[name] = value
      .split(",")
      .map((each) => `"${each.trim()}"`)
      .join(",");
  }
  return result;
}

/** Of several ranges comes the whole: S3 has none of them. Undefined: all is sent. */
function rangeOf(
  { request, query }: ObjectRequest,
  { sizeBytes }: S3Object,
  validators: Validators,
): ByteRange | undefined {
  const { range: header } = request.headers;
  const part = query.get("partNumber");
  if (part !== undefined) {
    if (header !== undefined) {
      throw new S3Error(
        "InvalidRequest",
        {},
        "Cannot specify both Range header and partNumber query parameter",
      );
    }
    return partOf(part, sizeBytes);
  }
  if (header === undefined || !holdsIfRange(request.headers, validators)) return undefined;
  const ranges = parseRanges(header, sizeBytes);
  if (ranges?.length === 0) {
    throw new S3Error("InvalidRange", { RangeRequested: header, ActualObjectSize: sizeBytes });
  }
  return ranges?.length === 1 ? ranges[0] : undefined;
}

/** Every object is of one part. */
function partOf(text: string, sizeBytes: number): ByteRange | undefined {
  const part = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (part < 1 || part > PARTS_MAX) {
    const message = `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`;
    throw new S3Error("InvalidArgument", { ArgumentName: "partNumber", ArgumentValue: text }, message);
  }
  if (part > 1) throw new S3Error("InvalidPartNumber", { ActualPartCount: 1, PartNumberRequested: part });
  return sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes };
}

/** A checksum is of the whole: with a part of it, a client would compare it to that. */
function withoutChecksum(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith("x-amz-checksum-")));
}

/** The XML of GetObjectAttributes, and when the object changed. Errors: S3Error InvalidArgument; those of findObject. */
export async function objectAttributes(
  asked: ObjectRequest,
): Promise<{ readonly xml: string; readonly lastModified: number }> {
  const { request, key, nowMs } = asked;
  const { digest, etag, sizeBytes, lastModified } = objectOf(await findObject(asked), key, request, nowMs);
  const known: Readonly<Record<string, string>> = {
    ETag: leaf("ETag", etag.slice(1, -1)),
    Checksum: element(
      "Checksum",
      leaf("ChecksumSHA256", base64Of(digest)),
      leaf("ChecksumType", "FULL_OBJECT"),
    ),
    ObjectParts: "",
    StorageClass: leaf("StorageClass", "STANDARD"),
    ObjectSize: leaf("ObjectSize", sizeBytes),
  };
  const wanted = String(request.headers["x-amz-object-attributes"] ?? "")
    .split(",")
    .map((name) => name.trim());
  const xml = wanted.map((name) => {
    const found = Object.hasOwn(known, name) ? known[name] : undefined;
    if (found !== undefined) return found;
    const facts = { ArgumentName: "x-amz-object-attributes", ArgumentValue: name };
    throw new S3Error("InvalidArgument", facts, "Invalid attribute name specified.");
  });
  return { xml: xmlDocument("GetObjectAttributesResponse", ...xml), lastModified };
}
