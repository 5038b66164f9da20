/** Errors that a hub answers over HTTP. RFC 9457; docs/protocol.md §2 */
import { AetherError, ERRORS, type ErrorCode, type ErrorData } from "../../base/errors.ts";
import { unavailable } from "./retry.ts";

/** What answers for a hub that is down: proxies, and a hub that is stopping. */
const AWAY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** What a response that is no success means. `body` is what came of it, perhaps cut off. */
export function problemError(hub: string, status: number, body: string): AetherError {
  const problem = parseObject(body);
  const { code, detail, title, data } = problem;
  if (typeof code === "string" && Object.hasOwn(ERRORS, code)) {
    const text = typeof detail === "string" ? detail : typeof title === "string" ? title : code;
    return new AetherError(code as ErrorCode, text, { data: factsOf(data) });
  }
  if (AWAY.has(status)) return unavailable(hub, `status ${status}`);
  return new AetherError("INTERNAL", `the hub ${hub} answered with status ${status}`, {
    data: { hub, status },
  });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function factsOf(data: unknown): ErrorData {
  if (typeof data !== "object" || data === null) return {};
  const facts = Object.entries(data).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  return Object.fromEntries(facts);
}
