/** What who builds on a store does about a prune beside it. docs/format.md §9.1 */
import { AetherError } from "../../base/errors.ts";
import {
  parseObjectName,
  RESCUED_MAX,
  type EpochRecord,
  type ObjectName,
} from "../../format/prune-record.ts";
import type { Clock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore, Revised, Store } from "../../store/dataset-store.ts";
import { must } from "../../base/assert.ts";
import type { Lease } from "./lease.ts";

/** How often a sweep that is under way is looked at, and for how long it is waited for. */
const POLL_MS = 500;
const WAIT_MS_MAX = 10 * 60_000;
/** Times that an epoch is written anew because somebody else changed it meanwhile. */
const TRIES_MAX = 64;
/** Objects that are looked for at the same time. */
const PARALLEL_MAX = 16;

/** The newest epoch of a store, 0 when there is none. */
export async function newestEpoch(datasets: DatasetStore, options: CallOptions): Promise<number> {
  let newest = 0;
  for await (const number of datasets.listEpochs(options)) newest = Math.max(newest, number);
  return newest;
}

/** Those of `names` that the epoch condemned and nobody rescued. Errors: OBJECT_MISSING when a part of it is gone. */
async function condemnedAmong(
  datasets: DatasetStore,
  { number, mark, parts, rescued }: EpochRecord,
  names: ReadonlySet<ObjectName>,
  options: CallOptions,
): Promise<ObjectName[]> {
  const safe = new Set(rescued);
  const found: ObjectName[] = [];
  for (let part = 1; part <= parts; part++) {
    const condemned = await datasets.getCondemned(mark, part, options);
    if (condemned === undefined)
      throw new AetherError("OBJECT_MISSING", `part ${part} of epoch ${number} is missing`);
    for (const name of condemned.names) if (names.has(name) && !safe.has(name)) found.push(name);
  }
  return found;
}

/** Keeps what one lease's holder builds on from a prune that began before, and tells it what went. */
export class SweptNames {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #lease: Lease;
  /** The epoch that may be swept while the lease lives; 0: none. */
  #epoch = 0;

  constructor(store: Store, clock: Clock, lease: Lease) {
    this.#store = store;
    this.#clock = clock;
    this.#lease = lease;
  }

  /** To be called once the lease is stored, and before anything of the store is relied on. */
  async begin(options: CallOptions): Promise<void> {
    const { datasets } = this.#store;
    const number = await newestEpoch(datasets, options);
    if (number === 0) return;
    this.#lease.epoch = number;
    const found = await datasets.getEpoch(number, options);
    if (found?.value.state !== "done") this.#epoch = number;
  }

  /** Whether settle() has anything to look at. */
  get isNeeded(): boolean {
    return this.#epoch > 0;
  }

  /**
   * To be called when everything is in the store that a tag is about to point at, before it does: resolves when all of
   * `names` stay. Errors: OBJECT_MISSING when one went; OBJECT_CONFLICT when a sweep takes too long; those of the store.
   */
  async settle(names: ReadonlySet<ObjectName>, options: CallOptions): Promise<void> {
    if (this.#epoch === 0) return;
    const endMs = this.#clock.elapsedMs() + WAIT_MS_MAX;
    for (let tries = 0; tries < TRIES_MAX;) {
      const found = await this.#store.datasets.getEpoch(this.#epoch, options);
      if (found === undefined) return this.requireAll([...names], options);
      const hit = await condemnedAmong(this.#store.datasets, found.value, names, options);
      if (hit.length === 0) return;
      const { state } = found.value;
      if (state === "done") return this.requireAll(hit, options);
      if (state === "marked") {
        if (await this.#rescue(found, hit, options)) return;
        tries++;
        continue;
      }
      if (this.#clock.elapsedMs() > endMs) break;
      await this.#clock.sleep(POLL_MS, options.signal);
    }
    throw new AetherError(
      "OBJECT_CONFLICT",
      "what this change builds on is being pruned: try again when the prune is over",
    );
  }

  /** False: somebody else changed the epoch meanwhile. */
  async #rescue(
    { value, revision }: Revised<EpochRecord>,
    names: readonly ObjectName[],
    options: CallOptions,
  ): Promise<boolean> {
    const rescued = [...value.rescued, ...names];
    if (rescued.length > RESCUED_MAX) {
      throw new AetherError("OBJECT_CONFLICT", "too much of what is to be pruned came back: prune first");
    }
    try {
      await this.#store.datasets.putEpoch({ ...value, rescued }, revision, options);
      return true;
    } catch (error) {
      if (codeOf(error) === "OBJECT_CONFLICT") return false;
      throw error;
    }
  }

  /** That objects are there. Errors: OBJECT_MISSING; those of the store. */
  async requireAll(names: readonly ObjectName[], options: CallOptions): Promise<void> {
    for (let next = 0; next < names.length; next += PARALLEL_MAX) {
      const some = names.slice(next, next + PARALLEL_MAX);
      const there = await Promise.all(some.map((name) => this.#isThere(name, options)));
      const gone = some[there.indexOf(false)];
      if (gone === undefined) continue;
      throw new AetherError("OBJECT_MISSING", `${gone} was pruned meanwhile: begin again`);
    }
  }

  async #isThere(name: ObjectName, options: CallOptions): Promise<boolean> {
    const { kind, digest } = must(parseObjectName(name), "an object's name");
    const { blocks, datasets } = this.#store;
    if (kind === "blocks") return (await blocks.stat(digest, options)) !== undefined;
    return await datasets.hasObject(kind, digest, options);
  }
}
