/** Tags that have not moved since they were looked up, told without waiting. docs/decisions/0026 */
import type { Resolved } from "../dataset/resolve.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetName, Tag } from "../format/reference.ts";
import type { DatasetState, DatasetStore } from "../store/dataset-store.ts";

/** Tags that are remembered; each takes some 300 bytes. */
const TAGS_MAX = 4096;

/** Where a tag stood, and what shows that it stands there still. */
interface Stood {
  readonly version: Digest;
  readonly state: DatasetState;
}

/**
 * Remembers what was found, never what is so: each time, the store is asked whether the dataset's record is the same one and nothing came
 * after the tag's last entry.
 */
export class StandingTags {
  readonly #datasets: Pick<DatasetStore, "isStill">;
  /** The one noted last at the end. */
  readonly #stood = new Map<string, Stood>();

  constructor(datasets: Pick<DatasetStore, "isStill">) {
    this.#datasets = datasets;
  }

  /** The version that the tag points at now; undefined: it must be looked up. */
  find(name: DatasetName, tag: Tag): Digest | undefined {
    const stood = this.#stood.get(keyOf(name, tag));
    return stood !== undefined && this.#datasets.isStill?.(stood.state) === true ? stood.version : undefined;
  }

  /** Notes what a look-up found of a tag. */
  note({ name, tag, version, record, revision }: Resolved): void {
    if (this.#datasets.isStill === undefined) return;
    if (tag === undefined || record === undefined || revision === undefined) return;
    const key = keyOf(name, tag);
    this.#stood.delete(key);
    this.#stood.set(key, { version, state: { name, revision, tag, number: record.number + 1 } });
    if (this.#stood.size <= TAGS_MAX) return;
    for (const oldest of this.#stood.keys()) {
      this.#stood.delete(oldest);
      return;
    }
  }
}

function keyOf(name: DatasetName, tag: Tag): string {
  return `${name}:${tag}`;
}
