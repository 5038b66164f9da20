import type { Access, Identity } from "../auth/access.ts";
import type { Caller } from "../vfs/tree.ts";

/** Somebody who was identified, as the tree asks about them. */
export function callerOf(access: Access, identity: Identity): Caller {
  return { check: (action, name) => access.check(identity, action, name) };
}
