/** ListObjects, ListObjectsV2 and ListObjectVersions. "Amazon S3 API reference" */
import { AetherError } from "../../base/errors.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import { formatTime, lastModifiedOf } from "./object-headers.ts";
import { readKeyPage, type KeyPage, type PageRequest } from "./key-page.ts";
import { pinOf, type BucketView, type KeyItem } from "./keys.ts";
import { S3Error } from "./s3-error.ts";
import { encodeRfc3986 } from "./sig-v4.ts";
import { element, leaf, xmlDocument } from "./xml.ts";

/** Keys of one answer at most. */
const KEYS_MAX = 1000;
/** What tokens begin with: another form of them gets another letter. */
const TOKEN_FORM = "k";
const PINNED_FORM = "v";
/** Whose everything is: no client does more with it than to show it. */
export const OWNER = element("Owner", leaf("ID", "aetherfs"), leaf("DisplayName", "aetherfs"));

type Query = ReadonlyMap<string, string>;

interface ListOptions {
  readonly view: BucketView;
  readonly query: Query;
  readonly nowMs: number;
}

interface Listed extends PageRequest {
  readonly page: KeyPage;
  /** As the answer writes keys. */
  readonly encode: (text: string) => string;
  /** What answers of every form say. */
  readonly head: string;
}

/** The list's XML, in the form that the query asks for. Errors: S3Error InvalidArgument; those of readKeyPage. */
export async function listObjects(options: ListOptions): Promise<string> {
  const { query } = options;
  if (query.has("versions")) return listVersions(options);
  return query.get("list-type") === "2" ? listV2(options) : listV1(options);
}

async function listV1(options: ListOptions): Promise<string> {
  const marker = options.query.get("marker");
  const { page, encode, head, delimiter } = await list(options, marker);
  const next = page.next === undefined || delimiter === "" ? undefined : encode(page.next);
  return xmlDocument(
    "ListBucketResult",
    head,
    leaf("Marker", encode(marker ?? "")),
    leaf("NextMarker", next),
    ...page.items.map((item) => contentsOf(item, encode, options.nowMs, OWNER)),
    ...prefixesOf(page, encode),
  );
}

async function listV2(options: ListOptions): Promise<string> {
  const { query, nowMs } = options;
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const begun = token === undefined || token === "" ? undefined : readKeyToken(token);
  const pin = begun?.version && pinOf(options.view.bucket, { key: begun.after, version: begun.version });
  const { page, encode, head } = await list(
    { ...options, view: { ...options.view, pin } },
    begun === undefined ? startAfter : begun.after,
  );
  const owner = query.get("fetch-owner") === "true" ? OWNER : "";
  return xmlDocument(
    "ListBucketResult",
    head,
    leaf("KeyCount", page.items.length + page.prefixes.length),
    leaf("ContinuationToken", token),
    leaf(
      "NextContinuationToken",
      page.next === undefined ? undefined : writeKeyToken(page.next, page.nextPin?.version),
    ),
    leaf("StartAfter", startAfter === undefined ? undefined : encode(startAfter)),
    ...page.items.map((item) => contentsOf(item, encode, nowMs, owner)),
    ...prefixesOf(page, encode),
  );
}

/** Each key has one version, which S3 calls null where a bucket has no versioning. */
async function listVersions(options: ListOptions): Promise<string> {
  const { query, nowMs } = options;
  const marker = query.get("key-marker");
  const { page, encode, head } = await list(options, marker);
  const version = `${leaf("VersionId", "null")}${leaf("IsLatest", true)}`;
  return xmlDocument(
    "ListVersionsResult",
    head,
    leaf("KeyMarker", encode(marker ?? "")),
    leaf("VersionIdMarker", query.get("version-id-marker") ?? ""),
    leaf("NextKeyMarker", page.next === undefined ? undefined : encode(page.next)),
    leaf("NextVersionIdMarker", page.next === undefined ? undefined : "null"),
    ...page.items.map((item) => contentsOf(item, encode, nowMs, `${version}${OWNER}`, "Version")),
    ...prefixesOf(page, encode),
  );
}

