/** Tells who follows a dataset that this process has appended an event. Other processes' events are looked for. */
import type { EventRecord } from "../format/record.ts";
import type { DatasetName } from "../format/reference.ts";
import type { DatasetStore } from "../store/dataset-store.ts";

/** Is told of an event that is in the store now. */
type Listener = (event: EventRecord) => void;

const bells = new WeakMap<DatasetStore, Map<DatasetName, Set<Listener>>>();

/** Tells everybody in this process who listens for events of the dataset. */
export function ringEvents(datasets: DatasetStore, name: DatasetName, event: EventRecord): void {
  for (const listener of bells.get(datasets)?.get(name) ?? []) listener(event);
}

/** Listens until the function that it gives is called. */
export function listenForEvents(datasets: DatasetStore, name: DatasetName, listener: Listener): () => void {
  const ofStore = bells.get(datasets) ?? new Map<DatasetName, Set<Listener>>();
  bells.set(datasets, ofStore);
  const listeners = ofStore.get(name) ?? new Set();
  ofStore.set(name, listeners.add(listener));
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && ofStore.get(name) === listeners) ofStore.delete(name);
  };
}
