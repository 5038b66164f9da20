/** What the suites run on: stores of any driver, made new for each test and removed after it. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import type { BlockStore } from "../block-store.ts";
import type { Store } from "../dataset-store.ts";
import { openStore } from "../drivers/all.ts";

/** A store to test, and what surrounds it. */
export interface StoreFixture {
  readonly store: Store;
  /** The same blocks where they can be removed; undefined for a store that cannot. */
  readonly prunable: BlockStore | undefined;
  /** What writers left behind that is not part of the store: must be empty whenever nothing is under way. */
  readonly leftovers: () => Promise<readonly string[]>;
  /** Closes and removes the store. */
  readonly close: () => Promise<void>;
}

/** Makes a new store. */
export type StoreFactory = () => Promise<StoreFixture>;

/** Runs the task on a new store, which must have no leftovers after it. */
export async function onStore(
  factory: StoreFactory,
  task: (fixture: StoreFixture) => Promise<void>,
): Promise<void> {
  const fixture = await factory();
  try {
    await task(fixture);
    assert.deepEqual(await fixture.leftovers(), [], "leftovers of writers");
  } finally {
    await fixture.close();
  }
}

/** A new store in memory. */
export async function memoryFixture(): Promise<StoreFixture> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  return { store, prunable: store.blocks, leftovers: async () => [], close: () => store.close() };
}

/** A new store in a temporary folder. */
export async function diskFixture(): Promise<StoreFixture> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-store-"));
  try {
    const store = await openStore(folder, { create: true, clock: systemClock, random: systemRandom });
    const close = async (): Promise<void> => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    };
    return { store, prunable: store.blocks, leftovers: () => leftoversIn(folder), close };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Temporary files in a folder's store. The locks of open stores are no leftovers. */
export async function leftoversIn(folder: string): Promise<string[]> {
  const found = await readdir(join(folder, "aetherfs/v1/tmp"), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile() && !entry.name.endsWith("lock")).map((entry) => entry.name);
}
