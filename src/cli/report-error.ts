import { AetherError, codeOf, ERRORS } from "../base/errors.ts";
import { printable } from "./human.ts";

/** How errors are shown. */
export interface ErrorStyle {
  readonly isJson: boolean;
  /** Also the stack and the causes. */
  readonly isDebug: boolean;
}

/**
 * What stderr gets for an error: one line, `aetherfs: CODE: message` or a JSON object. A fault of the program itself says
 * how to see where it comes from. A stack is shown only to who asks for it.
 */
export function errorLines(error: unknown, { isJson, isDebug }: ErrorStyle): readonly string[] {
  const code = codeOf(error);
  const plain = error instanceof Error ? error.message : String(error);
  const advice = isDebug ? "" : " (a fault of AetherFS; --log_level debug shows where it comes from)";
  const message = code === "CANCELLED" ? "interrupted" : `${plain}${code === "INTERNAL" ? advice : ""}`;
  const data = error instanceof AetherError ? error.data : {};
  const line = isJson
    ? JSON.stringify({ error: { code, message, data } })
    : `aetherfs: ${code}: ${printable(message)}`;
  return isDebug && code !== "CANCELLED" ? [line, ...stacks(error)] : [line];
}

/** The process's exit code for an error. */
export function exitCodeOf(error: unknown): number {
  return ERRORS[codeOf(error)].exit;
}

const CAUSES_MAX = 10;

function stacks(error: unknown): readonly string[] {
  const lines: string[] = [];
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < CAUSES_MAX; depth++) {
    lines.push(`${depth === 0 ? "" : "caused by "}${cause.stack ?? cause.message}`);
    cause = cause.cause;
  }
  return lines;
}
