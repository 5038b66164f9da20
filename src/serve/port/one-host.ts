import { AetherError } from "../../base/errors.ts";
import type { HttpHandler } from "../http-handler.ts";

/**
 * Whether a request says in one way only which host it is for; `rawHeaders` are names and values by turns. Of several, a proxy before the
 * hub may take another one than the hub. RFC 9112 §3.2, RFC 9113 §8.3.1
 */
export function hasOneHost(rawHeaders: readonly string[]): boolean {
  const [authorities, hosts] = [":authority", "host"].map((name) =>
    rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name),
  );
  if (hosts === undefined || hosts.length === 0) return true;
  const [host] = hosts;
  const [authority = host] = authorities ?? [];
  return hosts.length === 1 && host?.toLowerCase() === authority?.toLowerCase();
}

/** Refuses a request that has not. */
export const refuseHosts: HttpHandler = () =>
  Promise.reject(new AetherError("ARGUMENT_INVALID", "the request is for several hosts: send one Host"));
