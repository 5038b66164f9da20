/** Calls that are made again when the hub does not answer: it may be on its way up again, or another takes its place. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { AetherError, errnoOf } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { ErrorDetailSchema } from "../../gen/aetherfs/hub/v1/error_pb.ts";
import { fromRpcError } from "../../rpc/rpc-error.ts";

const DELAY_FIRST_MS = 100;
const DELAY_MS_MAX = 3000;

/** What the connection's end looks like: the server's own errors come with a detail. */
const LOST: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Aborted, Code.Canceled, Code.Unknown]);
/** An answer that was cut off is a fault of the protocol to the library. */
const CUT_OFF = /stream closed|premature|missing|incomplete|socket|protocol error/;

/** How long a hub is waited for. */
export interface Patience {
  readonly clock: Clock;
  readonly random: Random;
  /** Who is asked, for messages. */
  readonly hub: string;
  /** Between the first failure and giving up, in milliseconds. */
  readonly waitMs: () => number;
}

/**
 * The result of `call`, which is made again, after pauses that grow, while it fails for want of an answer. `call` learns
 * how often it was made before: then the hub may have done already what is asked. Errors: HUB_UNAVAILABLE when the
 * patience is over; everything else that `call` throws, as an AetherError; the signal's reason.
 */
export async function patiently<T>(
  patience: Patience,
  signal: AbortSignal | undefined,
  call: (attempt: number) => Promise<T>,
): Promise<T> {
  const { clock, random, hub } = patience;
  let failedMs: number | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      signal?.throwIfAborted();
      return await call(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      const failure = hubError(error, hub);
      if (failure.code !== "HUB_UNAVAILABLE") throw failure;
      const nowMs = clock.elapsedMs();
      failedMs ??= nowMs;
      const delayMs = Math.min(DELAY_FIRST_MS * 2 ** attempt, DELAY_MS_MAX) * (0.5 + random.fraction() / 2);
      if (nowMs + delayMs - failedMs > patience.waitMs()) throw failure;
      await clock.sleep(delayMs, signal);
    }
  }
}

/** What a failed call means. `hub` names who was asked, for the message. */
export function hubError(error: unknown, hub: string): AetherError {
  if (error instanceof AetherError) return error;
  const failure = ConnectError.from(error);
  return isLost(failure) ? unavailable(hub, failure.rawMessage, error) : fromRpcError(failure, hub);
}

function isLost(failure: ConnectError): boolean {
  if (failure.findDetails(ErrorDetailSchema).length > 0) return false;
  if (LOST.has(failure.code)) return true;
  return (
    failure.code === Code.Internal &&
    (errnoOf(failure.cause) !== undefined || CUT_OFF.test(failure.rawMessage))
  );
}

/** The error HUB_UNAVAILABLE. `why` is what was seen of it. */
export function unavailable(hub: string, why: string, cause?: unknown): AetherError {
  return new AetherError(
    "HUB_UNAVAILABLE",
    `the hub ${hub} does not answer (${why}): start one with \`aetherfs run\`, name another as in host:port/name:tag, or work on a store with --store`,
    { data: { hub }, cause },
  );
}
