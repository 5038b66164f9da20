/** Who a request is from: by Signature Version 4 in its header or its query, or nobody says. */
import { timingSafeEqual } from "node:crypto";
import type { AccessKeys } from "../../auth/access-keys.ts";
import type { HttpRequest } from "../http-handler.ts";
import { S3Error } from "./s3-error.ts";
import type { S3Target } from "./s3-target.ts";
import {
  ALGORITHM,
  canonicalRequest,
  signatureOf,
  stringToSign,
  type Scope,
  type SignedParts,
} from "./sig-v4.ts";

/** How far a client's clock may be off. */
const SKEW_MS = 15 * 60 * 1000;
const EXPIRES_SECONDS_MAX = 7 * 24 * 3600;
const CREDENTIAL = /^([^/\s]{1,128})\/(\d{8})\/([^/\s]{1,64})\/([^/\s]{1,64})\/aws4_request$/;
const TIME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const SIGNATURE = "X-Amz-Signature";
const PAYLOAD = "x-amz-content-sha256";

/** What a request says of who signed it. */
interface Claim {
  readonly id: string;
  readonly scope: Scope;
  readonly time: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly payload: string;
  /** Of a presigned URL. */
  readonly expiresSeconds: number | undefined;
}

/**
 * The name of the key's owner, or undefined of a request that is not signed. The body is not looked at: nothing that is answered has
 * one. `nowMs`: wall time, which is what a signature is limited by.
 * Errors: S3Error AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidAccessKeyId, InvalidRequest,
 * RequestTimeTooSkewed, AccessDenied, SignatureDoesNotMatch.
 */
export function authenticate(
  request: HttpRequest,
  target: S3Target,
  keys: AccessKeys,
  nowMs: number,
): string | undefined {
  const headers = headersOf(request);
  const claim = claimOf(headers, target);
  if (claim === undefined) return undefined;
  const key = keys.find(claim.id);
  if (key === undefined) throw new S3Error("InvalidAccessKeyId", { AWSAccessKeyId: claim.id });
  checkTime(claim, nowMs);
  checkSigned(claim, headers);
  const parts: Omit<SignedParts, "path"> = {
    method: request.method ?? "",
    pairs: target.pairs.filter(([name]) => name !== SIGNATURE),
    headers: claim.signedHeaders.map((name) => [name, headers.get(name) ?? []]),
    payload: claim.payload,
  };
  const signed = target.signedPaths.map((path) => {
    const canonical = canonicalRequest({ ...parts, path });
    const text = stringToSign(canonical, claim.time, claim.scope);
    return { canonical, text, signature: signatureOf(text, key.secret, claim.scope) };
  });
  if (signed.some(({ signature }) => isSame(signature, claim.signature))) return key.name;
  throw new S3Error("SignatureDoesNotMatch", {
    AWSAccessKeyId: claim.id,
    StringToSign: signed[0]?.text ?? "",
    SignatureProvided: claim.signature,
    CanonicalRequest: signed[0]?.canonical ?? "",
  });
}

type HeaderValues = ReadonlyMap<string, readonly string[]>;

/** All headers as they came; the host by HTTP/2 has a name of its own. Node takes bytes for Latin-1, clients sign UTF-8. */
function headersOf({ rawHeaders }: HttpRequest): HeaderValues {
  const headers = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = [rawHeaders[index]?.toLowerCase(), rawHeaders[index + 1]];
    const known = name === ":authority" ? "host" : name;
    headers.set(known, [...(headers.get(known) ?? []), Buffer.from(value, "latin1").toString()]);
  }
  return headers;
}

function claimOf(headers: HeaderValues, { query }: S3Target): Claim | undefined {
  const authorization = headers.get("authorization")?.[0];
  const inQuery = query.get("X-Amz-Algorithm");
  if (inQuery !== undefined) {
    if (authorization !== undefined) throw new S3Error("InvalidArgument", {}, ONE_WAY);
    if (inQuery !== ALGORITHM) throw notSupported();
    return queryClaim(headers, query);
  }
  if (authorization === undefined) {
    if (query.has("AWSAccessKeyId") && query.has("Signature")) throw notSupported();
    return undefined;
  }
  if (!authorization.startsWith(`${ALGORITHM} `)) throw notSupported();
  return headerClaim(headers, authorization.slice(ALGORITHM.length + 1));
}

const ONE_WAY =
  "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header";

