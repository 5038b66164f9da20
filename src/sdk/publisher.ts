import { hostname, userInfo } from "node:os";

/** Who makes changes on this machine, when nobody says otherwise: `user@host`. */
export function defaultPublisher(): string {
  return `${userName()}@${hostname()}`;
}

/** A user without an entry in the system's list still has a number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}
