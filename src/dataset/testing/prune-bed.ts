/** Stores that are pruned, for tests. */
import assert from "node:assert/strict";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { parseTag } from "../../format/reference.ts";
import type { TagReference } from "../contract.ts";
import type { PruneOptions, PruneResult } from "../prune/contract.ts";
import { LeaseWatch } from "../prune/lease-watch.ts";
import { prune } from "../prune/prune.ts";
import type { DatasetStore, Revision, Store } from "../../store/dataset-store.ts";
import { BED_TAG, type PushBed } from "./push-bed.ts";

/** What is said of changes. */
export const SAYS = { publisher: "test", message: "", labels: {} };
/** What a prune says that did nothing. */
export const NOTHING = { blocks: 0, blockBytes: 0, others: 0 };
/** A grace time that no test outlives. */
export const LONG_MS = 3_600_000;

/** A tag of the bed's dataset. */
export function tagged(tag: string): TagReference {
  return { name: BED_TAG.name, tag: parseTag(tag) };
}

/** Prunes the bed's store: without a grace time, and without repacking, unless told otherwise. */
export function pruned(bed: PushBed, options: Partial<PruneOptions> = {}): Promise<PruneResult> {
  const watch = new LeaseWatch(bed.engine.clock);
  return prune(bed.engine, { graceMs: 0, repackBelow: 0, watch, ...options });
}

/** The call fails with the code. */
export async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error) => codeOf(error) === code || assert.fail(String(error)));
}

/** Pushes the source as it is, to a tag of its own. */
export async function release(bed: PushBed, tag: string): Promise<Digest> {
  return (await bed.push({ tags: [tagged(tag)] })).digest;
}

/** The files of blocks, manifests and plans. */
export function contentFiles(bed: PushBed): string[] {
  return [...bed.files("blocks", "manifests", "plans").keys()];
}

/** The store, with other methods in place of some of those for datasets. */
export function withMembers(store: Store, others: Partial<DatasetStore>): Store {
  const datasets = new Proxy(store.datasets, {
    get: (target, key) => {
      if (Object.hasOwn(others, key)) return Reflect.get(others, key) as unknown;
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return { blocks: store.blocks, datasets, close: () => store.close() };
}

/** The store as an AetherFS has it that knows no floors. */
export function withoutFloors(store: Store): Store {
  const { datasets } = store;
  return withMembers(store, {
    getEpoch: async (...parameters) => {
      const found = await datasets.getEpoch(...parameters);
      return found && { ...found, value: { ...found.value, floors: false } };
    },
    putEpoch: (record, ...rest) => datasets.putEpoch({ ...record, floors: false }, ...rest),
    getFloor: () => Promise.resolve(undefined),
    putFloor: () => Promise.resolve("none" as Revision),
  });
}
