import { AetherError, errnoOf, type ErrorCode } from "../../../base/errors.ts";

/** What a server's answer, or none, was about. */
interface Failure {
  /** The server's code (`NoSuchKey`), or the name that the SDK gives. */
  readonly name: string;
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
}

/** What is known of an error that a call of the SDK threw. */
function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? (errnoOf(error) ?? error.name) : "";
  const metadata = (error as { $metadata?: { httpStatusCode?: unknown } } | undefined)?.$metadata;
  const status = metadata?.httpStatusCode;
  return { name, status: typeof status === "number" ? status : undefined };
}

/** Whether the answer was that there is no such object. A bucket that is missing is another matter. */
export function isAbsent(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return status === 404 && name !== "NoSuchBucket";
}

/** Whether the answer was that a condition (RFC 9110 §13.1) does not hold. */
export function isRefusedCondition(error: unknown): boolean {
  return failureOf(error).status === 412;
}

/** Whether the answer was that another object than expected is there, or none. */
export function isConflict(error: unknown): boolean {
  return isRefusedCondition(error) || isAbsent(error);
}

/** Whether the answer was that the server cannot do what a call needs. */
export function isUnsupported(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return status === 501 || status === 405 || name === "NotImplemented";
}

type Row = readonly [ErrorCode, string];

const FULL: Row = [
  "SPACE_EXHAUSTED",
  "there is no space left: a quota is used up, or the server's disks are full",
];
const REGION: Row = ["CONFIG_INVALID", "the bucket lies in another region: give --storage_s3_region"];
const CERTIFICATE: Row = [
  "CONFIG_INVALID",
  "the server's certificate is not trusted: give its authority with --storage_s3_tls_ca_file",
];

/** What names mean that statuses do not tell. */
const BY_NAME: Readonly<Record<string, Row>> = {
  NoSuchBucket: ["STORE_NOT_FOUND", "the bucket does not exist: make it first, or check the address"],
  InvalidBucketName: ["ARGUMENT_INVALID", "the server takes no bucket of that name"],
  QuotaExceeded: FULL,
  InsufficientStorage: FULL,
  StorageFull: FULL,
  XMinioStorageFull: FULL,
  XMinioAdminBucketQuotaExceeded: FULL,
  PermanentRedirect: REGION,
  AuthorizationHeaderMalformed: REGION,
  IllegalLocationConstraintException: REGION,
  NotImplemented: ["FEATURE_UNSUPPORTED", "the server cannot do what a store needs"],
  CERT_HAS_EXPIRED: ["CONFIG_INVALID", "the server's certificate has expired"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["CONFIG_INVALID", "the server's certificate is for another name"],
  SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE,
  DEPTH_ZERO_SELF_SIGNED_CERT: CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE,
  ENOTFOUND: ["STORE_UNAVAILABLE", "there is no server of that name: check --storage_s3_endpoint"],
  ECONNREFUSED: ["STORE_UNAVAILABLE", "nobody listens there: check --storage_s3_endpoint"],
};

const EXPIRED = "the session token has expired: renew the credentials";
/** Why a caller is not let in, whichever status it comes with. */
const REFUSALS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: "the server does not know the access key",
  SignatureDoesNotMatch: "the secret is not that of the access key",
  RequestTimeTooSkewed: "the clock of this machine or of the server is wrong",
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  InvalidToken: "the session token is not valid",
  CredentialsProviderError:
    "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or " +
    "--storage_s3_access_key_id and --storage_s3_secret_access_key",
  TokenProviderError: "the credentials cannot be had: sign in again",
};

/** Answers with which a server says that it is not at fault, and that the same call may do later. */
const TRANSIENT = new Set([
  "RequestTimeout",
  "ConditionalRequestConflict",
  "OperationAborted",
  "BadDigest",
  "IncompleteBody",
  "XAmzContentSHA256Mismatch",
  "ThrottlingException",
  "Throttling",
  "SlowDown",
  "NoSuchUpload",
]);

/**
 * What to throw for what a call of the SDK threw: the signal's reason, or a row of the table. What is one already stays. Of
 * the SDK's error only name and status are kept: it holds the request, and that the credentials.
 */
export function s3Error(
  error: unknown,
  store: string,
  doing: "read" | "write",
  signal?: AbortSignal,
): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof AetherError || !(error instanceof Error) || error.name === "AbortError") return error;
  if (error instanceof TypeError || error instanceof RangeError || error.message.startsWith("assertion")) {
    return error;
  }
  const failure = failureOf(error);
  const { name, status } = failure;
  const [code, why] = classify(failure, doing);
  // The SDK's own complaints have no name; they are about settings.
  const known = name === "Error" ? error.message.slice(0, 200) : name;
  const fact = [known, status === undefined ? "" : `HTTP ${status}`].filter((part) => part !== "").join(", ");
  return new AetherError(code, `${store}: ${why} (${fact})`, {
    data: { reason: name, ...(status === undefined ? {} : { status }) },
    cause: new Error(fact),
  });
}

function classify({ name, status }: Failure, doing: "read" | "write"): Row {
  const named = BY_NAME[name];
  if (named !== undefined) return named;
  const refusal = REFUSALS[name];
  if (refusal !== undefined || status === 401 || status === 403) {
    const advice = `the credentials do not allow to ${doing}: see docs/s3.md for the policy that is needed`;
    return [doing === "write" ? "STORE_UNWRITABLE" : "STORE_UNREADABLE", refusal ?? advice];
  }
  if (status === 507) return FULL;
  if (status === 301 || status === 307 || status === 308) return REGION;
  if (status === 501 || status === 405) {
    return ["FEATURE_UNSUPPORTED", "the server cannot do what a store needs"];
  }
  const isOurs = status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
  if (!isOurs || TRANSIENT.has(name) || status === 409) {
    return ["STORE_UNAVAILABLE", `the server does not ${doing} as it should`];
  }
  return ["FEATURE_UNSUPPORTED", "the server refuses what a store asks for: is it S3?"];
}
