/** Errors as S3 has them, by the code that clients match on. "Error responses" of the Amazon S3 API reference */
import { codeOf, ERRORS, type ErrorCode } from "../../base/errors.ts";

/** Code → HTTP status, and what AWS says. */
const TABLE = {
  AccessDenied: [403, "Access Denied"],
  AccessForbidden: [403, "CORSResponse: CORS is not enabled for this bucket."],
  AuthorizationHeaderMalformed: [400, "The authorization header that you provided is not valid."],
  // AWS says 400; the tests that servers are held to (ceph/s3-tests) want 403 of a time that is out of range.
  AuthorizationQueryParametersError: [403, "The query parameters that sign the request are not valid."],
  BadRequest: [400, "Insufficient information. Origin request header needed."],
  InternalError: [500, "We encountered an internal error. Please try again."],
  InvalidAccessKeyId: [403, "The AWS Access Key Id you provided does not exist in our records."],
  InvalidArgument: [400, "Invalid Argument"],
  InvalidPartNumber: [416, "The requested partnumber is not satisfiable"],
  InvalidRange: [416, "The requested range is not satisfiable"],
  InvalidRequest: [400, "The request is not valid."],
  InvalidURI: [400, "Couldn't parse the specified URI."],
  MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
  NoSuchBucket: [404, "The specified bucket does not exist"],
  NoSuchBucketPolicy: [404, "The bucket policy does not exist"],
  NoSuchConfiguration: [404, "The specified configuration does not exist."],
  NoSuchCORSConfiguration: [404, "The CORS configuration does not exist"],
  NoSuchKey: [404, "The specified key does not exist."],
  NoSuchLifecycleConfiguration: [404, "The lifecycle configuration does not exist"],
  NoSuchObjectLockConfiguration: [404, "The specified object does not have a ObjectLock configuration"],
  NoSuchPublicAccessBlockConfiguration: [404, "The public access block configuration was not found"],
  NoSuchTagSet: [404, "The TagSet does not exist"],
  NoSuchUpload: [404, "The specified multipart upload does not exist."],
  NoSuchVersion: [404, "The specified version does not exist."],
  NoSuchWebsiteConfiguration: [404, "The specified bucket does not have a website configuration"],
  NotImplemented: [501, "A header or query you provided implies functionality that is not implemented."],
  ObjectLockConfigurationNotFoundError: [404, "Object Lock configuration does not exist for this bucket"],
  OwnershipControlsNotFoundError: [404, "The bucket ownership controls were not found"],
  PreconditionFailed: [412, "At least one of the pre-conditions you specified did not hold"],
  ReplicationConfigurationNotFoundError: [404, "The replication configuration was not found"],
  RequestTimeTooSkewed: [403, "The difference between the request time and the current time is too large."],
  ServerSideEncryptionConfigurationNotFoundError: [
    404,
    "The server side encryption configuration was not found",
  ],
  ServiceUnavailable: [503, "Please reduce your request rate."],
  SlowDown: [503, "Please reduce your request rate."],
  SignatureDoesNotMatch: [
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  ],
} as const satisfies Record<string, readonly [number, string]>;

/** A code of the table. */
export type S3Code = keyof typeof TABLE;

/** Facts that an error's XML has beside its code and message: element → text, in this order. */
export type S3Facts = Readonly<Record<string, string | number>>;

/** An answer that is an error: what the protocol has codes for and AetherFS has not. It does not leave this folder. */
export class S3Error extends Error {
  override readonly name = "S3Error";
  readonly code: S3Code;
  readonly status: number;
  readonly facts: S3Facts;

  /** `message`: instead of the table's. */
  constructor(code: S3Code, facts: S3Facts = {}, message: string = TABLE[code][1]) {
    super(message);
    this.code = code;
    [this.status] = TABLE[code];
    this.facts = facts;
  }
}

const CODES: Partial<Record<ErrorCode, S3Code>> = {
  DATASET_NOT_FOUND: "NoSuchBucket",
  TAG_NOT_FOUND: "NoSuchKey",
  VERSION_NOT_FOUND: "NoSuchKey",
  PATH_NOT_FOUND: "NoSuchKey",
  PATH_INVALID: "NoSuchKey",
  REFERENCE_INVALID: "NoSuchKey",
  ACCESS_DENIED: "AccessDenied",
  UNAUTHENTICATED: "AccessDenied",
  HUB_BUSY: "SlowDown",
};

/** Any thrown value as an error of S3: what this folder has no word for is the hub's own fault, or passes. */
export function s3ErrorOf(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  const code = codeOf(error);
  return new S3Error(CODES[code] ?? (ERRORS[code].retry ? "ServiceUnavailable" : "InternalError"));
}
