/** Where tags stood when this process last looked. docs/format.md §8.3 */
import type { HistoryRecord } from "../format/record.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { lastEntryAfter, readHead } from "./tag-head.ts";

/**
 * Remembers the newest entry of `tagsMax` tags, so that finding it again takes one look for an entry after it, instead of four
 * reads. What others did meanwhile is seen: entries never change, and histories have no holes. Of one store.
 */
export class HeadMemory {
  readonly #tagsMax: number;
  readonly #entries = new Map<string, HistoryRecord>();

  constructor(tagsMax: number) {
    this.#tagsMax = tagsMax;
  }

  /** The newest entry of the tag's history, a deletion too; undefined when there never was one. Errors: the store's. */
  async newestEntry(
    datasets: DatasetStore,
    name: DatasetName,
    tag: Tag,
    options: CallOptions,
  ): Promise<HistoryRecord | undefined> {
    const key = `${name}:${tag}`;
    const known = this.#entries.get(key);
    const newest =
      known === undefined
        ? (await readHead(datasets, name, tag, options)).record
        : await lastEntryAfter(datasets, name, tag, known, options);
    if (newest !== undefined) this.#remember(key, newest);
    return newest;
  }

  #remember(key: string, entry: HistoryRecord): void {
    const present = this.#entries.get(key);
    this.#entries.delete(key);
    this.#entries.set(key, present !== undefined && present.number > entry.number ? present : entry);
    if (this.#entries.size <= this.#tagsMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
