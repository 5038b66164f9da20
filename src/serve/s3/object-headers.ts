/** What the headers of an object say. */
import type { FileTime } from "../../format/entry.ts";
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import type { FileNode, DirectoryNode } from "../../vfs/tree.ts";
import { contentTypeOf, guardsOf } from "../content-type.ts";
import { httpDate } from "../http-time.ts";
import type { HttpRequest } from "../http-handler.ts";
import { S3Error } from "./s3-error.ts";

const SECOND_MS = 1000;
const NANOS_DIGITS = 9;
/** Types of files as POSIX has them in a mode: clients that keep modes keep them so. */
const [FILE_MODE, FOLDER_MODE] = [0o100000, 0o040000];
/** The content of what stands for a directory. */
const EMPTY_DIGEST = digestOf(new Uint8Array());
const FOLDER_TYPE = "application/x-directory";

/** Query → the header that it sets. */
const OVERRIDES = {
  "response-content-type": "content-type",
  "response-content-language": "content-language",
  "response-expires": "expires",
  "response-cache-control": "cache-control",
  "response-content-disposition": "content-disposition",
  "response-content-encoding": "content-encoding",
} as const;

/** An object as it is answered. */
export interface S3Object {
  readonly sizeBytes: number;
  readonly digest: Digest;
  /** With its quotes. */
  readonly etag: string;
  /** In seconds since 1970. */
  readonly lastModified: number;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * When an object changed: the file's own time, as far as clients can read it; 0 of one that lies in the future, which no answer may tell
 * (RFC 9110 §8.8.2.1), and which would be another one in each. Seconds since 1970.
 */
export function lastModifiedOf(seconds: number, nowMs: number): number {
  return seconds * SECOND_MS > nowMs ? 0 : Math.max(seconds, 0);
}

/** A time in the form of XML: whole seconds, as in the header, so that both say the same. */
export function formatTime(seconds: number): string {
  return new Date(seconds * SECOND_MS).toISOString();
}

/** What a file, or a directory as `path/`, is as an object. */
export function objectOf(
  node: FileNode | DirectoryNode,
  key: string,
  request: HttpRequest,
  nowMs: number,
): S3Object {
  const isFile = node.kind === "file";
  const sizeBytes = isFile ? node.entry.size : 0;
  const digest = isFile ? node.entry.digest : EMPTY_DIGEST;
  const etag = isFile ? etagOf(digest) : folderEtagOf(key);
  const type = isFile ? contentTypeOf(node.entry.path) : FOLDER_TYPE;
  const lastModified = lastModifiedOf(node.entry?.mtime.seconds ?? 0, nowMs);
  const checksum =
    request.headers["x-amz-checksum-mode"] === "ENABLED"
      ? { "x-amz-checksum-sha256": base64Of(digest), "x-amz-checksum-type": "FULL_OBJECT" }
      : {};
  return {
    sizeBytes,
    digest,
    etag,
    lastModified,
    headers: {
      "accept-ranges": "bytes",
      "content-type": type,
      etag,
      "last-modified": httpDate(lastModified),
      ...checksum,
      ...metadataOf(node),
    },
  };
}

/**
 * The ETag of content with this SHA-256, with its quotes. It ends as that of an upload in one part: clients take what has no dash for
 * an MD5, and warn (s3cmd) or fail (AWS SDK for Java 1) when it is none.
 */
export function etagOf(digest: Digest): string {
  return `"${digest}-1"`;
}

/**
 * The ETag of what stands for a directory, with its quotes: of no other object. s3cmd copies objects of one ETag from each other, and a
 * directory is no copy of an empty file.
 */
export function folderEtagOf(key: string): string {
  return etagOf(digestOf(Buffer.from(key)));
}

/** A digest as S3 writes checksums. */
export function base64Of(digest: Digest): string {
  return Buffer.from(digestBytes(digest)).toString("base64");
}

/** Time and mode under the names that rclone and s3fs keep them by. */
function metadataOf({ kind, entry }: FileNode | DirectoryNode): Record<string, string> {
  if (entry === undefined) return {};
  const mode = { "x-amz-meta-mode": String(entry.mode | (kind === "file" ? FILE_MODE : FOLDER_MODE)) };
  return entry.mtime.seconds < 0 ? mode : { ...mode, "x-amz-meta-mtime": timeOf(entry.mtime) };
}

function timeOf({ seconds, nanos }: FileTime): string {
  return nanos === 0 ? String(seconds) : `${seconds}.${String(nanos).padStart(NANOS_DIGITS, "0")}`;
}

/**
 * The headers with what the query overrides, and with what keeps a browser from running content as one of this origin.
 * Errors: S3Error InvalidRequest when nobody signed that; InvalidArgument.
 */
export function overridden(
  headers: Readonly<Record<string, string>>,
  query: ReadonlyMap<string, string>,
  isSigned: boolean,
): Record<string, string> {
  const result: Record<string, string> = { ...headers };
  for (const [parameter, header] of Object.entries(OVERRIDES)) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    if (!isSigned) {
      const text = "Request specific response headers cannot be used for anonymous GET requests.";
      throw new S3Error("InvalidRequest", {}, text);
    }
    // Node writes each character as one byte.
    const bytes = Buffer.from(value).toString("latin1");
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(bytes)) {
      throw new S3Error("InvalidArgument", { ArgumentName: parameter });
    }
    result[header] = bytes;
  }
  const guards = guardsOf(result["content-type"] ?? "");
  // Who has signed a URL may have it shown in a page of elsewhere: that is what such URLs are for.
  const policy: Record<string, string> = isSigned ? { "cross-origin-resource-policy": "cross-origin" } : {};
  return { ...result, ...guards, ...policy };
}
