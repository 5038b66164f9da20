import type { Clock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";
import { joined } from "./joined-store.ts";
import { limited } from "./limited-store.ts";
import { retried } from "./retried-store.ts";
import type { RetryOptions } from "./retry.ts";
import type { Layer } from "./stack.ts";

/** What is on its way to or from the store at once: enough for a fast line, little enough for memory. */
const LIMITS = { callsMax: 32, bytesMax: 256 * MiB, waitersMax: 10_000 } as const;

/** How often calls are tried on a store that is on another machine: some 12 seconds at most. */
function remoteRetries(clock: Clock, random: Random): RetryOptions {
  return { clock, random, attemptsMax: 8, delayMsFirst: 100, delayMsMax: 5000 };
}

/**
 * What is put around a store that is on another machine, the innermost first. Retries are outside of the limit, so that who
 * waits to try again keeps nobody from trying.
 */
export function remoteLayers(clock: Clock, random: Random): readonly Layer[] {
  return [limited(LIMITS), retried(remoteRetries(clock, random)), joined()];
}
