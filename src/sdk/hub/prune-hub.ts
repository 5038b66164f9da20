/** Having a hub prune its store. proto/aetherfs/hub/v1/maintenance.proto */
import type { PruneCount, PruneProgress, PruneResult } from "../../dataset/prune/contract.ts";
import type { PruneSettings } from "../../dataset/prune/pruner.ts";
import type * as wire from "../../gen/aetherfs/hub/v1/maintenance_pb.ts";
import { reading } from "./hub-catalog.ts";
import type { HubConnection } from "./hub-connection.ts";

const PHASES: readonly string[] = [
  "mark",
  "wait",
  "sweep",
  "list",
  "repack",
] satisfies PruneProgress["phase"][];

/**
 * Has the hub prune, and waits for the end. When the hub goes away and comes back, it is asked again: a prune goes on where
 * another ended. Errors: those of prune(); OBJECT_CONFLICT while the hub prunes already; INTERNAL for an answer that is none.
 */
export async function pruneHub(
  hub: HubConnection,
  { signal, onProgress, ...settings }: PruneSettings,
): Promise<PruneResult> {
  const request = requestOf(settings);
  return await hub.call(signal, async () => {
    let result: PruneResult | undefined;
    const stream = hub.maintenance.prune(request, signal === undefined ? {} : { signal });
    for await (const message of stream) {
      const { progress } = message;
      if (progress !== undefined) onProgress?.(reading(hub.hub, () => progressOf(progress)));
      if (message.result !== undefined) result = resultOf(message.result);
    }
    return reading(hub.hub, () => {
      if (result === undefined) throw new Error("the result is missing");
      return result;
    });
  });
}

function requestOf(settings: Omit<PruneSettings, "signal" | "onProgress">) {
  const { dryRun = false, graceMs, repackBelow, repackBytesMax, bytesPerSecond, waitMs = 0 } = settings;
  return {
    dryRun,
    waitMs: BigInt(Math.round(waitMs)),
    ...(graceMs === undefined ? {} : { graceMs: BigInt(Math.round(graceMs)) }),
    ...(repackBelow === undefined ? {} : { repackBelow }),
    ...(repackBytesMax === undefined ? {} : { repackBytesMax: BigInt(repackBytesMax) }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond: BigInt(bytesPerSecond) }),
  };
}

function progressOf({ phase, done }: wire.PruneProgress): PruneProgress {
  if (!PHASES.includes(phase)) throw new Error(`"${phase}" is no phase`);
  return { phase: phase as PruneProgress["phase"], done: Number(done) };
}

function resultOf(result: wire.PruneResult): PruneResult {
  const { kept, removed, condemned, repacked, ripeInMs, holders, seconds } = result;
  return {
    versions: Number(result.versions),
    kept: countOf(kept),
    incomplete: Number(result.incomplete),
    expiredTags: Number(result.expiredTags),
    removedDatasets: Number(result.removedDatasets),
    unusedBytes: Number(result.unusedBytes),
    removed: countOf(removed),
    condemned: countOf(condemned),
    repacked: {
      blocks: Number(repacked?.blocks ?? 0),
      blockBytes: Number(repacked?.blockBytes ?? 0),
      newBytes: Number(repacked?.newBytes ?? 0),
    },
    ripeInMs: ripeInMs === undefined ? undefined : Number(ripeInMs),
    holders: holders.map(({ holder, since }) => ({ holder, since })),
    seconds,
  };
}

function countOf(count: wire.PruneCount | undefined): PruneCount {
  const { blocks = 0n, blockBytes = 0n, others = 0n } = count ?? {};
  return { blocks: Number(blocks), blockBytes: Number(blockBytes), others: Number(others) };
}
