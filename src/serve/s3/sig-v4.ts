/** Signature Version 4 as S3 has it: one encoding of the path, which is not normalized. "Signing AWS API requests" of the AWS reference */
import { createHash, createHmac } from "node:crypto";

/** The algorithm's name. */
export const ALGORITHM = "AWS4-HMAC-SHA256";

/** What of a request is signed. */
export interface SignedParts {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  /** Decoded, without the signature itself. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Names in lower case, sorted, with the values that came, in their order. */
  readonly headers: readonly (readonly [string, readonly string[]])[];
  /** SHA-256 of the body in hex, or what stands instead. */
  readonly payload: string;
}

/** DATE/REGION/SERVICE/aws4_request of a credential. */
export interface Scope {
  /** YYYYMMDD */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** RFC 3986 §2.3: everything but letters, digits and -_.~ is encoded. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The canonical form of a request. */
export function canonicalRequest({ method, path, pairs, headers, payload }: SignedParts): string {
  const query = pairs
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
  const lines = headers.map(([name, values]) => `${name}:${values.map(trimmed).join(",")}\n`);
  const uri = path.split("/").map(encodeRfc3986).join("/");
  const names = headers.map(([name]) => name).join(";");
  return [method, uri, query, lines.join(""), names, payload].join("\n");
}

/** What is signed of it. `time`: YYYYMMDDTHHMMSSZ */
export function stringToSign(canonical: string, time: string, { date, region, service }: Scope): string {
  const hash = createHash("sha256").update(canonical).digest("hex");
  return [ALGORITHM, time, `${date}/${region}/${service}/aws4_request`, hash].join("\n");
}

/** The signature in hex. */
export function signatureOf(text: string, secret: string, { date, region, service }: Scope): string {
  const steps = [date, region, service, "aws4_request"];
  const key = steps.reduce<Buffer | string>((each, step) => hmac(each, step), `AWS4${secret}`);
  return hmac(key, text).toString("hex");
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function trimmed(value: string): string {
  return value.trim().replace(/ +/g, " ");
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
