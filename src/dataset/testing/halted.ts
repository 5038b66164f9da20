/** Processes that stand still for a while, in the middle of what they do. */
import { systemClock, type Clock } from "../../base/clock.ts";
import type { Store } from "../../store/dataset-store.ts";

/** Longer than a lease lives. */
export const OUTLIVED_MS = 16 * 60_000;

/** A clock that can be set forward: `aheadMs` on both hands, `asleepMs` by wall time alone. */
export function movableClock(): Clock & { aheadMs: number; asleepMs: number } {
  const clock = {
    aheadMs: 0,
    asleepMs: 0,
    nowMs: () => systemClock.nowMs() + clock.aheadMs + clock.asleepMs,
    elapsedMs: () => systemClock.elapsedMs() + clock.aheadMs,
    sleep: systemClock.sleep,
  };
  return clock;
}

/** The store, of which one method's first call waits until `before` has ended. */
export function halted(
  store: Store,
  part: "blocks" | "datasets",
  method: string,
  before: () => Promise<void>,
): Store {
  let isOver = false;
  const target = store[part];
  const proxy = new Proxy(target, {
    get: (object, name) => {
      const member: unknown = Reflect.get(object, name);
      if (typeof member !== "function") return member;
      return (...parameters: unknown[]): unknown => {
        const call = (): unknown => Reflect.apply(member, object, parameters);
        if (name !== method || isOver) return call();
        isOver = true;
        return before().then(call);
      };
    },
  });
  return {
    ...store,
    blocks: store.blocks,
    datasets: store.datasets,
    [part]: proxy,
    close: () => store.close(),
  };
}
