/** Mending a store from another place that has the same versions: whatever comes from there is verified by its digests. */
import { createHash } from "node:crypto";
import { codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import { planBaseOf } from "../../format/plan.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";
import { damagedKey, type DamagedObject, type Key } from "../../store/keys.ts";
import { copyVersion } from "../copy/copy-version.ts";
import { isDamage } from "../damage.ts";
import type { Engine, ReadEngine } from "../engine.ts";
import { withCheckedIngest } from "../ingest/checked-ingest.ts";
import type { LostVersion, StoreFault, VerifyStoreResult } from "./contract.ts";
import { isFault } from "./is-fault.ts";
import { verifyStore } from "./verify-store.ts";

/** Times that what is left is looked for: a plan may turn out to be damaged once the one that it is in terms of is mended. */
const ROUNDS_MAX = 3;

/** What healing did. */
export interface HealResult {
  /** Objects that were moved to quarantine. */
  readonly quarantined: number;
  /** Versions that were lost and are there again. */
  readonly healed: readonly Digest[];
  /** What is wrong now, as a check of the structure tells. */
  readonly left: VerifyStoreResult;
}

/**
 * Moves what `found` says is damaged to quarantine, and stores anew what versions lost by it, as far as the source has them. Tags
 * stay where they are. `source` reads a dataset's versions in another place. Errors: those of both stores, but for damage.
 */
export async function healStore(
  engine: Engine,
  found: VerifyStoreResult,
  source: (name: DatasetName) => ReadEngine,
  options: CallOptions,
): Promise<HealResult> {
  const lost = new Set<Digest>();
  const quarantined = new Set<Key>();
  let left = found;
  for (let round = 1; round <= ROUNDS_MAX && left.lostCount + left.faultCount > 0; round++) {
    for (const fault of left.faults) {
      const object = await damagedOf(engine, fault, round > 1, options);
      if (object === undefined) continue;
      await engine.store.datasets.quarantine(object, options);
      quarantined.add(damagedKey(object));
    }
    // What was moved away is missing now: that may be of more versions than could be told before.
    left = await verifyStore(engine, { ...options, structureOnly: true });
    for (const each of left.lost) {
      lost.add(each.version);
      await restore(engine, source, each, options);
    }
    if (left.lostCount > 0) left = await verifyStore(engine, { ...options, structureOnly: true });
  }
  const stillLost = new Set(left.lost.map(({ version }) => version));
  return {
    quarantined: quarantined.size,
    healed: [...lost].filter((version) => !stillLost.has(version)),
    left,
  };
}

/** A block or plan that is in the way of storing it anew; a manifest object is not. */
async function damagedOf(
  engine: Engine,
  { object, isDamaged }: StoreFault,
  isLater: boolean,
  options: CallOptions,
): Promise<DamagedObject | undefined> {
  if (!isDamaged || object.kind === "records") return undefined;
  if (object.kind === "blocks")
    return (await isAsNamed(engine.store.blocks, object.digest, options)) ? undefined : object;
  if (object.kind !== "plans") return undefined;
  return (await isPlanDamaged(engine, object, isLater, options)) ? object : undefined;
}

/** Whether a block is there and sound: what was found a while ago may have been mended since. Errors: those of the store. */
async function isAsNamed(blocks: RangeReader, digest: Digest, options: CallOptions): Promise<boolean> {
  const bytes = await blocks.stat(digest, options);
  const hash = createHash("sha256");
  try {
    for (let start = 0; start < (bytes ?? 0); start += MiB) {
      const end = Math.min(start + MiB, bytes ?? 0);
      hash.update(await blocks.read(digest, { start, end }, options));
      await new Promise(setImmediate);
    }
  } catch (error) {
    if (isDamage(error) || isFault(error)) return false;
    throw error;
  }
  return hash.digest("hex") === digest;
}

/**
 * Whether it is the plan itself that is damaged, as far as is known: what is wrong with one in terms of another's may be wrong
 * with that. `isLater`: the others were mended. Errors: those of the store, but for damage.
 */
export async function isPlanDamaged(
  { store }: Pick<Engine, "store">,
  { digest, domain }: Extract<DamagedObject, { kind: "plans" }>,
  isLater: boolean,
  options: CallOptions,
): Promise<boolean> {
  const found = await store.datasets.getPlan(digest, { ...options, domain });
  if (found === undefined) return false;
  try {
    return isLater || planBaseOf(found.value) === undefined;
  } catch (error) {
    if (isFault(error)) return true;
    throw error;
  }
}

/** The first of the datasets that the source can read it from. */
async function restore(
  engine: Engine,
  source: (name: DatasetName) => ReadEngine,
  { version, places }: LostVersion,
  options: CallOptions,
): Promise<void> {
  for (const { dataset, tag } of places) {
    const place = [{ name: dataset, tag }];
    const wanted = { version, place, tags: [], publisher: "", message: "", labels: {}, isThorough: true };
    try {
      await copyVersion(source(dataset), withCheckedIngest(engine), wanted, options);
      return;
    } catch (error) {
      const isLacking = codeOf(error).endsWith("_NOT_FOUND") || isDamage(error) || isFault(error);
      if (!isLacking || options.signal?.aborted === true) throw error;
    }
  }
}
