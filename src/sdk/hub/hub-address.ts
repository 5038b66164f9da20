/** Where a hub is. */
import { AetherError } from "../../base/errors.ts";

/** The port of a hub whose address names none. */
const PORT_DEFAULT = 8080;

/** Hubs that one client may know. */
const HUBS_MAX = 16;

/** A hub's address, taken apart. */
export interface HubAddress {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  /** `host:port`, for messages. */
  readonly authority: string;
}

/** The hubs of a list with commas between them, in order, each as parseHubAddress() takes it. Errors: ARGUMENT_INVALID. */
export function parseHubAddresses(text: string, secure: boolean): readonly HubAddress[] {
  const texts = text.split(",");
  if (texts.length > HUBS_MAX) {
    throw new AetherError("ARGUMENT_INVALID", `a client knows at most ${HUBS_MAX} hubs, not ${texts.length}`);
  }
  return texts.map((each) => parseHubAddress(each.trim(), secure));
}

/**
 * The hub at `host[:port]` (8080 when it names no port; over TLS if `secure`), or at a URL with `http:` or `https:`.
 * Errors: ARGUMENT_INVALID.
 */
function parseHubAddress(text: string, secure: boolean): HubAddress {
  const isUrl = /^https?:\/\//i.test(text);
  const hasPort = /:\d+$/.test(text);
  const url = isUrl ? text : `${secure ? "https" : "http"}://${text}${hasPort ? "" : `:${PORT_DEFAULT}`}`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const rest = parsed === undefined ? "" : `${parsed.username}${parsed.search}${parsed.hash}`;
  if (parsed === undefined || rest !== "" || (parsed.pathname !== "/" && parsed.pathname !== "")) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `"${text.slice(0, 200)}" is not a hub's address: it is host:port, or http://host:port, or https://host:port`,
    );
  }
  const port = parsed.port === "" ? (parsed.protocol === "https:" ? "443" : "80") : parsed.port;
  return { origin: parsed.origin, authority: `${parsed.hostname}:${port}` };
}
