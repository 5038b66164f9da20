/** The composition root of a process that works on a store itself. */
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Engine } from "../dataset/engine.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { openStore } from "../store/drivers/all.ts";

/** Which store, and what the engine may use. */
export interface LocalOptions {
  /** The store's address: file:///DIR, a path, or memory:. */
  readonly store: string;
  /** Make a store where nothing is: for whoever is going to write. */
  readonly create: boolean;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly cacheDir: string | undefined;
  readonly signal?: AbortSignal;
}

/** An engine, and what ends it. */
export interface LocalEngine {
  readonly engine: Engine;
  /** Ends the threads, then releases the store. Nothing may be under way. */
  readonly close: () => Promise<void>;
}

/** Opens the store and makes an engine on it. Threads start with the first work. Errors: those of openStore. */
export async function openEngine(options: LocalOptions): Promise<LocalEngine> {
  const { create, memoryBytes, threads, cacheDir, signal } = options;
  const call = signal === undefined ? {} : { signal };
  const clock = systemClock;
  const random = systemRandom;
  const store = await openStore(options.store, { create, clock, random, ...call });
  const pool = new WorkerPool(threads);
  const close = async (): Promise<void> => {
    await pool.close();
    await store.close();
  };
  return { engine: { store, clock, random, pool, memoryBytes, cacheDir }, close };
}
