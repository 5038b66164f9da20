/** Which versions are a dataset's own: whoever may read the dataset may read these, and no others by their digests. */
import type { Digest } from "../format/digest.ts";
import type { DatasetRecord } from "../format/record.ts";
import type { DatasetName } from "../format/reference.ts";
import type { CallOptions } from "../store/block-store.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { eventsFrom } from "./tag-events.ts";
import { readHead } from "./tag-head.ts";

/** Versions that are remembered, of all datasets together: some 12 MB. */
const VERSIONS_MAX = 100_000;

/** Entries of one tag that are looked at because no event may name them yet: more are so only where the tag's hint was lost. */
const UNANNOUNCED_MAX = 16;

/** Which dataset: one that was deleted and made again is another one. */
export type DatasetIdentity = Pick<DatasetRecord, "name" | "incarnation">;

/** A dataset's versions, as far as its events were read. */
interface Known {
  readonly incarnation: string;
  next: number;
  /** What it counts for in the whole. */
  weight: number;
  readonly versions: Set<Digest>;
}

/** Answers from the datasets' events, of which each is read once while its dataset is among those asked for last. */
export class DatasetVersions {
  readonly #datasets: DatasetStore;
  /** The one asked for last comes last. */
  readonly #known = new Map<DatasetName, Known>();
  #weight = 0;

  constructor(datasets: DatasetStore) {
    this.#datasets = datasets;
  }

  /** Whether a tag of the dataset points or ever pointed at the version. Errors: those of the store. */
  async has(
    { name, incarnation }: DatasetIdentity,
    version: Digest,
    options: CallOptions = {},
  ): Promise<boolean> {
    const present = this.#known.get(name);
    const known =
      present?.incarnation === incarnation
        ? present
        : { incarnation, next: 1, weight: 0, versions: new Set<Digest>() };
    if (!known.versions.has(version)) await this.#readOn(name, known, options);
    this.#keep(name, known);
    if (known.versions.has(version)) return true;
    // What is no version at all is told at the price of one read.
    if ((await this.#datasets.getManifest(version, options)) === undefined) return false;
    if (await this.#isUnannounced(name, version, options)) return true;
    // It may have been announced between the two.
    await this.#readOn(name, known, options);
    return known.versions.has(version);
  }

  async #readOn(name: DatasetName, known: Known, options: CallOptions): Promise<void> {
    for await (const { sequence, digest } of eventsFrom(this.#datasets, name, known.next, options)) {
      known.versions.add(digest);
      // Several may read on at once.
      known.next = Math.max(known.next, sequence + 1);
    }
  }

  /** A commit is told by an event a moment later, or by who commits next when its publisher died: until then no event names it. */
  async #isUnannounced(name: DatasetName, version: Digest, options: CallOptions): Promise<boolean> {
    for await (const tag of this.#datasets.listTags(name, options)) {
      const { record, announced } = await readHead(this.#datasets, name, tag, options);
      if (record?.digest === version) return true;
      const newest = record?.number ?? 0;
      const oldest = Math.max(announced.number, newest - UNANNOUNCED_MAX);
      for (let number = newest - 1; number > oldest; number--) {
        const entry = await this.#datasets.getHistory(name, tag, number, options);
        if (entry?.digest === version) return true;
      }
    }
    return false;
  }

  #keep(name: DatasetName, known: Known): void {
    this.#forget(name);
    this.#known.set(name, known);
    known.weight = known.versions.size + 1;
    this.#weight += known.weight;
    for (const oldest of this.#known.keys()) {
      if (this.#weight <= VERSIONS_MAX) return;
      this.#forget(oldest);
    }
  }

  #forget(name: DatasetName): void {
    this.#weight -= this.#known.get(name)?.weight ?? 0;
    this.#known.delete(name);
  }
}
