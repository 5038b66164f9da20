/** What says that something of a store is lost or damaged. */
import { codeOf, type ErrorCode } from "../base/errors.ts";

const DAMAGE: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "OBJECT_CORRUPT", "OBJECT_INVALID"]);

/** Whether an error says that what was read is not there, or is not what it should be: another copy, or a push, may mend it. */
export function isDamage(error: unknown): boolean {
  return DAMAGE.has(codeOf(error));
}
