/** Errors of the table on their way over gRPC: a status, with an ErrorDetail among its details. docs/protocol.md §2 */
import { Code, ConnectError } from "@connectrpc/connect";
import { AetherError, codeOf, ERRORS, type ErrorCode, type ErrorData } from "../base/errors.ts";
import { ErrorDetailSchema } from "../gen/aetherfs/hub/v1/error_pb.ts";

/** gRPC status name, as the error table writes it → its number. */
const STATUS: Readonly<Record<string, Code>> = {
  CANCELLED: Code.Canceled,
  INVALID_ARGUMENT: Code.InvalidArgument,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  PERMISSION_DENIED: Code.PermissionDenied,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  ABORTED: Code.Aborted,
  OUT_OF_RANGE: Code.OutOfRange,
  UNIMPLEMENTED: Code.Unimplemented,
  INTERNAL: Code.Internal,
  UNAVAILABLE: Code.Unavailable,
  DATA_LOSS: Code.DataLoss,
  UNAUTHENTICATED: Code.Unauthenticated,
};

/** What a status without a detail means: somebody between us and the hub answered, or a hub of another make. */
const MEANING: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.Canceled]: "CANCELLED",
  [Code.InvalidArgument]: "ARGUMENT_INVALID",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.PermissionDenied]: "ACCESS_DENIED",
  [Code.ResourceExhausted]: "LIMIT_EXCEEDED",
  [Code.Unimplemented]: "FEATURE_UNSUPPORTED",
  [Code.Unavailable]: "HUB_UNAVAILABLE",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
};

/**
 * What a message and its data may have in UTF-8. They travel as trailers, the message twice and up to three times as long
 * (percent-encoded); clients such as grpcio take 8 KiB of trailers and else tell of nothing but that.
 */
const MESSAGE_BYTES_MAX = 1024;
const DATA_BYTES_MAX = 2048;

/**
 * An error as a server sends it: the table's status and a detail. Nothing of AetherFS's insides goes out; a ConnectError
 * (of the library's own: a malformed message, a deadline) goes out as it is. Long texts are cut.
 */
export function toRpcError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const code = codeOf(error);
  const { grpc, text, retry } = ERRORS[code];
  const isOurs = error instanceof AetherError && code !== "INTERNAL";
  const data = isOurs ? dataOf(error.data) : {};
  const detail = { desc: ErrorDetailSchema, value: { code, data, retry } };
  return new ConnectError(
    isOurs ? cut(error.message, MESSAGE_BYTES_MAX) : text,
    STATUS[grpc] ?? Code.Internal,
    undefined,
    [detail],
    error,
  );
}

/** What a client throws for what a call threw. `hub` names who was asked, for the message. */
export function fromRpcError(error: unknown, hub: string): AetherError {
  if (error instanceof AetherError) return error;
  const failure = ConnectError.from(error);
  const [detail] = failure.findDetails(ErrorDetailSchema);
  if (detail !== undefined && Object.hasOwn(ERRORS, detail.code)) {
    const data: ErrorData = detail.data;
    return new AetherError(detail.code as ErrorCode, failure.rawMessage, { data, cause: error });
  }
  const code = MEANING[failure.code] ?? "INTERNAL";
  const message =
    code === "HUB_UNAVAILABLE"
      ? `the hub ${hub} does not answer (${failure.rawMessage}): see that it runs, and that the address is right`
      : `the hub ${hub} answered: ${failure.rawMessage}`;
  return new AetherError(code, message, { data: { hub }, cause: error });
}

function dataOf(data: ErrorData): Record<string, string> {
  let left = DATA_BYTES_MAX;
  const told: Record<string, string> = {};
  for (const [key, value] of Object.entries(data)) {
    const text = cut(textOf(value), left);
    left = Math.max(0, left - Buffer.byteLength(key) - Buffer.byteLength(text));
    told[key] = text;
  }
  return told;
}

/** A text's beginning, when it has more bytes in UTF-8. */
function cut(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.byteLength <= bytesMax) return text.toWellFormed();
  return `${new TextDecoder().decode(bytes.subarray(0, bytesMax), { stream: true })}…`;
}

function textOf(value: string | number | boolean): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
