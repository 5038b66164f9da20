/** What the target of a request names. "Virtual hosting of buckets" of the Amazon S3 user guide */
import type { IncomingHttpHeaders } from "node:http";
import { S3Error } from "./s3-error.ts";

/** Pairs that a query may have. */
const PAIRS_MAX = 64;

/** Where a request goes. */
export interface S3Target {
  /** The path, decoded, in the forms that clients sign: with all that stands before the bucket, and without. */
  readonly signedPaths: readonly string[];
  /** The query's pairs, decoded, in their order: what is signed. */
  readonly pairs: readonly (readonly [string, string])[];
  /** The first value of each name. */
  readonly query: ReadonlyMap<string, string>;
  /** "" is the service. */
  readonly bucket: string;
  /** "" is the bucket itself. */
  readonly key: string;
}

/** What tells a bucket in a request. */
export interface S3Place {
  /** What stands before the bucket in paths: "" or "/s3". */
  readonly base: string;
  /** Domains below which a host's name begins with a bucket. */
  readonly domains: readonly string[];
  /** Domains below which it does so elsewhere: what is signed for such a host means another object there. */
  readonly domainsElsewhere?: readonly string[];
}

/** Reads it. Errors: S3Error InvalidURI. */
export function parseS3Target(target: string, host: string | undefined, place: S3Place): S3Target {
  const mark = target.indexOf("?");
  const raw = mark === -1 ? target : target.slice(0, mark);
  if (!raw.startsWith("/") || raw.includes("#")) throw new S3Error("InvalidURI");
  const path = decode(raw);
  const pairs = mark === -1 ? [] : parsePairs(target.slice(mark + 1));
  const query = new Map(pairs.toReversed());
  const below = path.slice(place.base.length + 1);
  const hosted = bucketOfHost(host, place.domains);
  const slash = hosted === undefined ? below.indexOf("/") : -1;
  const bucket = hosted ?? (slash === -1 ? below : below.slice(0, slash));
  const key = hosted === undefined ? (slash === -1 ? "" : below.slice(slash + 1)) : below;
  // What is signed for /s3/BUCKET must not count as signed for an object of a bucket with the name "s3".
  const isHosted = bucketOfHost(host, place.domainsElsewhere ?? []) !== undefined;
  const isPlain = place.base === "" || isHosted || `/${bucket}` === place.base;
  const signedPaths = isPlain ? [path] : [path, `/${below}`];
  return { signedPaths, pairs, query, bucket, key };
}

/** The host that a request is for, by HTTP/1.1 or HTTP/2. */
export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  const authority = headers[":authority"];
  return headers.host ?? (typeof authority === "string" ? authority : undefined);
}

/** The bucket with which a host's name begins, when it lies below one of the domains. */
export function bucketOfHost(host: string | undefined, domains: readonly string[]): string | undefined {
  const name = host?.toLowerCase().replace(/:\d*$/, "") ?? "";
  const domain = domains.find((each) => name.endsWith(`.${each}`) && name.length > each.length + 1);
  return domain === undefined ? undefined : name.slice(0, -domain.length - 1);
}

function parsePairs(query: string): (readonly [string, string])[] {
  const parts = query.split("&", PAIRS_MAX + 1).filter((part) => part !== "");
  if (parts.length > PAIRS_MAX) throw new S3Error("InvalidURI");
  return parts.map((part) => {
    const [name = "", ...value] = part.replaceAll("+", " ").split("=");
    return [decode(name), decode(value.join("="))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error("InvalidURI");
  }
}