async function list({ view, query }: ListOptions, after: string | undefined): Promise<Listed> {
  const encoding = query.get("encoding-type");
  if (encoding !== undefined && encoding !== "" && encoding !== "url") {
    throw invalid("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  }
  const encode = encoding === "url" ? encodeKey : (text: string): string => text;
  const [prefix, delimiter] = [query.get("prefix") ?? "", query.get("delimiter") ?? ""];
  const keysMax = countOf(query, "max-keys", KEYS_MAX);
  const request: PageRequest = { prefix, delimiter, after, keysMax };
  const page = await readKeyPage(view, request);
  const head =
    leaf("Name", view.bucket.text) +
    leaf("Prefix", encode(prefix)) +
    leaf("Delimiter", delimiter === "" ? undefined : encode(delimiter)) +
    leaf("MaxKeys", keysMax) +
    leaf("EncodingType", encoding === "url" ? encoding : undefined) +
    leaf("IsTruncated", page.next !== undefined);
  return { ...request, page, encode, head };
}

/** A number of the query that limits an answer: `max` when it is not given, or more. Errors: S3Error InvalidArgument. */
export function countOf(query: Query, name: string, max: number): number {
  const text = query.get(name) ?? "";
  if (text === "") return max;
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text), max);
  throw invalid(name, text, `Provided ${name} not an integer or within integer range`);
}

function contentsOf(
  { key, etag, sizeBytes, seconds }: KeyItem,
  encode: (text: string) => string,
  nowMs: number,
  more: string,
  name = "Contents",
): string {
  return element(
    name,
    leaf("Key", encode(key)),
    leaf("LastModified", formatTime(lastModifiedOf(seconds, nowMs))),
    leaf("ETag", etag),
    leaf("Size", sizeBytes),
    leaf("StorageClass", "STANDARD"),
    more,
  );
}

function prefixesOf({ prefixes }: KeyPage, encode: (text: string) => string): string[] {
  return prefixes.map((prefix) => element("CommonPrefixes", leaf("Prefix", encode(prefix))));
}

function encodeKey(key: string): string {
  return key.split("/").map(encodeRfc3986).join("/");
}

/** A token says where the next page begins, and holds as long as the bucket. */
export function writeToken(after: string): string {
  return `${TOKEN_FORM}${Buffer.from(after).toString("base64url")}`;
}

/** The same with the version that the keys so far were of: the next page is of that one, too. */
function writeKeyToken(after: string, version: Digest | undefined): string {
  if (version === undefined) return writeToken(after);
  return `${PINNED_FORM}${Buffer.concat([digestBytes(version), Buffer.from(after)]).toString("base64url")}`;
}

function readKeyToken(token: string): { readonly after: string; readonly version: Digest | undefined } {
  if (!token.startsWith(PINNED_FORM)) return { after: readToken(token), version: undefined };
  const bytes = Buffer.from(token.slice(PINNED_FORM.length), "base64url");
  if (bytes.byteLength > DIGEST_BYTES) {
    const version = digestFromBytes(bytes);
    const after = bytes.subarray(DIGEST_BYTES).toString();
    if (writeKeyToken(after, version) === token) return { after, version };
  }
  throw invalid("continuation-token", token, "The continuation token provided is incorrect");
}

/** What writeToken wrote, as `parse` reads it. Errors: S3Error InvalidArgument. */
export function readToken(token: string): string;
export function readToken<T>(token: string, parse: (text: string) => T): T;
export function readToken<T>(token: string, parse?: (text: string) => T): T | string {
  const after = Buffer.from(token.slice(TOKEN_FORM.length), "base64url").toString();
  if (after !== "" && writeToken(after) === token) {
    try {
      return parse === undefined ? after : parse(after);
    } catch (error) {
      if (!(error instanceof AetherError)) throw error;
    }
  }
  throw invalid("continuation-token", token, "The continuation token provided is incorrect");
}

function invalid(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", { ArgumentName: name, ArgumentValue: value }, message);
}
