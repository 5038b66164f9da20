import { AetherError } from "../../base/errors.ts";

const WRITE_ID = /^[0-9a-f]{32}$/;

/** Checks what a caller says a change is known by. docs/format.md §8.1. Errors: ARGUMENT_INVALID. */
export function checkWriteId(text: string): void {
  if (WRITE_ID.test(text)) return;
  throw new AetherError("ARGUMENT_INVALID", "a write id is 32 lower-case hex digits");
}
