import { AetherError, type ErrorCode } from "../../base/errors.ts";
import { isDamage } from "../damage.ts";

/** What damage may look like besides: a changed header is one of a newer format. */
const DISGUISES: ReadonlySet<ErrorCode> = new Set([
  "FORMAT_UNSUPPORTED",
  "MANIFEST_UNSAFE",
  "RANGE_INVALID",
  "VERSION_NOT_FOUND",
]);

/** Whether an error says that something of a store is wrong: it is told, and the check goes on. */
export function isFault(error: unknown): error is AetherError {
  return error instanceof AetherError && (isDamage(error) || DISGUISES.has(error.code));
}
