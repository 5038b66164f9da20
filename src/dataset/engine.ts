/** What every operation of the engine works with. Made by the composition roots, closed by them. */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Store, VersionStore } from "../store/dataset-store.ts";
import type { HeadMemory } from "./head-memory.ts";
import type { Ingest } from "./ingest/ingest.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** What reading versions takes, wherever they lie. Holds no state of one operation, so several may run on one. */
export interface ReadEngine {
  readonly store: VersionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly pool: WorkerPool;
  /** What buffers and caches of one operation may hold together, in bytes. */
  readonly memoryBytes: number;
  /** A folder for hints (stat caches, chunk indexes, manifests seen) that may be deleted at any time; undefined: none. */
  readonly cacheDir: string | undefined;
}

/** What a push takes: reading, and a way in. */
export interface PushEngine extends ReadEngine {
  readonly ingest: Ingest;
}

/** The parts of a process that holds the store itself. */
export interface Engine extends ReadEngine {
  readonly store: Store;
  /** What this process saw of tags, for who resolves them often; undefined: each look starts from what the store says. */
  readonly heads?: HeadMemory;
}
