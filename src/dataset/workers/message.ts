/** What threads send each other. */
import { AetherError, errnoOf, type ErrorCode, type ErrorData } from "../../base/errors.ts";

/** An error as structured clone carries it: classes do not survive it. */
export interface PlainError {
  readonly code: ErrorCode | undefined;
  readonly errno: string | undefined;
  readonly message: string;
  readonly data: ErrorData;
  readonly stack: string | undefined;
}

/** A task's outcome: its output, or its error. */
export interface Reply {
  readonly output?: unknown;
  readonly error?: PlainError;
}

/** An error made plain, to be sent. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) {
    return { code: undefined, errno: undefined, message: String(error), data: {}, stack: undefined };
  }
  const isOurs = error instanceof AetherError;
  return {
    code: isOurs ? error.code : undefined,
    errno: errnoOf(error),
    message: error.message,
    data: isOurs ? error.data : {},
    stack: error.stack,
  };
}

/** The error again, of its class. */
export function reviveError(plain: PlainError): Error {
  if (plain.code !== undefined) return new AetherError(plain.code, plain.message, { data: plain.data });
  const error = new Error(plain.message);
  if (plain.stack !== undefined) error.stack = plain.stack;
  return plain.errno === undefined ? error : Object.assign(error, { code: plain.errno });
}
