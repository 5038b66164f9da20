/** Where a dataset's events end. docs/format.md §8.4 */
import type { DatasetName } from "../format/reference.ts";
import { isFar, type CallOptions } from "./block-store.ts";
import type { LastEventOptions } from "./dataset-store.ts";
import { eventKey, eventsPrefix, NUMBER_MAX, parseEventKey } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";

/** Keys of a page of a list, at which most stores end it. */
const LISTED_MAX = 1000;

/** The highest sequence, or 0. Errors: those of the store. */
export async function findLastEvent(
  objects: ObjectStore,
  name: DatasetName,
  options: LastEventOptions,
): Promise<number> {
  // Events are numbered without holes, so doubling and halving finds the last in 2·log2(n) questions.
  const has = async (sequence: number): Promise<boolean> =>
    sequence === 0 || (await objects.stat(eventKey(name, sequence), options)) !== undefined;
  const { known = 0 } = options;
  let first: number;
  if (isFar(objects.features)) {
    // One page of a list says what would take many questions, that the known one is there too. What is beyond it is asked for.
    let page = await listOnePage(objects, name, Math.max(known - 1, 0), options);
    if (known > 0 && page.first !== known) page = await listOnePage(objects, name, 0, options);
    if (page.isEnd) return page.last;
    first = page.last;
  } else {
    const [isThere, isFollowed] =
      known === 0 ? [true, false] : await Promise.all([has(known), has(known + 1)]);
    if (known > 0 && isThere && !isFollowed) return known;
    first = isThere ? known + Number(isFollowed) : 0;
  }
  let present = first;
  let absent = first + 1;
  while (absent <= NUMBER_MAX && (await has(absent))) {
    present = absent;
    absent = 2 * absent - first;
  }
  absent = Math.min(absent, NUMBER_MAX + 1);
  while (absent - present > 1) {
    const middle = Math.floor((present + absent) / 2);
    if (await has(middle)) present = middle;
    else absent = middle;
  }
  return present;
}

/** The first and last event of the first page after event `after`, and whether there is no other page. */
async function listOnePage(
  objects: ObjectStore,
  name: DatasetName,
  after: number,
  options: CallOptions,
): Promise<{ readonly first: number | undefined; readonly last: number; readonly isEnd: boolean }> {
  const prefix = eventsPrefix(name);
  const from = after === 0 ? {} : { after: eventKey(name, after) };
  let first: number | undefined;
  let last = after;
  let listed = 0;
  for await (const { key } of objects.list(prefix, { ...options, ...from })) {
    last = parseEventKey(prefix, key) ?? last;
    first ??= last;
    if (++listed === LISTED_MAX) return { first, last, isEnd: false };
  }
  return { first, last, isEnd: true };
}
