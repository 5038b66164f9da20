/** Whether a version that is not whole was let go, or lost. docs/format.md §8.8 */
import type { DatasetStore } from "../../store/dataset-store.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { readEpoch } from "../prune/epochs.ts";
import { isBelow, takenEntries } from "../prune/floors.ts";
import { entriesBackwards } from "../prune/roots.ts";
import type { HistoryStep } from "./history-walk.ts";
import type { VersionDamage } from "./version-check.ts";

/**
 * Whether a prune may have taken what is missing of an entry's version, so that nothing is wrong. To be asked after it was found: what a
 * prune has taken since the walk came by it was recorded before. Errors: those of the store, of damaged records too.
 */
export async function isLetGo(
  datasets: DatasetStore,
  { name, tag, record, isCurrent, newest }: Extract<HistoryStep, { kind: "entry" }>,
  { isMissing, isGone }: VersionDamage,
  options: CallOptions,
): Promise<boolean> {
  // Before the rest: it says whether that can be relied on.
  const epoch = await readEpoch(datasets, options);
  const dataset = await datasets.getDataset(name, options);
  const entry = await datasets.getHistory(name, tag, record.number, options);
  if (dataset?.value.deleted !== null || entry?.writeId !== record.writeId) return true;
  let head = 0;
  for await (const { number, state } of entriesBackwards(datasets, name, tag, options)) {
    head = Math.max(head, number);
    if (number <= newest) break;
    if (state === "deleted") return true;
  }
  // What a tag points at is never let go.
  if (head === record.number) return false;
  const isTaken = isBelow(await takenEntries(datasets, dataset.value, tag, options), record.number);
  if (isTaken) return isMissing;
  // An AetherFS that knows no floors has pruned: whether by a retention that was shorter, nobody can say.
  if (epoch?.value.floors === false) return !isCurrent && isGone;
  return false;
}
