import type { Store } from "../dataset-store.ts";

/** A store over another one, which it then owns: closing it closes the inner one. */
export type Layer = (inner: Store) => Store;

/** The driver with the layers around it, the first one innermost: `stack(driver, [limited, retried, cached, verified])`. */
export function stack(driver: Store, layers: readonly Layer[]): Store {
  let store = driver;
  for (const layer of layers) store = layer(store);
  return store;
}
