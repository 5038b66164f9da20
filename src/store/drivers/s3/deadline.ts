import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";

/**
 * What the task gives. Its signal aborts with the caller's, and with STORE_UNAVAILABLE after `limitMs`; then that is what it
 * rejects with, whatever the task says.
 */
export async function withDeadline<T>(
  { clock, limitMs, store }: { readonly clock: Clock; readonly limitMs: number; readonly store: string },
  task: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const timer = new AbortController();
  const onAbort = (): void => {
    controller.abort(signal?.reason);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  clock.sleep(limitMs, timer.signal).then(
    () => {
      const text = `${store}: the server took longer than ${Math.round(limitMs / 1000)} seconds`;
      controller.abort(new AetherError("STORE_UNAVAILABLE", text));
    },
    () => undefined,
  );
  try {
    return await task(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    throw error;
  } finally {
    timer.abort();
    signal?.removeEventListener("abort", onAbort);
  }
}
