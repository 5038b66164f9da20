/** The composition root of a process that works on a store itself. */
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Engine } from "../dataset/engine.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { isFar } from "../store/block-store.ts";
import type { Store } from "../store/dataset-store.ts";
import { openStore, type OpenStoreOptions, type S3Settings } from "../store/drivers/all.ts";
import { remoteLayers } from "../store/layers/remote-layers.ts";
import { Retry } from "../store/layers/retry.ts";
import { stack } from "../store/layers/stack.ts";

/** Which store, and what the engine may use. */
export interface LocalOptions {
  /** The store's address: file:///DIR, a path, s3://bucket[/prefix], or memory:. */
  readonly store: string;
  /** How a store in S3 is reached. */
  readonly s3?: S3Settings | undefined;
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

/** How often opening is tried: who gave a wrong address wants to know soon. */
const OPENINGS = { attemptsMax: 4, delayMsFirst: 200, delayMsMax: 1000 } as const;

/** The store, with layers around it when it lies on another machine. */
async function openLayered({ store: address, s3 }: LocalOptions, options: OpenStoreOptions): Promise<Store> {
  const { clock, random, signal } = options;
  const open = (): Promise<Store> => openStore(address, s3 === undefined ? options : { ...options, s3 });
  const driver = await new Retry({ clock, random, ...OPENINGS }).run(open, signal);
  return isFar(driver.blocks.features) ? stack(driver, remoteLayers(clock, random)) : driver;
}

/** Opens the store and makes an engine on it. Threads start with the first work. Errors: those of openStore. */
export async function openEngine(options: LocalOptions): Promise<LocalEngine> {
  const { create, memoryBytes, threads, cacheDir, signal } = options;
  const call = signal === undefined ? {} : { signal };
  const clock = systemClock;
  const random = systemRandom;
  const store = await openLayered(options, { create, clock, random, ...call });
  const pool = new WorkerPool(threads);
  const close = async (): Promise<void> => {
    await pool.close();
    await store.close();
  };
  return { engine: { store, clock, random, pool, memoryBytes, cacheDir }, close };
}
