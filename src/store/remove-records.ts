import type { DatasetName } from "../format/reference.ts";
import type { RemovalOptions } from "./dataset-store.ts";
import { parseRecordKey, recordPrefixes, type Key } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";

/** Records that one call removes, and how many at once. */
const REMOVED_MAX = 512;
const PARALLEL_REMOVALS = 32;

/** DatasetStore.removeRecords() of objects. Errors: those of the ObjectStore, and of `check`. */
export async function removeRecordsOf(
  objects: ObjectStore,
  name: DatasetName,
  options?: RemovalOptions,
): Promise<boolean> {
  const found: Key[] = [];
  for (const prefix of recordPrefixes(name)) {
    for await (const { key } of objects.list(prefix, options)) {
      const record = parseRecordKey(name, key);
      if (record !== undefined) found.push(record);
      if (found.length === REMOVED_MAX) break;
    }
    if (found.length === REMOVED_MAX) break;
  }
  for (let start = 0; start < found.length; start += PARALLEL_REMOVALS) {
    const batch = found.slice(start, start + PARALLEL_REMOVALS);
    await options?.check?.();
    // All have ended before this call does: a caller that may not remove any more can rely on it.
    const removals = await Promise.allSettled(batch.map((key) => objects.remove(key, options)));
    for (const removal of removals) if (removal.status === "rejected") throw removal.reason;
  }
  return found.length > 0;
}