function headerClaim(headers: HeaderValues, text: string): Claim {
  const parts = new Map(
    text.split(",", 4).map((part) => {
      const [name = "", ...value] = part.trim().split("=");
      return [name, value.join("=")];
    }),
  );
  const [credential, signed, signature] = ["Credential", "SignedHeaders", "Signature"].map((name) =>
    parts.get(name),
  );
  const time = headers.get("x-amz-date")?.[0] ?? basicTime(headers.get("date")?.[0]);
  const parsed = scopeOf(credential ?? "");
  const payload = headers.get(PAYLOAD)?.[0];
  if (parsed === undefined || signed === undefined || signature === undefined) {
    throw new S3Error("AuthorizationHeaderMalformed");
  }
  if (time === undefined || !TIME.test(time)) {
    throw new S3Error("AccessDenied", {}, "AWS authentication requires a valid Date or x-amz-date header");
  }
  if (!time.startsWith(parsed.scope.date)) {
    throw new S3Error("AuthorizationHeaderMalformed", {}, "The date of the credential is not the request's.");
  }
  if (payload === undefined) {
    throw new S3Error("InvalidRequest", {}, `Missing required header for this request: ${PAYLOAD}`);
  }
  return { ...parsed, time, signedHeaders: namesOf(signed), signature, payload, expiresSeconds: undefined };
}

function queryClaim(headers: HeaderValues, query: ReadonlyMap<string, string>): Claim {
  const value = (name: string): string => query.get(`X-Amz-${name}`) ?? "";
  const parsed = scopeOf(value("Credential"));
  const [time, expires, signed, signature] = ["Date", "Expires", "SignedHeaders", "Signature"].map(value);
  const isWhole = parsed !== undefined && TIME.test(time ?? "") && signed !== "" && signature !== "";
  if (!isWhole || time?.startsWith(parsed.scope.date) !== true) {
    throw new S3Error("AuthorizationQueryParametersError");
  }
  const expiresSeconds = /^\d{1,9}$/.test(expires ?? "") ? Number(expires) : Number.NaN;
  if (!(expiresSeconds <= EXPIRES_SECONDS_MAX)) {
    const text = `X-Amz-Expires must be a number of seconds, ${EXPIRES_SECONDS_MAX} at most`;
    throw new S3Error("AuthorizationQueryParametersError", {}, text);
  }
  const signedHeaders = namesOf(signed ?? "");
  const inHeader = signedHeaders.includes(PAYLOAD) ? headers.get(PAYLOAD)?.[0] : undefined;
  const payload = inHeader ?? (query.get("X-Amz-Content-Sha256") || "UNSIGNED-PAYLOAD");
  return { ...parsed, time, signedHeaders, signature: signature ?? "", payload, expiresSeconds };
}

function scopeOf(credential: string): { readonly id: string; readonly scope: Scope } | undefined {
  const [, id, date, region, service] = CREDENTIAL.exec(credential) ?? [];
  if (id === undefined || date === undefined || region === undefined || service !== "s3") return undefined;
  return { id, scope: { date, region, service } };
}

function namesOf(list: string): string[] {
  return list.toLowerCase().split(";").sort();
}

function checkTime({ time, expiresSeconds }: Claim, nowMs: number): void {
  const [, year, month, day, hour, minute, second] = (TIME.exec(time) ?? []).map(Number);
  const thenMs = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
  const server = isoSeconds(nowMs);
  const isEarly = thenMs - nowMs > SKEW_MS;
  const isLate = nowMs - thenMs > SKEW_MS;
  if (expiresSeconds === undefined ? isEarly || isLate : isEarly) {
    const facts = { RequestTime: time, ServerTime: server, MaxAllowedSkewMilliseconds: SKEW_MS };
    throw new S3Error("RequestTimeTooSkewed", facts);
  }
  const endMs = thenMs + (expiresSeconds ?? 0) * 1000;
  if (expiresSeconds !== undefined && nowMs >= endMs) {
    const facts = { "X-Amz-Expires": expiresSeconds, Expires: isoSeconds(endMs), ServerTime: server };
    throw new S3Error("AccessDenied", facts, "Request has expired");
  }
}

/** A header that changes what is answered must not be added by who only found the signature. */
function checkSigned({ signedHeaders, expiresSeconds }: Claim, headers: HeaderValues): void {
  const names = new Set(signedHeaders);
  const unsigned = [...headers.keys()].filter(
    (name) =>
      !names.has(name) &&
      (name === "host" || (name.startsWith("x-amz-") && !(name === PAYLOAD && expiresSeconds !== undefined))),
  );
  if (unsigned.length === 0) return;
  const text = "There were headers present in the request which were not signed";
  throw new S3Error("AccessDenied", { HeadersNotSigned: unsigned.join(", ") }, text);
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

function notSupported(): S3Error {
  const text = `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`;
  return new S3Error("InvalidRequest", {}, text);
}

/** A header `Date` in the form of x-amz-date. */
function basicTime(date: string | undefined): string | undefined {
  const ms = Date.parse(date ?? "");
  return Number.isNaN(ms) ? undefined : isoSeconds(ms).replace(/[-:]/g, "");
}

function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, "0000-00-00T00:00:00".length)}Z`;
}
