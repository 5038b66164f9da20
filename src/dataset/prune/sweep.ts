/** Removes what an epoch condemned and still nobody needs. docs/format.md §9.1 */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { parseObjectName, type EpochRecord, type ObjectName } from "../../format/prune-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import type { Lease } from "../ingest/lease.ts";
import type { PruneCount, PruneProgress } from "./contract.ts";
import type { LiveSet } from "./live-set.ts";

/** Objects that are removed at the same time. */
const PARALLEL_MAX = 16;

/** Options of a sweep. */
export interface SweepOptions extends CallOptions {
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/**
 * Removes the epoch's names but for those in `live`, which was marked after the epoch's state said so that it is swept. Only
 * while `lease`, the sweeper's, is fresh: another may go on with the sweep once it is not. Errors: SESSION_LOST then; OBJECT_MISSING
 * when a part of the names is gone; those of the store.
 */
export async function sweepEpoch(
  engine: Engine,
  { mark, parts, rescued }: EpochRecord,
  live: LiveSet,
  lease: Lease,
  options: SweepOptions,
): Promise<PruneCount> {
  const { datasets } = engine.store;
  const safe = new Set(rescued);
  const count = { blocks: 0, blockBytes: 0, others: 0 };
  for (let part = 1; part <= parts; part++) {
    const condemned = await datasets.getCondemned(mark, part, options);
    if (condemned === undefined)
      throw new AetherError("OBJECT_MISSING", `part ${part} of what ${mark} condemned is missing`);
    const names = condemned.names.filter((name) => !safe.has(name) && !isLive(live, name));
    for (let next = 0; next < names.length; next += PARALLEL_MAX) {
      const some = names.slice(next, next + PARALLEL_MAX);
      await Promise.all(some.map((name) => removeOne(engine, name, lease, count, options)));
      options.onProgress?.({ phase: "sweep", done: count.blocks + count.others });
    }
  }
  return count;
}

function isLive(live: LiveSet, name: ObjectName): boolean {
  const { kind, digest } = must(parseObjectName(name), "an object's name");
  return live.has(kind === "views" ? "manifests" : kind, digest);
}

async function removeOne(
  { store: { blocks, datasets } }: Engine,
  name: ObjectName,
  lease: Lease,
  count: { blocks: number; blockBytes: number; others: number },
  options: CallOptions,
): Promise<void> {
  const { kind, digest } = must(parseObjectName(name), "an object's name");
  const bytes = kind === "blocks" ? await blocks.stat(digest, options) : undefined;
  // At the last moment: somebody may have swept all this, and another stored it anew, while this process stood still.
  if (!lease.isFresh) await lease.store(options);
  if (kind !== "blocks") {
    await datasets.removeObject(kind, digest, options);
    count.others++;
    return;
  }
  if (bytes === undefined) return;
  await blocks.remove(digest, options);
  count.blocks++;
  count.blockBytes += bytes;
}
