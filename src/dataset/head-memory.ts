/** Where tags stood when this process last looked. docs/format.md §8.3 */
import type { DatasetRecord, HistoryRecord } from "../format/record.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import type { TagReference } from "./contract.ts";
import { currentOf, lastEntryAfter, readHead, type HeadOptions } from "./tag-head.ts";

/** An entry, and the incarnation of the dataset whose history it stands in. */
interface Known {
  readonly incarnation: string;
  readonly entry: HistoryRecord;
}

/**
 * Remembers the newest entry of `tagsMax` tags, so that finding it again takes one look for an entry after it, instead of four
 * reads. What others did meanwhile is seen: entries never change, and histories have no holes. Of one store.
 */
export class HeadMemory {
  readonly #tagsMax: number;
  readonly #entries = new Map<string, Known>();

  constructor(tagsMax: number) {
    this.#tagsMax = tagsMax;
  }

  /**
   * The newest entry of the tag's history, a deletion too; undefined when there never was one. `dataset` is the record as it
   * is being read: both are looked for at the same time, and an entry of a dataset that was deleted since does not count.
   * Errors: those of `dataset` and of the store.
   */
  async newestEntry(
    datasets: DatasetStore,
    dataset: Promise<DatasetRecord>,
    { name, tag }: TagReference,
    options: HeadOptions,
  ): Promise<HistoryRecord | undefined> {
    const key = `${name}:${tag}`;
    const known = this.#entries.get(key);
    const likely = currentOf(known?.entry);
    if (likely !== null) options.onLikely?.(likely);
    const read = async (): Promise<HistoryRecord | undefined> =>
      (await readHead(datasets, name, tag, options)).record;
    const looking = known === undefined ? read() : lastEntryAfter(datasets, name, tag, known.entry, options);
    const [{ incarnation }, found] = await Promise.all([dataset, looking]);
    const entry = known === undefined || known.incarnation === incarnation ? found : await read();
    if (entry !== undefined) this.#remember(key, { incarnation, entry });
    return entry;
  }

  #remember(key: string, known: Known): void {
    const present = this.#entries.get(key);
    const isOlder = present?.incarnation === known.incarnation && present.entry.number > known.entry.number;
    this.#entries.delete(key);
    this.#entries.set(key, isOlder ? present : known);
    if (this.#entries.size <= this.#tagsMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
