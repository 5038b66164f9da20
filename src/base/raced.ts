/**
 * What the promise gives, unless the signal aborts before: then `onAbort` is called, and it rejects with the signal's reason, whatever
 * becomes of the promise. Nothing stays behind on the signal.
 */
export function raced<T>(promise: Promise<T> | T, signal: AbortSignal, onAbort?: () => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = (): void => {
      reject(signal.reason as Error);
      onAbort?.();
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => {
        signal.removeEventListener("abort", leave);
      });
  });
}
