/** Which hub references name. */
import { AetherError } from "../../base/errors.ts";
import type { Reference } from "../../format/reference.ts";

/** The hub of who names none. */
export const HUB_DEFAULT = "localhost:8080";

/** The hub of all these references; of those that name none it is `fallback`. Errors: ARGUMENT_INVALID when there are several. */
export function hubOf(references: readonly Reference[], fallback: string): string {
  const hosts = [...new Set(references.map(({ host }) => host ?? fallback))];
  if (hosts.length > 1) {
    throw new AetherError("ARGUMENT_INVALID", `one call works with one hub, not with ${hosts.join(" and ")}`);
  }
  return hosts[0] ?? fallback;
}
