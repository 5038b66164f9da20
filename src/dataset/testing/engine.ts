/** An engine for tests. */
import { MiB } from "../../base/limits.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import type { Store } from "../../store/dataset-store.ts";
import type { Engine } from "../engine.ts";
import { WorkerPool } from "../workers/pool.ts";

/** An engine on a store, with two threads; close its pool afterwards. `cacheDir` undefined: none. */
export function testEngine(store: Store, cacheDir?: string): Engine {
  return {
    store,
    clock: systemClock,
    random: systemRandom,
    pool: new WorkerPool(2),
    memoryBytes: 256 * MiB,
    cacheDir,
  };
}

/** Bytes that look random and are the same for the same seed: they do not compress. */
export function noise(seed: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  let state = (seed + 1) * 0x9e3779b9;
  for (let index = 0; index < lengthBytes; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  return bytes;
}

/** The pieces' concatenation. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}

/** All items of all batches. */
export async function gather<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const items: T[] = [];
  for await (const batch of batches) items.push(...batch);
  return items;
}
