/** What every operation of the engine works with. Made by the composition roots, closed by them. */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Store } from "../store/dataset-store.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** The parts that operations share. They hold no state of one operation, so several may run on one engine. */
export interface Engine {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly pool: WorkerPool;
  /** What buffers and caches of one operation may hold together, in bytes. */
  readonly memoryBytes: number;
  /** A folder for hints (stat caches, chunk indexes, manifests seen) that may be deleted at any time; undefined: none. */
  readonly cacheDir: string | undefined;
}
